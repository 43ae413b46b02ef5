//! Promises of the dashboard.

use std::collections::BTreeMap;

use bridge_core::strategy::OUTLYING_MILLIS;
use bridge_core::{
    CalendarUnit, ContentCategories, DamageCounts, ResponseUsage, RuleRevision, StoreReceipt, TimeRange,
    TimeZone, Timestamp,
};
use proptest::prelude::*;

use super::{Rows, at, host, project, response, session};
use crate::{
    DashboardData, DashboardFilter, Dimension, Direction, GroupList, GroupOrder, GroupPage, InMemoryStore,
    ReceiptScope, ResponseFilter, SourceCursor, SourceRecord, SummaryFilter, TokenStore, UpsertOptions,
    UsageSums,
};

/// The number of calls that write, each followed by dashboards of all kinds.
const STEPS: usize = 25;

async fn put(store: &dyn TokenStore, rows: &[ResponseUsage]) {
    store.upsert(rows, &UpsertOptions::default()).await.unwrap();
}

fn names(list: &GroupList) -> Vec<&str> {
    list.rows.iter().map(|row| &*row.name).collect()
}

/// An empty store has a dashboard: with nothing in it, and a receipt that adds up.
pub async fn an_empty_store_has_an_empty_dashboard(store: &dyn TokenStore) {
    let breakdowns: BTreeMap<_, _> =
        DashboardFilter::CLASSIC_BREAKDOWNS.map(|dimension| (dimension, GroupList::default())).into();
    let receipt = Some(StoreReceipt::default());
    let empty = DashboardData { receipt, breakdowns, ..DashboardData::default() };
    assert_eq!(store.dashboard(&DashboardFilter::default()).await.unwrap(), empty);
    let filter = DashboardFilter {
        trend_starts: vec![at(0)],
        receipt: ReceiptScope::Omitted,
        breakdowns: BTreeMap::new(),
        ..DashboardFilter::default()
    };
    assert_eq!(store.dashboard(&filter).await.unwrap(), DashboardData::default());
}

/// Rows are sorted and paged as asked for, by each dimension on its own; the number of all rows is returned.
pub async fn breakdowns_of_a_dashboard_are_sorted_and_paged(store: &dyn TokenStore) {
    let row = |key, name: &str, output, late| ResponseUsage {
        session: session(name),
        project: project(name),
        host: Some(host("h")),
        time: at(late),
        ..response(key, output)
    };
    put(
        store,
        &[row(1, "a", 5, 9), row(2, "b", 5, 8), row(3, "c", 7, 1), row(4, "d", 1, 5), row(5, "d", 1, 6)],
    )
    .await;
    let page = GroupPage::top(10);
    for (order, direction, expected) in [
        (GroupOrder::Tokens, Direction::Descending, ["c", "a", "b", "d"]),
        (GroupOrder::Tokens, Direction::Ascending, ["d", "a", "b", "c"]),
        (GroupOrder::Input, Direction::Descending, ["a", "b", "c", "d"]),
        (GroupOrder::Responses, Direction::Descending, ["d", "a", "b", "c"]),
        (GroupOrder::LastTime, Direction::Descending, ["a", "b", "d", "c"]),
        (GroupOrder::LastTime, Direction::Ascending, ["c", "d", "b", "a"]),
        (GroupOrder::Name, Direction::Ascending, ["a", "b", "c", "d"]),
        (GroupOrder::Name, Direction::Descending, ["d", "c", "b", "a"]),
    ] {
        let sessions = page.sorted(order, direction);
        for (offset, limit) in [(0, 10), (1, 2), (3, 5), (4, 1), (9, 9), (0, 0), (u32::MAX, u32::MAX)] {
            let sessions = GroupPage { offset, limit, ..sessions };
            let filter = DashboardFilter::default().with_breakdown(Dimension::Session, sessions);
            let data = store.dashboard(&filter).await.unwrap();
            let wanted: Vec<_> = expected.into_iter().skip(offset as usize).take(limit as usize).collect();
            let list = |dimension| &data.breakdowns[&dimension];
            assert_eq!(names(list(Dimension::Session)), wanted, "{sessions:?}");
            assert_eq!(list(Dimension::Session).groups, 4, "{sessions:?}");
            assert_eq!(names(list(Dimension::Host)), ["h"], "{sessions:?}");
            assert_eq!(names(list(Dimension::Project)), ["c", "a", "b", "d"], "{sessions:?}");
            assert!(data.receipt.is_some_and(|receipt| receipt.total.count == 5), "{sessions:?}");
        }
    }
}

