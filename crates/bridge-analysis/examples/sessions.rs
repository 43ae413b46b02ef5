//! Prints for each fact of a session how many sessions of some transcripts have it, and the oldest client among them.
//!
//! ```sh
//! cargo run --release -p bridge-analysis --example sessions -- FOLDER
//! ```
//!
//! The table in `docs/sessions.md` is its output.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use bridge_analysis::{AnalysisProgress, AnalyzerOptions, History, analyze_files, discover};
use bridge_core::{Escaped, SessionActivity, SessionId};

/// The numbers of a version, and its text.
type Version = (Vec<u64>, String);

/// The facts known of a session.
#[derive(Default)]
struct Session {
    activity: SessionActivity,
    subagents: u64,
    /// The oldest client that one of its responses names.
    client: Option<Version>,
}

/// The sessions that have a fact.
#[derive(Default)]
struct Fact {
    sessions: u64,
    /// All of them together, where it is a number.
    total: Option<u64>,
    oldest: Option<Version>,
}

/// Returns each fact of a session: its number, or whether it is there.
fn facts(session: &Session) -> [(&'static str, u64, bool); 12] {
    let activity = &session.activity;
    let there = |name, is_there: bool| (name, u64::from(is_there), false);
    [
        ("turns", activity.turns, true),
        ("tool calls", activity.tool_calls.total(), true),
        ("MCP tool calls", mcp_calls(activity), true),
        ("API errors", activity.api_errors, true),
        ("retried requests", activity.api_retries, true),
        ("limits hit", activity.limits_hit, true),
        ("limits with an end", with_end(activity), true),
        ("subagents with a file", session.subagents, true),
        there("first and last time", activity.first_time.is_some()),
        there("kind", activity.kind.is_some()),
        there("entrypoint", activity.entrypoint.is_some()),
        there("parent", activity.parent.is_some()),
    ]
}

fn mcp_calls(activity: &SessionActivity) -> u64 {
    let of_servers = activity.tool_calls.by_name().filter(|(name, _)| name.as_str().starts_with("mcp__"));
    of_servers.map(|(_, calls)| calls).sum()
}

fn with_end(activity: &SessionActivity) -> u64 {
    activity.limits.iter().filter(|limit| limit.resets_at.is_some()).count() as u64
}

fn version(text: &str) -> Version {
    (text.split('.').map(|part| part.parse().unwrap_or_default()).collect(), text.to_owned())
}

fn sessions(folders: &[PathBuf]) -> BTreeMap<SessionId, Session> {
    let mut history = History::default();
    let mut sessions: BTreeMap<SessionId, Session> = BTreeMap::new();
    let files = discover(folders).files;
    let (options, progress) = (AnalyzerOptions::default(), AnalysisProgress::default());
    analyze_files(&files, &options, &progress, &mut history, |file| {
        let is_subagent = file.file.is_subagent();
        for (id, activity) in file.activity.unwrap_or_default() {
            let session = sessions.entry(id).or_default();
            session.activity.merge(activity);
            session.subagents += u64::from(is_subagent);
        }
    });
    for response in history.responses() {
        let row = response.to_usage();
        if let (Some(session), Some(client)) =
            (sessions.get_mut(&row.session), &row.attribution.client_version)
        {
            let client = version(client.as_str());
            if session.client.as_ref().is_none_or(|oldest| client < *oldest) {
                session.client = Some(client);
            }
        }
    }
    sessions
}

fn main() -> io::Result<ExitCode> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        writeln!(io::stderr(), "usage: sessions FOLDER…")?;
        return Ok(ExitCode::from(2));
    }
    let sessions = sessions(&folders);
    let mut found: BTreeMap<&str, Fact> = BTreeMap::new();
    for session in sessions.values() {
        for (name, number, is_number) in facts(session) {
            let fact = found.entry(name).or_default();
            fact.sessions += u64::from(number > 0);
            if is_number {
                fact.total = Some(fact.total.unwrap_or_default() + number);
            }
            let client = session.client.as_ref().filter(|_| number > 0);
            if client.is_some_and(|client| fact.oldest.as_ref().is_none_or(|oldest| client < oldest)) {
                fact.oldest = client.cloned();
            }
        }
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} sessions\n\n| fact | sessions | share | in all | oldest client |\n|---|---|---|---|---|",
        sessions.len()
    )?;
    for (name, fact) in found {
        let share = 100.0 * fact.sessions as f64 / sessions.len().max(1) as f64;
        let total = fact.total.map_or_else(|| "–".to_owned(), |total| total.to_string());
        let oldest = fact.oldest.map_or_else(|| "–".to_owned(), |(_, text)| text);
        writeln!(
            out,
            "| {name} | {} | {share:.1} % | {total} | {} |",
            fact.sessions,
            Escaped::text(&oldest)
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
