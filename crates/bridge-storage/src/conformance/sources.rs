//! Promises about the records of source files.

use std::collections::BTreeSet;

use bridge_core::{
    ActiveTime, AttributionValue, ContentCategories, ContentCategory, DamageCounts, Epoch, LimitEvent,
    LimitKind, RuleRevision, SessionActivity, Timestamp, ToolCalls, ToolName,
};

use super::{at, host, project, response, session};
use crate::{
    SourceCursor, SourceFilter, SourcePage, SourcePaths, SourceRecord, SummaryFilter, TokenStore,
    UpsertOptions,
};

pub(super) fn record(path: &str, modified: Timestamp, offset: u64) -> SourceRecord {
    let mut damage = DamageCounts::default();
    (damage.bad_lines, damage.bad_usage, damage.oversize_lines, damage.pending_lines) = (1, 2, 3, 4);
    SourceRecord {
        host: host("h"),
        path: path.into(),
        session: session("s"),
        cursor: SourceCursor {
            size: offset + 1,
            modified,
            changed_nanos: modified.as_millis().unsigned_abs() * 1_000_000,
            identity: u64::MAX,
            fingerprint: u128::MAX - 1,
            offset,
            line: 7,
            carried_time: Some(at(3)),
            carried_before: 9,
        },
        project: project("p"),
        lines: offset,
        damage,
        content_categories: ContentCategories::from([(ContentCategory::UserMessages, 10)]),
        snapshots: 2,
        snapshot_tokens: 40,
        first_time: Some(at(0)),
        last_time: Some(at(1)),
        activity: Some(Box::new(activity(3))),
        analysis_version: "v".to_owned(),
        rule_revision: RuleRevision::CURRENT,
        read_at: modified,
        epoch: Epoch::default(),
    }
}

/// An activity with a value in each fact.
pub(super) fn activity(turns: u64) -> SessionActivity {
    let text = |value: &str| AttributionValue::new(value).ok();
    let mut tool_calls = ToolCalls::default();
    tool_calls.add(ToolName::new("Bash").ok(), 7);
    tool_calls.add(None, 2);
    let limit = |resets_at| LimitEvent {
        time: at(2),
        kind: LimitKind::new("five_hour").expect("a kind of limit"),
        resets_at,
    };
    SessionActivity {
        turns,
        tool_calls,
        api_errors: 5,
        api_retries: 6,
        limits_hit: 4,
        limits: BTreeSet::from([limit(None), limit(Some(at(9)))]),
        first_time: Some(at(-3)),
        last_time: Some(at(30)),
        active: ActiveTime::of_runs([(5, 7), (100, 101)]),
        kind: text("bg"),
        entrypoint: text("cli"),
        parent: Some(session("parent")),
        depth: 0,
    }
}

/// Records come back as they were put, by host, path and session.
pub async fn records_of_sources_come_back(store: &dyn TokenStore) {
    let bare = |record: SourceRecord| SourceRecord {
        project: None,
        content_categories: ContentCategories::new(),
        first_time: None,
        last_time: None,
        activity: None,
        cursor: SourceCursor { carried_time: None, ..record.cursor },
        ..record
    };
    let elsewhere = SourceRecord { host: host("i"), ..record("a'b\\ 日本", at(5), 10) };
    let other = SourceRecord { session: session("t"), ..record("b", at(5), 10) };
    let records = [record("a", at(5), 10), record("b", at(6), 5), other, bare(elsewhere)];
    store.put_sources(&records).await.unwrap();
    let read = |filter: SourceFilter| async move { store.sources(&filter).await.unwrap() };
    assert_eq!(read(SourceFilter::default()).await, records);
    assert_eq!(read(SourceFilter::on_host(host("h"))).await, records[..3]);
    let narrow = SourceFilter::on_host(host("h")).of_sessions(vec![session("t")]);
    assert_eq!(read(narrow).await, records[2..3]);
    assert!(read(SourceFilter::default().of_sessions(Vec::new())).await.is_empty());
    let only = |path: &str| SourceFilter::default().of_paths(SourcePaths::Only(path.into()));
    assert_eq!(read(only("b")).await, records[1..3]);
    assert_eq!(read(only("a'b\\ 日本")).await, records[3..]);
    assert!(read(only("c")).await.is_empty());
    // Page by page, also within the records of one file, it is the same.
    for records_max in 1..=4 {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = SourcePage { after: after.take(), records_max };
            let found = read(SourceFilter::on_host(host("h")).page(page)).await;
            assert!(found.len() <= records_max);
            paged.extend_from_slice(&found);
            match found.last() {
                Some(last) if found.len() == records_max => {
                    after = Some((last.path.clone(), last.session.clone()))
                }
                _ => break,
            }
        }
        assert_eq!(paged, records[..3], "{records_max}");
    }
}