/// A response counts in the last step at or before its time, and in the first if it is before all.
pub async fn steps_of_a_trend_begin_inside(store: &dyn TokenStore) {
    let row = |key, late| ResponseUsage { time: at(late), ..response(key, 1 << key) };
    put(store, &[row(0, -1), row(1, 0), row(2, 9), row(3, 10), row(4, 30), row(5, 1_000_000)]).await;
    let trend_starts = vec![at(0), at(10), at(20), at(30)];
    let data =
        store.dashboard(&DashboardFilter { trend_starts, ..DashboardFilter::default() }).await.unwrap();
    let steps: Vec<_> = data.trend.iter().map(|step| (step.start, step.sums.counts.output)).collect();
    assert_eq!(steps, [(at(0), 0b111), (at(10), 0b1000), (at(30), 0b11_0000)]);
    assert_eq!((data.totals.first_time, data.totals.last_time), (Some(at(-1)), Some(at(1_000_000))));
}

/// A response may be of any time of [`Timestamp`]: no date, step, sum or filter takes it for one of another time.
pub async fn times_at_the_ends_of_types_are_kept_as_they_are(store: &dyn TokenStore) {
    let times = OUTLYING_MILLIS.map(|millis| Timestamp::from_millis(millis).expect("a time in range"));
    let row = |(key, time)| ResponseUsage { time, ..response(key, 1 << key) };
    put(store, &(0_u128..).zip(times).map(row).collect::<Vec<_>>()).await;

    let all = ResponseFilter::default();
    let days = store.breakdown(Dimension::Day, &all, None).await.unwrap();
    let days: Vec<_> = days.iter().map(|day| (&*day.name, day.totals.counts.output)).collect();
    let expected = times.map(|time| time.to_string()[..10].to_owned());
    assert_eq!(days, (0_u32..).zip(&expected).map(|(key, day)| (&**day, 1 << key)).collect::<Vec<_>>());

    let summary = store.summaries(&SummaryFilter::default()).await.unwrap().remove(0);
    assert_eq!((summary.first_time, summary.last_time), (Timestamp::MIN, Timestamp::MAX));

    let filter = DashboardFilter { trend_starts: times.to_vec(), ..DashboardFilter::default() };
    let data = store.dashboard(&filter).await.unwrap();
    let steps: Vec<_> = data.trend.iter().map(|step| (step.start, step.sums.counts.output)).collect();
    assert_eq!(steps, (0_u32..).zip(times).map(|(key, time)| (time, 1 << key)).collect::<Vec<_>>());
    assert_eq!((data.totals.first_time, data.totals.last_time), (Some(times[0]), Some(times[7])));

    for (key, pair) in (0_u32..).zip(times.windows(2)) {
        let filter = ResponseFilter::in_time(TimeRange { start: Some(pair[0]), end: Some(pair[1]) });
        assert_eq!(store.totals(&filter).await.unwrap().counts.output, 1 << key, "{pair:?}");
        let read = store.responses(&filter).await.unwrap();
        assert_eq!(read.iter().map(|row| row.time).collect::<Vec<_>>(), [pair[0]]);
    }
}

fn source(path: &str, name: &str, snapshots: u64, snapshot_tokens: u64, read: i64) -> SourceRecord {
    SourceRecord {
        host: host("h"),
        path: path.into(),
        session: session(name),
        project: None,
        cursor: SourceCursor {
            size: 1,
            modified: at(read),
            changed_nanos: at(read).as_millis().unsigned_abs() * 1_000_000,
            identity: 0,
            fingerprint: 0,
            offset: 1,
            line: 1,
            carried_time: None,
            carried_before: 0,
        },
        lines: 1,
        damage: DamageCounts::default(),
        content_categories: ContentCategories::default(),
        snapshots,
        snapshot_tokens,
        first_time: None,
        last_time: None,
        activity: None,
        analysis_version: "v".to_owned(),
        rule_revision: RuleRevision::CURRENT,
        read_at: at(read),
        epoch: bridge_core::Epoch::default(),
    }
}

