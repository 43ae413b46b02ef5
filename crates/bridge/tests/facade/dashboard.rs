//! The dashboard on the in-memory store, against a naive computation, and on a mock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bridge::storage::{
    DashboardData, Dimension, Direction, GroupOrder, GroupPage, InMemoryStore, MockTokenStore, TokenStore,
    TrendSums, UpsertOptions,
};
use bridge::{
    BridgeError, CalendarUnit, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics, DataAge,
    ManualClock, ResponseUsage, StorageKind, TREND_BUCKETS_MAX, TimeRange, TimeZone, Timestamp, TrendBucket,
};
use bridge_core::AttributionValue;
use bridge_core::strategy::response_usage;
use proptest::prelude::*;

use crate::facade::{now, response};

fn adapter(store: Arc<dyn TokenStore>) -> DashboardBridgeAdapter {
    DashboardBridgeAdapter::new(store).with_clock(Arc::new(ManualClock::new(now())))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn holding(rows: &[ResponseUsage]) -> DashboardBridgeAdapter {
    let store = InMemoryStore::default();
    store.upsert(rows, &UpsertOptions::default()).await.unwrap();
    adapter(Arc::new(store))
}

async fn ask(adapter: &DashboardBridgeAdapter, query: impl Into<DashboardQuery>) -> DashboardTokenMetrics {
    adapter.get_dashboard_token_metrics(query).await.unwrap()
}

fn timed(session: &str, key: u128, output: u64, time: &str) -> ResponseUsage {
    ResponseUsage { time: at(time), ..response(session, key, output) }
}

fn outputs(buckets: &[TrendBucket]) -> Vec<u64> {
    buckets.iter().map(|bucket| bucket.sums.counts.output).collect()
}

#[tokio::test]
async fn an_empty_store_has_an_empty_page() {
    let metrics = ask(&holding(&[]).await, TimeRange::ALL).await;
    assert_eq!((metrics.total_tokens, metrics.cache_hit_share), (0, None));
    assert_eq!((metrics.data_age, metrics.trend.buckets.len()), (DataAge::default(), 0));
    assert!(!metrics.completeness.at_least && metrics.receipt.is_some_and(|receipt| receipt.adds_up()));
    // A chart of a week still has its days.
    let week = TimeRange::last_calendar_days(now(), 7, &TimeZone::UTC);
    assert_eq!(outputs(&ask(&holding(&[]).await, week).await.trend.buckets), [0; 7]);
}

#[tokio::test]
async fn a_trend_has_no_gaps_and_extends_to_the_present() {
    let rows = [timed("s", 1, 5, "2026-02-25T10:00:00Z"), timed("s", 2, 7, "2026-02-27T23:59:59.999Z")];
    let dashboard = holding(&rows).await;
    let all = ask(&dashboard, TimeRange::ALL).await;
    assert_eq!(outputs(&all.trend.buckets), [5, 0, 7, 0, 0]);
    assert_eq!(all.trend.buckets[4].local_start, "2026-03-01T00:00:00+00:00");
    // In Tokyo the last response is on the next day.
    let tokyo: TimeZone = "Asia/Tokyo".parse().unwrap();
    let all = ask(&dashboard, DashboardQuery::default().by(CalendarUnit::Day, tokyo)).await;
    assert_eq!(outputs(&all.trend.buckets), [5, 0, 0, 7, 0]);
    let week = ask(&dashboard, DashboardQuery::default().by(CalendarUnit::Week, TimeZone::UTC)).await;
    assert_eq!(outputs(&week.trend.buckets), [12]);
    assert_eq!(week.trend.buckets[0].start, at("2026-02-23T00:00:00Z"));
}

#[tokio::test]
async fn a_trend_with_too_many_steps_is_coarsened() {
    let rows = [timed("s", 1, 5, "1970-01-01T00:00:00Z"), timed("s", 2, 7, "2026-02-27T10:00:00Z")];
    let dashboard = holding(&rows).await;
    // An explicit start in 1970 is respected.
    let mut hours = DashboardQuery::default().by(CalendarUnit::Hour, TimeZone::UTC);
    hours.responses.time.start = Some(Timestamp::MIN);
    let all = ask(&dashboard, hours.clone()).await;
    assert_eq!((all.trend.step, outputs(&all.trend.buckets).iter().sum()), (CalendarUnit::Week, 12_u64));
    assert!(all.trend.buckets.len() <= TREND_BUCKETS_MAX);
    // The earlier coarsening does not affect narrower queries.
    let mut narrow = hours;
    narrow.responses.time = TimeRange::ALL;
    let none = narrow.clone().of_projects(["none"]);
    assert_eq!(ask(&dashboard, none).await.trend.buckets.len(), 0);
    narrow.responses.time = TimeRange { start: None, end: Some(at("1970-01-02T00:00:00Z")) };
    let trend = ask(&dashboard, narrow).await.trend;
    assert_eq!((trend.step, trend.buckets.len()), (CalendarUnit::Hour, 24));
}

/// Asserts that the buckets, `before` and `after` sum up to the totals.
fn assert_trend_adds_up(page: &DashboardTokenMetrics) {
    let mut sums = page.trend.before;
    page.trend.buckets.iter().for_each(|bucket| sums.add(&bucket.sums));
    sums.add(&page.trend.after);
    assert_eq!(sums, page.totals, "{page:?}");
}

fn beyond(page: &DashboardTokenMetrics) -> [(u64, u64); 2] {
    [page.trend.before, page.trend.after].map(|sums| (sums.responses, sums.counts.total()))
}

#[tokio::test]
async fn implausible_times_are_counted_outside_the_axis() {
    let rows = [
        timed("s", 1, 1, "1970-01-01T00:00:00Z"),
        timed("s", 2, 2, "2019-12-31T23:59:59.999Z"),
        timed("s", 3, 4, "2026-02-27T10:00:00Z"),
        timed("s", 4, 8, "2205-01-05T00:00:00Z"),
        timed("s", 5, 16, "2299-12-31T23:59:59.999Z"),
    ];
    let dashboard = holding(&rows).await;
    for step in [CalendarUnit::Hour, CalendarUnit::Day, CalendarUnit::Month] {
        let page = ask(&dashboard, DashboardQuery::default().by(step, TimeZone::UTC)).await;
        assert_eq!((page.trend.step, outputs(&page.trend.buckets).iter().sum::<u64>()), (step, 4));
        assert_eq!(beyond(&page), [(2, 3), (2, 24)]);
        assert_trend_adds_up(&page);
        // They do not make a stale store look fresh either.
        assert_eq!(page.data_age.newest_response, Some(at("2026-02-27T10:00:00Z")));
    }
    let days = ask(&dashboard, TimeRange::ALL).await.trend.buckets;
    assert_eq!(outputs(&days), [4, 0, 0]);

    // With one open end, the other end is as requested.
    let from = TimeRange { start: Some(at("2026-02-01T00:00:00Z")), end: None };
    let page = ask(&dashboard, from).await;
    assert_eq!((page.trend.buckets.len(), beyond(&page)), (29, [(0, 0), (2, 24)]));
    assert_trend_adds_up(&page);
    let until = TimeRange { start: None, end: Some(at("2206-01-01T00:00:00Z")) };
    let page = ask(&dashboard, DashboardQuery::new(until).by(CalendarUnit::Month, TimeZone::UTC)).await;
    assert_eq!((page.trend.buckets.len(), beyond(&page)), (179 * 12 + 11, [(2, 3), (0, 0)]));
    assert_trend_adds_up(&page);
    let explicit = TimeRange { start: Some(at("2205-01-01T00:00:00Z")), end: None };
    let page = ask(&dashboard, DashboardQuery::new(explicit).by(CalendarUnit::Month, TimeZone::UTC)).await;
    assert_eq!((page.trend.buckets.len(), beyond(&page)), (95 * 12, [(0, 0); 2]));
    assert_trend_adds_up(&page);
}

#[tokio::test]
async fn implausible_times_alone_yield_totals_without_an_axis() {
    let rows = [timed("s", 1, 1, "1999-01-01T00:00:00Z"), timed("s", 2, 2, "2205-01-05T00:00:00Z")];
    let page = ask(&holding(&rows).await, TimeRange::ALL).await;
    assert_eq!((page.trend.buckets.len(), beyond(&page)), (0, [(1, 1), (1, 2)]));
    assert_trend_adds_up(&page);
}

#[tokio::test]
async fn times_up_to_a_day_ahead_are_plausible() {
    let ahead = Timestamp::from_millis(now().as_millis() + 86_400_000 - 1).unwrap();
    for (millis, is_plausible) in [(0, true), (1, false)] {
        let time = Timestamp::from_millis(ahead.as_millis() + millis).unwrap();
        let rows = [
            ResponseUsage { time: now(), ..response("s", 1, 1) },
            ResponseUsage { time, ..response("s", 2, 2) },
        ];
        let hours = DashboardQuery::default().by(CalendarUnit::Hour, TimeZone::UTC);
        let page = ask(&holding(&rows).await, hours).await;
        assert_eq!(
            (page.trend.buckets.len() > 1, page.trend.after.responses == 0),
            (is_plausible, is_plausible)
        );
        assert_trend_adds_up(&page);
    }
}

#[tokio::test]
async fn a_page_totals_the_groups_on_other_pages() {
    let rows: Vec<_> = (0_u64..10)
        .map(|n| ResponseUsage { finished: n % 2 == 0, ..response(&format!("s{n}"), u128::from(n), 10 * n) })
        .collect();
    let page = GroupPage::top(3).sorted(GroupOrder::Name, Direction::Ascending).after(2);
    let query = DashboardQuery::default().list_sessions(page).without_receipt();
    let metrics = ask(&holding(&rows).await, query).await;
    let names: Vec<_> = metrics.sessions.rows.iter().map(|row| &*row.name).collect();
    assert_eq!((names, metrics.sessions.groups), (vec!["s2", "s3", "s4"], 10));
    assert_eq!((metrics.sessions.other_responses, metrics.sessions.other_tokens), (7, 450 - 90));
    // One of the ten responses has no tokens, and five of the others are unfinished.
    let completeness = metrics.completeness;
    assert_eq!((completeness.at_least, completeness.responses, completeness.unfinished), (true, 9, 5));
    assert!((completeness.undercount_percentage - 500.0 / 9.0).abs() < 1e-9);
    assert!(metrics.receipt.is_none());
    let json = serde_json::to_string(&metrics).unwrap();
    assert_eq!(serde_json::from_str::<DashboardTokenMetrics>(&json).unwrap(), metrics);
}

#[tokio::test]
async fn a_query_lists_the_dimensions_that_it_names() {
    let mut row = response("s", 1, 10);
    row.thinking_tokens = Some(4);
    row.attribution.skill = AttributionValue::new("pdf").ok();
    let dashboard = holding(&[row, response("s", 2, 5)]).await;
    let query = DashboardQuery::default().without_lists().list(Dimension::Skill, GroupPage::top(1));
    let metrics = ask(&dashboard, query.clone()).await;
    let skills = metrics.breakdown(&Dimension::Skill).unwrap();
    assert_eq!((&*skills.rows[0].name, skills.groups, skills.other_tokens), ("pdf", 2, 5));
    assert_eq!((metrics.breakdown(&Dimension::Branch), metrics.sessions.groups), (None, 0));
    assert!(metrics.totals.extra.is_empty() && metrics.receipt.is_some_and(|receipt| receipt.adds_up()));
    let metrics = ask(&dashboard, query.with_extra_counts()).await;
    assert_eq!(metrics.totals.extra.thinking_tokens, Some(4));
    let json = serde_json::to_string(&metrics).unwrap();
    assert_eq!(serde_json::from_str::<DashboardTokenMetrics>(&json).unwrap(), metrics);
}

#[tokio::test]
async fn the_previous_period_is_under_the_same_filter() {
    let rows = [
        timed("s", 1, 1, "2026-02-22T12:00:00Z"),
        timed("s", 2, 2, "2026-02-15T00:00:00Z"),
        timed("other", 3, 4, "2026-02-16T00:00:00Z"),
        timed("s", 4, 8, "2026-02-14T23:59:59Z"),
        timed("s", 5, 16, "2026-02-27T00:00:00Z"),
    ];
    let dashboard = holding(&rows).await;
    let range = |start, end: &str| TimeRange { start: Some(at(start)), end: Some(at(end)) };
    let week = range("2026-02-22T00:00:00Z", "2026-03-01T00:00:00Z");
    let query = DashboardQuery::new(week).of_sessions(["s".parse().unwrap()]).with_previous_period();
    let metrics = ask(&dashboard, query).await;
    let previous = metrics.previous.unwrap();
    assert_eq!(previous.range, range("2026-02-15T00:00:00Z", "2026-02-22T00:00:00Z"));
    assert_eq!((metrics.total_tokens, previous.totals.counts.total()), (17, 2));
    let all = ask(&dashboard, DashboardQuery::default().with_previous_period()).await;
    assert_eq!(all.previous, None);
}

/// A store whose first response time is `first` of the number of reads so far.
fn beginning_at(
    first: impl Fn(u32) -> Timestamp + Send + Sync + 'static,
) -> (Arc<AtomicU32>, MockTokenStore) {
    let reads = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&reads);
    let mut store = MockTokenStore::new();
    store.expect_dashboard().returning(move |_| {
        let mut data = DashboardData::default();
        data.totals.first_time = Some(first(counted.fetch_add(1, Ordering::Relaxed)));
        data.totals.last_time = Some(now());
        let start = data.totals.first_time.unwrap();
        data.trend = vec![TrendSums { start, sums: data.totals }];
        Ok(data)
    });
    (reads, store)
}

