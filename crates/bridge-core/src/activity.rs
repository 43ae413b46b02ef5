//! The activity of a session besides its responses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::text_type;
use crate::{ActiveTime, AttributionValue, SessionId, Timestamp};

/// Maximum number of tools that are counted by name; the others are counted together.
pub const TOOLS_MAX: usize = 64;

/// Maximum number of limits that are kept with their times.
pub const LIMITS_MAX: usize = 64;

text_type!(
    /// The name of a tool: what the API admits as one, so that no text of a conversation fits in.
    ToolName, "tool name", "have 1 to 128 letters, digits and marks of \"_-.:\"", is_tool_name
);
text_type!(
    /// The kind of a limit that was hit, as the client names it: `five_hour`, `seven_day`, …
    LimitKind, "limit kind", "have 1 to 64 lower-case letters, digits and underscores", is_limit_kind
);

fn is_tool_name(text: &str) -> bool {
    let is_mark = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(is_mark)
}

fn is_limit_kind(text: &str) -> bool {
    let is_mark = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(is_mark)
}

/// Calls of tools by name. Of too many names the first by alphabet are kept, so that the order of adding them does not
/// matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCalls {
    by_name: BTreeMap<ToolName, u64>,
    /// Calls of tools whose names are not kept.
    other: u64,
}

impl ToolCalls {
    /// Adds calls of a tool; without a name, or with one too many, they count among the others.
    pub fn add(&mut self, name: Option<ToolName>, calls: u64) {
        let sum = match name {
            Some(name) => self.by_name.entry(name).or_default(),
            None => &mut self.other,
        };
        *sum = sum.saturating_add(calls);
        while self.by_name.len() > TOOLS_MAX {
            let last = self.by_name.pop_last().map_or(0, |(_, calls)| calls);
            self.other = self.other.saturating_add(last);
        }
    }

    /// Adds all calls.
    pub fn merge(&mut self, other: &Self) {
        for (name, calls) in &other.by_name {
            self.add(Some(name.clone()), *calls);
        }
        self.add(None, other.other);
    }

    /// Returns the calls by name, sorted.
    pub fn by_name(&self) -> impl Iterator<Item = (&ToolName, u64)> {
        self.by_name.iter().map(|(name, calls)| (name, *calls))
    }

    /// Returns the tool calls whose names are not kept.
    #[must_use]
    pub fn other(&self) -> u64 {
        self.other
    }

    /// Returns all calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_name.values().fold(self.other, |sum, calls| sum.saturating_add(*calls))
    }
}

/// A usage or rate limit that stopped a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LimitEvent {
    /// The time at which it was hit.
    pub time: Timestamp,
    /// The limit.
    pub kind: LimitKind,
    /// When it ends, if the client recorded that.
    pub resets_at: Option<Timestamp>,
}

/// The activity of a session by one file. Statistics are cumulative for the file, and parts of it add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionActivity {
    /// Prompts of a person.
    pub turns: u64,
    /// Calls of tools.
    pub tool_calls: ToolCalls,
    /// Errors of the API that ended a turn.
    pub api_errors: u64,
    /// Failed requests that the client repeated.
    pub api_retries: u64,
    /// Of the errors, those by a limit.
    pub limits_hit: u64,
    /// The first of these limits, at most [`LIMITS_MAX`].
    pub limits: BTreeSet<LimitEvent>,
    /// The earliest time.
    pub first_time: Option<Timestamp>,
    /// The latest time.
    pub last_time: Option<Timestamp>,
    /// When something happened.
    pub active: ActiveTime,
    /// The kind of the session, as first recorded.
    pub kind: Option<AttributionValue>,
    /// The way in which the client was started, as first recorded.
    pub entrypoint: Option<AttributionValue>,
    /// The session that this one was forked from, as first recorded.
    pub parent: Option<SessionId>,
    /// The nesting depth of this file's subagent; 0 for a session's own file.
    pub depth: u8,
}

impl SessionActivity {
    /// Notes that something happened.
    pub fn add_time(&mut self, time: Timestamp) {
        self.first_time = Some(self.first_time.map_or(time, |first| first.min(time)));
        self.last_time = Some(self.last_time.map_or(time, |last| last.max(time)));
        self.active.add(time);
    }