/// Read plus kept minus repeated is the total: of the whole store, under any filter.
pub async fn the_receipt_of_a_store_adds_up(store: &dyn TokenStore) {
    let row = |key, name: &str, output| ResponseUsage { session: session(name), ..response(key, output) };
    put(store, &[row(1, "read", 10), row(2, "read", 5), row(3, "rewritten", 7), row(4, "rewritten", 3)])
        .await;
    put(store, &[row(5, "without a file", 2)]).await;
    let sources = [
        source("a", "read", 5, 33, 1),
        source("b", "read", 1, 10, 9),
        source("c", "rewritten", 1, 3, 2),
        source("d", "no response", 4, 0, 3),
    ];
    store.put_sources(&sources).await.unwrap();
    let of_one = ResponseFilter::of_sessions(vec![session("rewritten")]).with_values(Dimension::Host, [""]);
    for responses in [ResponseFilter::default(), of_one, ResponseFilter::of_sessions(Vec::new())] {
        let filter = DashboardFilter { responses, ..DashboardFilter::default() };
        let data = store.dashboard(&filter).await.unwrap();
        let receipt = data.receipt.expect("it was asked for");
        let lines = [receipt.read, receipt.kept, receipt.repeated, receipt.total];
        let lines = lines.map(|line| (line.count, line.tokens));
        assert_eq!(lines, [(11, 46), (2, 9), (8, 28), (5, 27)], "{filter:?}");
        assert!(receipt.adds_up());
        assert_eq!(data.last_sync, Some(at(9)));
        assert!(!names(&data.breakdowns[&Dimension::Session]).contains(&"no response"));
    }
}

/// With any filter, page and zone, after any stores, the dashboard is that of the model, and adds up in itself.
pub async fn any_dashboard_is_what_the_model_gives(store: &dyn TokenStore) {
    let model = InMemoryStore::default();
    let mut rows = Rows::new(4);
    for step in 0..STEPS {
        let number = rows.draw(&(0_usize..8));
        let written = rows.rows(number);
        let read = rows.draw(&(0_i64..5));
        let sources = [source(&format!("{}", step % 3), &format!("n{}", step % 4), 2, 7 * step as u64, read)];
        for store in [store, &model] {
            put(store, &written).await;
            store.put_sources(&sources).await.unwrap();
        }
        for _ in 0..4 {
            let filter = rows.draw(&dashboard_filter());
            let data = store.dashboard(&filter).await.unwrap();
            assert_eq!(data, model.dashboard(&filter).await.unwrap(), "step {step}: {filter:?}");
        }
        let mut all = DashboardFilter {
            trend_starts: vec![at(0)],
            trend_by: Some(Dimension::Model),
            ..DashboardFilter::default()
        };
        for dimension in Dimension::ALL {
            all = all.with_breakdown(dimension.clone(), GroupPage::default());
        }
        assert_adds_up(&store.dashboard(&all).await.unwrap());
    }
}

