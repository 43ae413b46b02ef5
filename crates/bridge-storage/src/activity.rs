//! The activity of a session over all its source files.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{ActiveTime, ActivityFacts, SessionActivity};

use crate::source::SourceRecord;

/// Sums up what the records of a session's files say happened; `None` if no file was read with a look at it.
///
/// Each file counts once, though it may lie on two hosts or in two folders: of the copies of a subagent's file, which
/// have the same name, the one that was read furthest, and likewise one file of the session itself, preferably the
/// one that is named after it. Times are united over all of them, so copies cannot add to them. An interruption up to
/// `pause` belongs to the active time.
#[must_use]
pub fn activity_facts<'a>(
    records: impl IntoIterator<Item = &'a SourceRecord>,
    pause: Duration,
) -> Option<ActivityFacts> {
    let mut counted: BTreeMap<&str, (Preference<'_>, &SessionActivity)> = BTreeMap::new();
    let mut facts = ActivityFacts::default();
    let mut active = ActiveTime::default();
    for record in records {
        let Some(activity) = record.activity.as_deref() else { continue };
        facts.first_time = facts.first_time.into_iter().chain(activity.first_time).min();
        facts.last_time = facts.last_time.max(activity.last_time);
        active.unite(&activity.active);
        let preference = Preference::new(record);
        let known = counted.entry(subagent_file(record)).or_insert((preference, activity));
        if preference > known.0 {
            *known = (preference, activity);
        }
    }
    if counted.is_empty() {
        return None;
    }
    facts.active_time = active.total(pause);
    for (file, (_, activity)) in counted {
        add(&mut facts, activity);
        if file.is_empty() {
            facts.kind.clone_from(&activity.kind);
            facts.entrypoint.clone_from(&activity.entrypoint);
            facts.parent.clone_from(&activity.parent);
        } else {
            facts.subagents += 1;
        }
    }
    Some(facts)
}

fn add(facts: &mut ActivityFacts, activity: &SessionActivity) {
    let sum = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
    sum(&mut facts.turns, activity.turns);
    sum(&mut facts.api_errors, activity.api_errors);
    sum(&mut facts.api_retries, activity.api_retries);
    sum(&mut facts.limits_hit, activity.limits_hit);
    facts.tool_calls.merge(&activity.tool_calls);
}

/// The order of copies; the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Preference<'a> {
    is_own: bool,
    offset: u64,
    host: &'a str,
    path: &'a [u8],
}

impl<'a> Preference<'a> {
    fn new(record: &'a SourceRecord) -> Self {
        let is_own = file_name(record).strip_suffix(".jsonl") == Some(record.session.as_str());
        let path = record.path.as_os_str().as_encoded_bytes();
        Self { is_own, offset: record.cursor.offset, host: record.host.as_str(), path }
    }
}

/// Returns the name of a subagent's file, empty for others.
fn subagent_file(record: &SourceRecord) -> &str {
    let name = file_name(record);
    if name.starts_with("agent-") { name } else { "" }
}

/// Returns the last component by either system's separators, because records come from other hosts.
fn file_name(record: &SourceRecord) -> &str {
    let path = record.path.to_str().unwrap_or_default();
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
