//! Promises about reading.

use bridge_core::{ResponseUsage, TimeRange, Timestamp};

use super::{at, project, response, session};
use crate::{Dimension, ResponseFilter, SummaryFilter, TokenStore, UpsertOptions};

async fn put(store: &dyn TokenStore, rows: &[ResponseUsage]) {
    store.upsert(rows, &UpsertOptions::default()).await.unwrap();
}

/// A range that holds the time of a replaced row, and not that of its successor, holds neither.
pub async fn a_time_filter_never_brings_back_a_replaced_row(store: &dyn TokenStore) {
    let early = response(1, 5);
    let late = ResponseUsage { time: at(86_400_000), ..response(1, 6) };
    put(store, &[early]).await;
    put(store, &[late]).await;
    let until = |end| TimeRange { start: None, end: Some(at(end)) };
    let output =
        |time| async move { store.totals(&ResponseFilter::in_time(time)).await.unwrap().counts.output };
    assert_eq!(output(until(1)).await, 0);
    assert_eq!(output(until(86_400_000)).await, 0);
    assert_eq!(output(until(86_400_001)).await, 6);
    assert_eq!(output(TimeRange { start: Some(at(86_400_000)), end: None }).await, 6);
    assert!(store.responses(&ResponseFilter::in_time(until(1))).await.unwrap().is_empty());
    assert!(store.summaries(&SummaryFilter::active_in(until(1))).await.unwrap().is_empty());
}

/// The greatest comes first, equal ones by name; days in their order.
pub async fn breakdowns_are_ordered_and_limited(store: &dyn TokenStore) {
    let row = |key, output, name: &str, days: i64| ResponseUsage {
        project: project(name),
        time: at(days * 86_400_000),
        ..response(key, output)
    };
    let nameless = ResponseUsage { project: None, ..response(9, 1) };
    put(store, &[row(1, 5, "b", 2), row(2, 5, "a", 0), row(3, 7, "c", 1), row(4, 1, "c", 2), nameless]).await;
    let names = |dimension, limit| async move {
        let rows = store.breakdown(dimension, &ResponseFilter::default(), limit).await.unwrap();
        rows.into_iter().map(|row| (row.name, row.totals.counts.output)).collect::<Vec<_>>()
    };
    let expect = |rows: &[(&str, u64)]| rows.iter().map(|(n, t)| ((*n).to_owned(), *t)).collect::<Vec<_>>();
    assert_eq!(names(Dimension::Project, None).await, expect(&[("c", 8), ("a", 5), ("b", 5), ("", 1)]));
    assert_eq!(names(Dimension::Project, Some(2)).await, expect(&[("c", 8), ("a", 5)]));
    let days = expect(&[("2025-06-15", 6), ("2025-06-16", 7), ("2025-06-17", 6)]);
    assert_eq!(names(Dimension::Day, None).await, days);
    assert_eq!(names(Dimension::Session, None).await, expect(&[("s", 19)]));
    // A `Date` of the database ends in 2149 and begins again in 1970.
    put(store, &[ResponseUsage { time: Timestamp::MAX, ..response(10, 3) }]).await;
    let far = names(Dimension::Day, None).await.pop();
    assert_eq!(far, Some(("2299-12-31".to_owned(), 3)));
}

/// Pages of summaries follow each other without gaps and repetitions, whatever the ids contain.
pub async fn pages_of_summaries_add_up_to_the_list(store: &dyn TokenStore) {
    let ids = ["Z", "a", "a'?", "b", "\u{e9}", "\u{1f980}"];
    let rows = (1..).zip(ids).map(|(key, id)| ResponseUsage { session: session(id), ..response(key, 1) });
    put(store, &rows.collect::<Vec<_>>()).await;
    for limit in [1, 4, 6, 7] {
        let (mut listed, mut page) = (Vec::new(), SummaryFilter::default().with_limit(limit));
        loop {
            let summaries = store.summaries(&page).await.unwrap();
            assert!(summaries.len() <= limit as usize);
            let Some(last) = summaries.last() else { break };
            page = page.after(last.session_id.clone());
            listed.extend(summaries.into_iter().map(|summary| summary.session_id.as_str().to_owned()));
        }
        assert_eq!(listed, ids, "pages of {limit}");
    }
    let none = SummaryFilter::default().with_limit(0);
    assert!(store.summaries(&none).await.unwrap().is_empty());
    let narrowed = SummaryFilter::active_in(TimeRange { start: Some(at(0)), end: Some(at(1)) });
    let narrowed = narrowed.of_sessions(vec![session("a"), session("b")]).after(session("a"));
    let behind = store.summaries(&narrowed).await.unwrap();
    assert_eq!(behind.iter().map(|summary| summary.session_id.as_str()).collect::<Vec<_>>(), ["b"]);
}

/// An empty list of sessions is not the same as none given.
pub async fn filters_without_sessions_admit_nothing(store: &dyn TokenStore) {
    put(store, &[response(1, 5)]).await;
    let none = ResponseFilter::of_sessions(Vec::new());
    assert_eq!(store.totals(&none).await.unwrap().responses, 0);
    assert!(store.responses(&none).await.unwrap().is_empty());
    assert!(store.breakdown(Dimension::Model, &none, None).await.unwrap().is_empty());
    let none = SummaryFilter::default().of_sessions(Vec::new());
    assert!(store.summaries(&none).await.unwrap().is_empty());
    let other = ResponseFilter::of_sessions(vec![session("other")]);
    assert_eq!(store.totals(&other).await.unwrap().responses, 0);
}
