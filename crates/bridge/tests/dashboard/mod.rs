//! The dashboard on a real engine, read by the read-only user and compared with the in-memory store.
//!
//! The binary starts one embedded engine; each test has its own database, named after it. The engine is fetched on
//! first use; without it these tests fail.

use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{
    ClickHouseOptions, ClickHouseStore, InMemoryStore, TokenStore, UpsertOptions, UsageSums,
};
use bridge::{
    Breakdown, BridgeError, CalendarUnit, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics,
    HostName, ManualClock, ResponseKey, ResponseUsage, SessionId, StorageKind, TimeRange, TimeZone,
    Timestamp, TokenCounts,
};
use bridge_core::strategy::{OUTLYING_MILLIS, response_usage};
use bridge_testkit::engine::TestDatabase;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
];
const STEPS: [CalendarUnit; 5] =
    [CalendarUnit::Minute, CalendarUnit::Hour, CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month];

fn now() -> Timestamp {
    "2026-11-23T12:34:56Z".parse().unwrap()
}

fn store(url: &str) -> Arc<ClickHouseStore> {
    Arc::new(ClickHouseStore::new(ClickHouseOptions::from_url(url).unwrap()).unwrap())
}

/// The running test's migrated store for the writer, and a dashboard for the reader.
async fn fresh() -> (Arc<ClickHouseStore>, DashboardBridgeAdapter) {
    let database = TestDatabase::of_this_test();
    let writer = store(&database.writer_url());
    writer.migrate().await.unwrap();
    (writer, adapter(store(&database.reader_url())))
}

fn adapter(store: Arc<dyn TokenStore>) -> DashboardBridgeAdapter {
    DashboardBridgeAdapter::new(store).with_clock(Arc::new(ManualClock::new(now())))
}

/// An instant of the last fifteen years, often near a clock change of some zone; sometimes an outlier.
fn instant() -> impl Strategy<Value = Timestamp> {
    let changes =
        ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2018-11-04T03:00:00Z", "2011-12-30T10:00:00Z"]
            .map(|text| text.parse::<Timestamp>().unwrap().as_millis());
    let near = (prop::sample::select(changes.to_vec()), -5_000_000_i64..5_000_000);
    let near = near.prop_map(|(change, millis)| change + millis);
    let some = (1_300_000_000_000..now().as_millis()).boxed();
    let recent = now().as_millis() - 40 * 86_400_000..now().as_millis() + 86_400_000;
    let outlying = prop::sample::select(OUTLYING_MILLIS.to_vec()).boxed();
    prop_oneof![4 => near.boxed(), 4 => some, 4 => recent.boxed(), 1 => outlying]
        .prop_map(|millis| Timestamp::from_millis(millis).unwrap())
}

fn query() -> impl Strategy<Value = DashboardQuery> {
    let names =
        || prop::option::weighted(0.3, prop::collection::vec((0..4).prop_map(|n| format!("n{n}")), 0..3));
    let place = (prop::sample::select(ZONES.to_vec()), prop::sample::select(STEPS.to_vec()));
    (prop::option::of(instant()), prop::option::of(instant()), place, names(), any::<bool>()).prop_map(
        |(start, end, (zone, step), projects, receipt)| {
            let mut query =
                DashboardQuery::new(TimeRange { start, end }).by(step, zone.parse::<TimeZone>().unwrap());
            if let Some(projects) = projects {
                query = query.of_projects(projects);
            }
            if receipt { query } else { query.without_receipt() }
        },
    )
}

#[tokio::test]
async fn every_page_matches_the_reference_model() {
    let (writer, dashboard) = fresh().await;
    let model = Arc::new(InMemoryStore::default());
    let of_model = adapter(model.clone());
    let mut runner = TestRunner::deterministic();
    for round in 0..12_u128 {
        let rows = prop::collection::vec((response_usage(), instant()), 1..20).new_tree(&mut runner).unwrap();
        let rows: Vec<_> = rows
            .current()
            .into_iter()
            .map(|(row, time)| ResponseUsage {
                time,
                key: ResponseKey(row.key.0.wrapping_add(6 * round)),
                ..row
            })
            .collect();
        writer.upsert(&rows, &UpsertOptions::default()).await.unwrap();
        model.upsert(&rows, &UpsertOptions::default()).await.unwrap();
        for _ in 0..6 {
            let query = query().new_tree(&mut runner).unwrap().current();
            if query.responses.time.validated().is_err() {
                let error = dashboard.get_dashboard_token_metrics(query).await.unwrap_err();
                assert_eq!(error.kind(), "inverted_range");
                continue;
            }
            let page = dashboard.get_dashboard_token_metrics(query.clone()).await.unwrap();
            assert_eq!(page, of_model.get_dashboard_token_metrics(query).await.unwrap());
            assert_adds_up(&page);
        }
    }
}

fn added<'a>(sums: impl Iterator<Item = &'a UsageSums>) -> UsageSums {
    let mut added = UsageSums::default();
    sums.for_each(|sums| added.add(sums));
    added
}