/// Streams are found among files, whichever machine they came from.
pub async fn streams_are_told_from_files(store: &dyn TokenStore) {
    let stream = |name: &str, on: &str| SourceRecord { host: host(on), ..record(name, at(5), 10) };
    let records =
        [stream("push", "h"), stream("push:s", "h"), stream("pushed:s", "h"), stream("stream:s3://b/k", "i")];
    store.put_sources(&records).await.unwrap();
    let streams = store.sources(&SourceFilter::default().of_paths(SourcePaths::Streams)).await.unwrap();
    assert_eq!(streams, [records[1].clone(), records[3].clone()]);
    assert!(streams.iter().all(SourceRecord::is_stream));
}

/// A revision that comes after this program's.
const NEWER: u8 = RuleRevision::CURRENT.0 + 1;

fn of_revision(revision: u8, record: SourceRecord) -> SourceRecord {
    SourceRecord { rule_revision: RuleRevision(revision), ..record }
}

async fn lines(store: &dyn TokenStore) -> u64 {
    let summaries = store.summaries(&SummaryFilter::default().with_metadata(true)).await.unwrap();
    summaries[0].metadata.as_ref().expect("it was asked for").lines
}

/// Of two records the one of the later change stays, of equal ones that read further, in any order.
pub async fn the_latest_record_of_a_source_stays(store: &dyn TokenStore) {
    store.upsert(&[response(1, 5)], &UpsertOptions::default()).await.unwrap();
    store.put_sources(&[]).await.unwrap();
    let steps = [
        (record("a", at(5), 10), 10),
        (record("a", at(5), 12), 12),
        (record("a", at(5), 11), 12),
        (record("a", at(4), 90), 12),
        (record("a", at(6), 3), 3),
        (record("b", at(1), 4), 7),
        (record("b", at(1), 4), 7),
        // A newer revision of the rule reads the whole file again, and an older one comes too late for ever.
        (of_revision(NEWER, record("a", at(6), 2)), 6),
        (record("a", at(9), 80), 6),
        (SourceRecord { epoch: Epoch(1), ..record("a", at(9), 80) }, 6),
        (of_revision(1, record("b", at(9), 80)), 6),
        (of_revision(NEWER, record("b", at(1), 4)), 6),
    ];
    for (record, expected) in steps {
        store.put_sources(std::slice::from_ref(&record)).await.unwrap();
        assert_eq!(lines(store).await, expected, "{record:?}");
    }
}

/// A summary has the responses' sums and the files' statistics, the latter only when asked for.
pub async fn summaries_join_responses_and_sources(store: &dyn TokenStore) {
    let mut rows = vec![response(1, 20), response(2, 0), response(3, 10), response(4, 1)];
    rows[1].project = project("q");
    rows[2].finished = false;
    rows[2].time = at(-5);
    rows[3].session = session("without files");
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    store.put_sources(&[record("a", at(5), 10), record("b", at(6), 5)]).await.unwrap();

    let filter = SummaryFilter::default().with_metadata(true);
    let summaries = store.summaries(&filter).await.unwrap();
    let [first, second] = &summaries[..] else { panic!("two sessions: {summaries:?}") };
    assert_eq!((first.session_id.as_str(), first.total_tokens, first.files), ("s", 30, 2));
    assert_eq!((first.responses, first.responses_worth_tokens, first.finished_responses), (3, 2, 1));
    assert_eq!((first.first_time, first.last_time), (at(-5), at(0)));
    assert_eq!(first.projects, project("q").into_iter().collect::<Vec<_>>());
    let metadata = first.metadata.as_ref().expect("it was asked for");
    assert_eq!((metadata.lines, metadata.bad_lines), (15, 2));
    assert_eq!(metadata.content_categories, ContentCategories::from([(ContentCategory::UserMessages, 20)]));
    assert_eq!((metadata.accuracy_ratio, metadata.last_sync), (Some(30.0 / 80.0), Some(at(6))));
    assert_eq!((second.session_id.as_str(), second.files), ("without files", 0));
    let metadata = second.metadata.as_ref().expect("it was asked for");
    assert_eq!((metadata.accuracy_ratio, metadata.last_sync), (None, None));

    let bare = store.summaries(&SummaryFilter::default()).await.unwrap();
    assert!(bare.iter().all(|summary| summary.metadata.is_none()));
}