#[tokio::test]
async fn a_page_takes_one_read_once_the_start_is_known() {
    let (reads, store) = beginning_at(|_| at("2026-02-27T10:00:00Z"));
    let dashboard = adapter(Arc::new(store));
    for expected in [2, 3, 4] {
        assert_eq!(ask(&dashboard, TimeRange::ALL).await.trend.buckets.len(), 3);
        assert_eq!(reads.load(Ordering::Relaxed), expected);
    }
    ask(&dashboard, TimeRange::last_days(now(), 7)).await;
    assert_eq!(reads.load(Ordering::Relaxed), 5);
}

/// This happens during a backfill.
#[tokio::test]
async fn a_store_growing_into_the_past_is_shown() {
    let (reads, store) = beginning_at(|read| at(&format!("{}-01-01T00:00:00Z", 2025 - read)));
    let trend = ask(&adapter(Arc::new(store)), TimeRange::ALL).await.trend;
    assert_eq!((trend.buckets[0].start, reads.load(Ordering::Relaxed)), (at("2024-01-01T00:00:00Z"), 2));
}

#[tokio::test]
async fn an_incomplete_trend_is_never_shown() {
    let moves = |read| if read % 2 == 0 { at("2026-02-27T10:00:00Z") } else { at("2020-01-01T00:00:00Z") };
    let (_, store) = beginning_at(moves);
    let query = DashboardQuery::default().by(CalendarUnit::Hour, TimeZone::UTC);
    let error = adapter(Arc::new(store)).get_dashboard_token_metrics(query).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Busy, .. }), "{error}");
}

