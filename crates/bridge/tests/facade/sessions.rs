//! What is known of sessions besides sums.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bridge::sessions::{LimitKind, SessionDetails};
use bridge::storage::{InMemoryStore, SourceFilter, TokenStore};
use bridge::{BackfillOptions, HealthState, Probe, SessionId, SyncOptions, TimeRange};
use bridge_testkit::fixtures::now;

use crate::facade::bridge;

fn session(id: &str) -> SessionId {
    SessionId::new(id).unwrap()
}

/// A record of a session at this minute, with further fields.
fn record(session: &str, minute: u32, rest: &str) -> String {
    format!(r#"{{"sessionId":"{session}","timestamp":"2026-01-31T12:{minute:02}:00Z",{rest}}}"#) + "\n"
}

fn prompt(session: &str, minute: u32) -> String {
    record(session, minute, r#""type":"user","message":{"role":"user","content":"please"}"#)
}

fn response(session: &str, minute: u32, rest: &str) -> String {
    let message = format!(
        r#"{{"id":"msg_{session}{minute:024}","model":"claude-a","content":[{{"type":"tool_use","name":"Bash"}}],"usage":{{"output_tokens":10}}}}"#
    );
    record(session, minute, &format!(r#""type":"assistant","message":{message}{rest}"#))
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A session with a subagent, a fork, and a copy of its file in another folder.
fn write_history(projects: &Path) {
    let main = [
        prompt("parent", 0),
        response("parent", 1, ""),
        response(
            "parent",
            20,
            r#","isApiErrorMessage":true,"quotaLimits":{"status":"rejected","rateLimitType":"five_hour","resetsAt":1769868000}"#,
        ),
    ]
    .concat();
    write(&projects.join("-p/parent.jsonl"), &main);
    write(&projects.join("-q/parent.jsonl"), &main[..main.find('\n').unwrap() + 1]);
    let agent = [prompt("parent", 1), response("parent", 3, r#","isSidechain":true"#)].concat();
    write(&projects.join("-p/parent/subagents/agent-a.jsonl"), &agent);
    let copied = r#""forkedFrom":{"sessionId":"parent"},"type":"user","message":{"content":"please"}"#;
    write(
        &projects.join("-p/fork.jsonl"),
        &[record("fork", 0, copied), prompt("fork", 30), response("fork", 31, "")].concat(),
    );
}

async fn details(bridge: &bridge::EnhancedTokenDatabaseBridge, id: &str) -> SessionDetails {
    bridge.sessions().details(&session(id)).await.unwrap().expect("the session is known")
}

#[tokio::test]
async fn a_session_has_files_relatives_turns_tools_and_limits_each_once() {
    let folder = tempfile::tempdir().unwrap();
    write_history(&folder.path().join("projects"));
    let bridge = bridge(Arc::new(InMemoryStore::default()), &[folder.path()]);
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();

    let parent = details(&bridge, "parent").await;
    let activity = parent.activity.as_ref().unwrap();
    assert_eq!((activity.turns, activity.tool_calls.total(), activity.subagents), (1, 2, 1));
    assert_eq!((activity.api_errors, activity.limits_hit, parent.limits.len()), (1, 1, 1));
    // Three minutes and the step of the last response, and the step of the error.
    assert_eq!(activity.active_time, Duration::from_secs(3 * 60 + 15 + 15));
    assert_eq!((parent.children, parent.files.len(), parent.models.len()), (vec![session("fork")], 3, 1));
    assert_eq!(parent.files.iter().filter(|file| file.subagent_depth == Some(1)).count(), 1);

    let fork = details(&bridge, "fork").await;
    let activity = fork.activity.unwrap();
    assert_eq!((activity.turns, activity.parent), (1, Some(session("parent"))));

    let limits = bridge.sessions().limit_events(TimeRange::ALL).await.unwrap();
    assert_eq!(limits.len(), 1, "a copy of the file is no second limit");
    assert_eq!(limits[0].limit.kind, LimitKind::new("five_hour").unwrap());
    assert_eq!(limits[0].limit.resets_at, Some("2026-01-31T14:00:00Z".parse().unwrap()));
    let later = TimeRange { start: Some("2026-02-01T00:00:00Z".parse().unwrap()), end: None };
    assert!(bridge.sessions().limit_events(later).await.unwrap().is_empty());
    assert!(bridge.sessions().details(&session("unknown")).await.unwrap().is_none());
}

/// The next synchronization fills in what an older version did not look for, and a later one reads nothing again.
#[tokio::test]
async fn files_of_an_older_version_are_read_once_more() {
    let folder = tempfile::tempdir().unwrap();
    write_history(&folder.path().join("projects"));
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), &[folder.path()]);
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let mut records = store.sources(&SourceFilter::default()).await.unwrap();
    records.iter_mut().for_each(|record| record.activity = None);
    store.put_sources(&records).await.unwrap();
    assert_eq!(details(&bridge, "parent").await.activity, None, "unknown, not zero");

    let synced = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    assert!(synced.iter().all(|result| result.tokens_before == result.tokens_after));
    assert_eq!(details(&bridge, "parent").await.activity.map(|activity| activity.turns), Some(1));
}

#[tokio::test]
async fn transcripts_that_will_be_deleted_unstored_are_named_and_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let projects = folder.path().join("projects");
    write_history(&projects);
    let day = |days: u64| Duration::from_secs(days * 86_400);
    let age = |path: &str, days: u64| {
        let modified =
            SystemTime::UNIX_EPOCH + Duration::from_millis(now().as_millis().unsigned_abs()) - day(days);
        File::options().append(true).open(projects.join(path)).unwrap().set_modified(modified).unwrap();
    };
    ["-p/parent.jsonl", "-q/parent.jsonl", "-p/parent/subagents/agent-a.jsonl"]
        .iter()
        .for_each(|path| age(path, 1));
    age("-p/fork.jsonl", 28);
    let bridge = bridge(Arc::new(InMemoryStore::default()), &[folder.path()]);

    let within = |days| {
        let bridge = bridge.clone();
        async move { bridge.sessions().expiring_transcripts(day(days)).await.unwrap() }
    };
    assert_eq!(within(1).await.unstored.len(), 0);
    let soon = within(3).await;
    assert_eq!((soon.unstored.len(), soon.stored), (1, 0));
    assert!(soon.unstored[0].path.ends_with("fork.jsonl"));
    assert_eq!(within(30).await.unstored.len(), 4);
    let health = bridge.health_check().await;
    let probe = health.probes.iter().find(|probe| probe.probe == Probe::SyncLag).unwrap();
    assert_eq!(probe.state, HealthState::Degraded);
    assert!(probe.detail.contains("1 transcript that is not stored will be deleted"), "{}", probe.detail);

    fs::write(folder.path().join("settings.json"), r#"{"cleanupPeriodDays":365}"#).unwrap();
    assert_eq!(within(30).await.unstored.len(), 0);
    // A project's settings apply to all when the client is started in it.
    let project = folder.path().join("work");
    write(&project.join(".claude/settings.json"), r#"{"cleanupPeriodDays":5}"#);
    let cwd = format!(r#""cwd":{:?},"type":"system""#, project.display().to_string());
    write(&projects.join("-work/p.jsonl"), &record("p", 0, &cwd));
    age("-work/p.jsonl", 0);
    let of_project = within(4).await;
    assert_eq!((of_project.unstored.len(), of_project.retention[0].days), (4, 5));
    assert_eq!(of_project.retention[0].stated_in, Some(project.join(".claude/settings.json")));
    fs::remove_dir_all(projects.join("-work")).unwrap();
    fs::write(folder.path().join("settings.json"), "broken").unwrap();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let stored = within(30).await;
    assert_eq!((stored.unstored.len(), stored.stored), (0, 4));
    assert_eq!(stored.retention[0].errors.len(), 1);
}