/// The parts of one answer agree with each other while writers write.
///
/// Each write moves responses from one session, project, model, host and day to another, so data that were
/// read one after the other would disagree.
pub async fn one_answer_is_consistent_while_writers_write(store: &dyn TokenStore) {
    let write = async {
        for version in 1_u64..=60 {
            let name = format!("n{}", version % 7);
            let rows: Vec<_> = (0..40).map(|key| moving(key, version, &name)).collect();
            put(store, &rows).await;
        }
    };
    let read = async {
        let day = |day: i64| at(day * 86_400_000);
        let all = DashboardFilter { trend_starts: (0..7).map(day).collect(), ..DashboardFilter::default() };
        for _ in 0..60 {
            let data = store.dashboard(&all).await.unwrap();
            assert_adds_up(&data);
            // An upsert is seen whole or not at all.
            assert!(data.totals.responses % 40 == 0 && data.totals.counts.output % 40 == 0, "{data:?}");
            assert!(data.breakdowns[&Dimension::Session].groups <= 1, "{data:?}");
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(write, read);
}

fn moving(key: u128, version: u64, name: &str) -> ResponseUsage {
    ResponseUsage {
        session: session(name),
        project: project(name),
        host: Some(host(name)),
        model: name.parse().ok(),
        time: at(i64::try_from(version % 7).unwrap() * 86_400_000),
        ..response(key, version)
    }
}

/// Each breakdown, where its page lists all rows, and the trend add up to the totals; the receipt to itself.
fn assert_adds_up(data: &DashboardData) {
    for list in data.breakdowns.values().filter(|list| list.rows.len() as u64 == list.groups) {
        assert_eq!(added(list.rows.iter().map(|row| &row.sums)), data.totals, "{data:?}");
    }
    assert_eq!(added(data.trend.iter().map(|step| &step.sums)), data.totals, "{data:?}");
    if !data.split_trend.is_empty() {
        assert_eq!(added(data.split_trend.iter().map(|split| &split.sums)), data.totals, "{data:?}");
    }
    let receipt = data.receipt.expect("it was asked for");
    assert!(receipt.adds_up(), "{data:?}");
    let total = (receipt.total.count, receipt.total.tokens);
    assert_eq!(total, (data.totals.responses, data.totals.counts.total()), "{data:?}");
}

fn added<'a>(sums: impl Iterator<Item = &'a UsageSums>) -> UsageSums {
    let mut added = UsageSums::default();
    sums.for_each(|sums| added.add(sums));
    added
}

pub(super) fn dashboard_filter() -> impl Strategy<Value = DashboardFilter> {
    let breakdowns = prop::collection::btree_map(dimension(), group_page(), 0..5);
    let receipt = prop_oneof![Just(ReceiptScope::Store), Just(ReceiptScope::Omitted)];
    let trend_by = prop::option::of(dimension());
    (response_filter(), breakdowns, any::<bool>(), trend_starts(), trend_by, receipt).prop_map(
        |(responses, breakdowns, extra_counts, trend_starts, trend_by, receipt)| DashboardFilter {
            responses,
            breakdowns,
            extra_counts,
            cost: false,
            prices: None,
            trend_starts,
            trend_by,
            receipt,
        },
    )
}

pub(super) fn dimension() -> impl Strategy<Value = Dimension> {
    let labels = ["tenant", "environment"].map(|name| Dimension::label(name).unwrap());
    prop::sample::select([Dimension::ALL, &labels].concat())
}

/// The times of the rows are the first milliseconds of three days.
pub(super) fn response_filter() -> impl Strategy<Value = ResponseFilter> {
    let end = || prop::option::of((0_i64..4, 0_i64..4).prop_map(|(days, ms)| at(days * 86_400_000 + ms)));
    let value = prop_oneof![
        8 => (0..4).prop_map(|n| format!("n{n}")),
        4 => Just(String::new()),
        1 => Just("assistant".to_owned()),
        1 => Just("2025-06-16".to_owned()),
        1 => Just("'\\?".to_owned()),
    ];
    let condition = (dimension(), any::<bool>(), prop::collection::vec(value, 0..4));
    (end(), end(), prop::collection::vec(condition, 0..3)).prop_map(|(start, end, conditions)| {
        let filter = ResponseFilter::in_time(TimeRange { start, end });
        conditions.into_iter().fold(filter, |filter, (dimension, only, values)| match only {
            true => filter.with_values(dimension, values),
            false => filter.without_values(dimension, values),
        })
    })
}

fn group_page() -> impl Strategy<Value = GroupPage> {
    let orders = [
        GroupOrder::Tokens,
        GroupOrder::Input,
        GroupOrder::Output,
        GroupOrder::CacheCreation,
        GroupOrder::CacheRead,
        GroupOrder::Responses,
        GroupOrder::Cost,
        GroupOrder::LastTime,
        GroupOrder::Name,
    ];
    let directions = [Direction::Ascending, Direction::Descending];
    (prop::sample::select(orders.to_vec()), prop::sample::select(directions.to_vec()), 0_u32..3, 0_u32..5)
        .prop_map(|(order, direction, offset, limit)| GroupPage { order, direction, offset, limit })
}

fn trend_starts() -> impl Strategy<Value = Vec<Timestamp>> {
    let steps = [CalendarUnit::Hour, CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month];
    let zones = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"];
    (0_usize..5, 0_usize..5, -3_i64..4).prop_map(move |(step, zone, days)| {
        let Some(step) = steps.get(step) else { return Vec::new() };
        let zone: TimeZone = zones[zone].parse().unwrap();
        step.bounds(at(days * 86_400_000), at(4 * 86_400_000), &zone, 1_000).unwrap()
    })
}