fn assert_adds_up(page: &DashboardTokenMetrics) {
    let listed = |breakdown: &Breakdown| added(breakdown.rows.iter().map(|row| &row.sums));
    for breakdown in [&page.sessions, &page.projects, &page.models, &page.hosts] {
        let (listed, others) = (listed(breakdown), breakdown.other_tokens);
        assert_eq!(listed.counts.total() + others, page.total_tokens, "{page:?}");
        assert_eq!(listed.responses + breakdown.other_responses, page.totals.responses, "{page:?}");
        if breakdown.rows.len() as u64 == breakdown.groups {
            assert_eq!((listed, others), (page.totals, 0), "{page:?}");
        }
    }
    let buckets = page.trend.buckets.iter().map(|bucket| &bucket.sums);
    assert_eq!(
        added([&page.trend.before, &page.trend.after].into_iter().chain(buckets)),
        page.totals,
        "{page:?}"
    );
    assert!(page.receipt.is_none_or(|receipt| receipt.adds_up()), "{page:?}");
}

/// With each version, 200 responses move to another session, project, model, host and day at once.
async fn move_about(store: &dyn TokenStore, versions: std::ops::Range<u64>, first_key: u128) {
    for version in versions {
        let name = format!("n{}", version % 9);
        let hours = i64::try_from(version % 300).unwrap();
        let time = Timestamp::from_millis(now().as_millis() - hours * 3_600_000).unwrap();
        let row = |key| ResponseUsage {
            project: name.parse().ok(),
            model: name.parse().ok(),
            host: HostName::new(name.as_str()).ok(),
            counts: TokenCounts { output: version, ..TokenCounts::ZERO },
            finished: true,
            ..ResponseUsage::new(ResponseKey(first_key + key), SessionId::new(name.as_str()).unwrap(), time)
        };
        let rows: Vec<_> = (0..200).map(row).collect();
        store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    }
}

/// Breakdowns, trend and receipt of every page agree with its totals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_consistent_under_concurrent_writes() {
    let (writer, dashboard) = fresh().await;
    let writers = [1, 1_000].map(|first_key| {
        let writer = Arc::clone(&writer);
        tokio::spawn(async move { move_about(&*writer, 1..60, first_key).await })
    });
    let mut seen = std::collections::BTreeSet::new();
    let deadline = tokio::time::sleep(Duration::from_secs(120));
    tokio::pin!(deadline);
    while writers.iter().any(|writer| !writer.is_finished()) {
        let query = DashboardQuery::default().by(CalendarUnit::Hour, "Asia/Kathmandu".parse().unwrap());
        let page = tokio::select! {
            page = dashboard.get_dashboard_token_metrics(query) => page.unwrap(),
            () = &mut deadline => panic!("the writers do not finish"),
        };
        assert_adds_up(&page);
        assert_eq!(page.receipt.unwrap().total.tokens, page.total_tokens);
        // An upsert is visible as a whole or not at all.
        assert_eq!((page.totals.responses % 200, page.total_tokens % 200), (0, 0));
        assert!(page.hosts.groups <= 2, "{page:?}");
        seen.insert(page.total_tokens);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(seen.len() > 5, "the pages saw only {} states", seen.len());
    let page = dashboard.get_dashboard_token_metrics(TimeRange::ALL).await.unwrap();
    assert_eq!((page.totals.responses, page.total_tokens), (400, 400 * 59));
}

#[tokio::test]
async fn the_dashboard_user_cannot_write() {
    let (writer, dashboard) = fresh().await;
    move_about(&*writer, 1..2, 1).await;
    let page = dashboard.get_dashboard_token_metrics(TimeRange::ALL).await.unwrap();
    assert_eq!(
        (page.total_tokens, page.data_age.newest_response_age),
        (200, Some(Duration::from_secs(3_600)))
    );
    let reader = store(&TestDatabase::of_this_test().reader_url());
    let row = ResponseUsage::new(ResponseKey(1), SessionId::new("s").unwrap(), now());
    let error = reader.upsert(&[row], &UpsertOptions::default().forced()).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }), "{error}");
    reader.put_sources(&[]).await.unwrap();
}

/// The long list of names makes a long statement.
#[tokio::test]
async fn a_page_of_many_sessions_and_hours_loads() {
    let (writer, dashboard) = fresh().await;
    move_about(&*writer, 1..2, 1).await;
    let start = Timestamp::from_millis(now().as_millis() - 3_900 * 3_600_000).unwrap();
    let names = (0..2_000).map(|n| SessionId::new(format!("{n:036}")).unwrap());
    let names = names.chain([SessionId::new("n1").unwrap()]);
    let query = DashboardQuery::new(TimeRange { start: Some(start), end: None })
        .by(CalendarUnit::Hour, TimeZone::UTC)
        .of_sessions(names);
    let page = dashboard.get_dashboard_token_metrics(query).await.unwrap();
    assert_eq!((page.total_tokens, page.trend.step), (200, CalendarUnit::Hour));
}