/// The local time at an instant, truncated to the step.
fn label(step: CalendarUnit, zone: &TimeZone, time: Timestamp) -> String {
    let local = zone.local(time);
    match step {
        CalendarUnit::Hour => format!("{} {}", &local[..13], &local[19..]),
        CalendarUnit::Month => local[..7].to_owned(),
        _ => local[..10].to_owned(),
    }
}

proptest! {
    /// Each bucket holds the responses of its local hour, day or month, without omissions or gaps.
    #[test]
    fn buckets_hold_the_responses_of_their_label(
        rows in prop::collection::vec((response_usage(), 0_i64..400 * 24 * 60), 0..30),
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
        ]),
        step in prop::sample::select(vec![CalendarUnit::Hour, CalendarUnit::Day, CalendarUnit::Month]),
    ) {
        let zone: TimeZone = zone.parse().unwrap();
        let rows: Vec<_> = rows.into_iter().zip(0..).map(|((row, minutes), key)| {
            let time = Timestamp::from_millis(now().as_millis() - minutes * 60_000).unwrap();
            ResponseUsage { key: bridge::ResponseKey(key), time, ..row }
        }).collect();
        // Half a year, so that hours are not coarsened.
        let start = Timestamp::from_millis(now().as_millis() - 150 * 86_400_000).unwrap();
        let range = TimeRange { start: Some(start), end: Some(now()) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let metrics = runtime.block_on(async {
            ask(&holding(&rows).await, DashboardQuery::new(range).by(step, zone.clone())).await
        });
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows.iter().filter(|row| range.contains(row.time)) {
            *expected.entry(label(step, &zone, row.time)).or_default() += row.counts.total();
        }
        let mut shown: BTreeMap<String, u64> = BTreeMap::new();
        for bucket in metrics.trend.buckets.iter().filter(|bucket| bucket.sums.responses > 0) {
            *shown.entry(label(step, &zone, bucket.start)).or_default() += bucket.sums.counts.total();
        }
        prop_assert_eq!(shown, expected);
        prop_assert_eq!(metrics.trend.step, step);
        prop_assert!(metrics.trend.buckets.windows(2).all(|pair| pair[0].end == pair[1].start));
        prop_assert!(metrics.trend.buckets.first().is_some_and(|bucket| bucket.start <= start));
        prop_assert!(metrics.trend.buckets.last().is_some_and(|bucket| bucket.end >= now()));
    }
}