    /// Adds a limit that was hit.
    pub fn add_limit(&mut self, limit: LimitEvent) {
        self.limits_hit = self.limits_hit.saturating_add(1);
        self.keep_limits([limit]);
    }

    /// Adds a later part of the file.
    pub fn merge(&mut self, next: Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.turns, next.turns);
        self.tool_calls.merge(&next.tool_calls);
        add(&mut self.api_errors, next.api_errors);
        add(&mut self.api_retries, next.api_retries);
        add(&mut self.limits_hit, next.limits_hit);
        self.keep_limits(next.limits);
        self.first_time = self.first_time.into_iter().chain(next.first_time).min();
        self.last_time = self.last_time.max(next.last_time);
        self.active.unite(&next.active);
        self.kind = self.kind.take().or(next.kind);
        self.entrypoint = self.entrypoint.take().or(next.entrypoint);
        self.parent = self.parent.take().or(next.parent);
        self.depth = self.depth.max(next.depth);
    }

    fn keep_limits(&mut self, limits: impl IntoIterator<Item = LimitEvent>) {
        for limit in limits {
            self.limits.insert(limit);
            if self.limits.len() > LIMITS_MAX {
                self.limits.pop_last();
            }
        }
    }
}

/// The activity of a session over all its files: each file that has copies counts once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityFacts {
    /// Prompts of a person.
    pub turns: u64,
    /// Calls of tools, including those of subagents.
    pub tool_calls: ToolCalls,
    /// Errors of the API that ended a turn.
    pub api_errors: u64,
    /// Failed requests that the client repeated.
    pub api_retries: u64,
    /// Of the errors, those by a limit.
    pub limits_hit: u64,
    /// The earliest time of a prompt, a response or a message of the client.
    pub first_time: Option<Timestamp>,
    /// The latest such time.
    pub last_time: Option<Timestamp>,
    /// The time in which something happened, with interruptions up to [`ActivityFacts::PAUSE`] or the configured pause.
    pub active_time: Duration,
    /// The kind of the session, if it is recorded: `bg` is one in the background.
    pub kind: Option<AttributionValue>,
    /// The way in which the client was started, for example `cli` or `sdk-py`.
    pub entrypoint: Option<AttributionValue>,
    /// The session that this one was forked from.
    pub parent: Option<SessionId>,
    /// Subagents with a transcript of their own.
    pub subagents: u64,
}

impl ActivityFacts {
    /// The longest interruption that counts as activity, unless configured otherwise: five minutes.
    pub const PAUSE: Duration = Duration::from_secs(300);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> ToolName {
        ToolName::new(name).unwrap()
    }

    #[test]
    fn a_text_is_no_name_of_a_tool_or_limit() {
        for text in ["", "rm -rf /", "Bash\n", "é", &"a".repeat(129)] {
            assert!(ToolName::new(text).is_err(), "{text:?}");
        }
        for text in ["", "Five Hours", "you hit your limit", &"a".repeat(65)] {
            assert!(LimitKind::new(text).is_err(), "{text:?}");
        }
        assert!(
            ToolName::new("mcp__github__create_issue").is_ok() && LimitKind::new("seven_day_opus").is_ok()
        );
    }

    #[test]
    fn too_many_tools_are_counted_together_whatever_their_order() {
        let names: Vec<ToolName> = (0..100).map(|number| tool(&format!("t{number:03}"))).collect();
        let mut forward = ToolCalls::default();
        names.iter().for_each(|name| forward.add(Some(name.clone()), 2));
        let mut backward = ToolCalls::default();
        names.iter().rev().for_each(|name| backward.add(Some(name.clone()), 2));
        assert_eq!(forward, backward);
        assert_eq!((forward.by_name().count(), forward.other(), forward.total()), (64, 72, 200));
    }

    #[test]
    fn of_many_limits_the_first_are_kept_and_all_are_counted() {
        let limit = |millis: i64| LimitEvent {
            time: Timestamp::from_millis(millis).unwrap(),
            kind: LimitKind::new("five_hour").unwrap(),
            resets_at: None,
        };
        let mut activity = SessionActivity::default();
        (0..200).rev().for_each(|millis| activity.add_limit(limit(millis)));
        assert_eq!((activity.limits_hit, activity.limits.len()), (200, LIMITS_MAX));
        assert_eq!(activity.limits.first(), Some(&limit(0)));
    }
}
