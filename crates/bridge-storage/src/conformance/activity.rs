//! Promises about what happened in sessions.

use std::time::Duration;

use bridge_core::{ActiveTime, ActivityFacts, AttributionValue, SessionActivity, ToolCalls, ToolName};

use super::sources::{activity, record};
use super::{at, host, response, session};
use crate::{SourceFilter, SourceRecord, SummaryFilter, TokenStore, UpsertOptions, activity_facts};

/// A session's activity counts each of its files once, though copies lie on other hosts and in other files, and the
/// time of files that ran at once is not added up. What is not known is not zero.
pub async fn activity_counts_each_file_once(store: &dyn TokenStore) {
    let mut other = response(2, 0);
    other.session = session("unknown");
    store.upsert(&[response(1, 20), other], &UpsertOptions::default()).await.unwrap();
    let file = |path: &str, offset: u64, turns: u64, runs: &[(u32, u32)]| SourceRecord {
        activity: Some(Box::new(SessionActivity {
            active: ActiveTime::of_runs(runs.iter().copied()),
            ..activity(turns)
        })),
        ..record(path, at(5), offset)
    };
    let copy = SourceRecord { host: host("i"), ..file("elsewhere/s.jsonl", 12, 4, &[(10, 11)]) };
    let records = [
        file("p/s.jsonl", 10, 3, &[(10, 11), (31, 32), (100, 101)]),
        copy,
        // It is longer, but not named after the session.
        file("q/another.jsonl", 90, 50, &[(200, 203)]),
        file("p/s/subagents/agent-a.jsonl", 5, 0, &[(10, 15)]),
        file("r\\s\\subagents\\agent-a.jsonl", 4, 9, &[(12, 16)]),
        file("p/s/subagents/agent-b.jsonl", 5, 0, &[]),
        SourceRecord { activity: None, ..record("p/old.jsonl", at(5), 500) },
        SourceRecord { activity: None, session: session("unknown"), ..record("p/u.jsonl", at(5), 5) },
    ];
    store.put_sources(&records).await.unwrap();

    let summaries = store.summaries(&SummaryFilter::default().with_metadata(true)).await.unwrap();
    let found = |name: &str| {
        let summary =
            summaries.iter().find(|summary| summary.session_id == session(name)).expect("a session");
        summary.metadata.as_ref().expect("it was asked for").activity.clone()
    };
    let facts = found("s").expect("it is known");
    let mut tool_calls = ToolCalls::default();
    tool_calls.add(ToolName::new("Bash").ok(), 21);
    tool_calls.add(None, 6);
    let expected = ActivityFacts {
        turns: 4,
        tool_calls,
        api_errors: 15,
        api_retries: 18,
        limits_hit: 12,
        first_time: Some(at(-3)),
        last_time: Some(at(30)),
        // The steps 10 to 16, a pause of 15 steps, one step, one step, three steps.
        active_time: Duration::from_secs(15 * (6 + 15 + 1 + 1 + 3)),
        kind: AttributionValue::new("bg").ok(),
        entrypoint: AttributionValue::new("cli").ok(),
        parent: Some(session("parent")),
        subagents: 2,
    };
    assert_eq!(facts, expected);
    let of_session = records.iter().filter(|record| record.session == session("s"));
    assert_eq!(activity_facts(of_session.clone(), ActivityFacts::PAUSE), Some(expected));
    let unpaused = activity_facts(of_session, Duration::ZERO).expect("it is known");
    assert_eq!(unpaused.active_time, Duration::from_secs(15 * (6 + 1 + 1 + 3)));
    assert_eq!(found("unknown"), None);
}

/// Records of forked sessions, and of those that hit a limit, are found among others.
pub async fn forks_and_limits_are_found(store: &dyn TokenStore) {
    let with = |path: &str, activity: Option<SessionActivity>| SourceRecord {
        activity: activity.map(Box::new),
        ..record(path, at(5), 10)
    };
    let free = SessionActivity { limits_hit: 0, parent: Some(session("other")), ..activity(1) };
    let records = [
        with("a", Some(activity(1))),
        with("b", Some(free)),
        with("c", Some(SessionActivity { parent: None, ..activity(1) })),
        with("d", None),
    ];
    store.put_sources(&records).await.unwrap();
    let read = |filter: SourceFilter| async move {
        let found = store.sources(&filter).await.unwrap();
        found.into_iter().map(|record| record.path.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(read(SourceFilter::default().forked_from(session("parent"))).await, ["a"]);
    assert_eq!(read(SourceFilter::default().forked_from(session("other"))).await, ["b"]);
    assert!(read(SourceFilter::default().forked_from(session("s"))).await.is_empty());
    assert_eq!(read(SourceFilter::default().limited()).await, ["a", "c"]);
    let both = SourceFilter::default().limited().forked_from(session("parent"));
    assert_eq!(read(both.of_sessions(vec![session("s")])).await, ["a"]);
}
