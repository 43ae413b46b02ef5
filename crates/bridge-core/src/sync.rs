//! Results of a synchronization.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CostChange, SessionId};

/// Result of synchronizing one session with its transcripts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use]
#[non_exhaustive]
pub struct SyncResult {
    /// The session.
    pub session_id: SessionId,
    /// Outcome.
    pub status: SyncStatus,
    /// The session's stored tokens before this synchronization.
    pub tokens_before: u64,
    /// The session's stored tokens after it.
    pub tokens_after: u64,
    /// Causes of the change: `tokens_before` plus their sum is `tokens_after`.
    pub changes: TokenChanges,
    /// Cost of the rows that were written for the session, and of those that they replaced, by the price list in use:
    /// its tokens are those of `changes`. `None` if none is in use, or nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_change: Option<CostChange>,
    /// Files with lines of the session that were read.
    pub files_read: u64,
    /// New bytes read from those files.
    pub bytes_read: u64,
    /// Responses of the session that are still stored by an older revision of the counting rule. After a
    /// synchronization of all files without errors their sources are gone: they count as before, and never get the
    /// columns that later revisions read.
    #[serde(default)]
    pub outdated_responses: u64,
    /// Duration of the whole synchronization.
    #[serde(rename = "duration_seconds", with = "crate::seconds")]
    pub duration: Duration,
    /// Errors, one clause each.
    pub errors: Vec<String>,
}

/// Outcome of a session in a synchronization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncStatus {
    /// Its stored responses changed.
    Changed,
    /// Nothing changed.
    Unchanged,
    /// None of its files exists any longer; its stored rows stay.
    SourceGone,
    /// It was pushed or read from a stream, and has no file: nothing can be read again, and its stored rows stay.
    Streamed,
    /// One of its files could not be read, or it is invalid; see the errors.
    Failed,
}

/// Causes of a change of a session's total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenChanges {
    /// Responses that were not stored before.
    pub new_responses: TokenChange,
    /// Responses replaced by a greater snapshot.
    pub later_snapshots: TokenChange,
    /// Responses that belonged to another session until a greater copy named this one.
    pub from_other_sessions: TokenChange,
    /// Responses that belonged to this session until a greater copy named another one.
    pub to_other_sessions: TokenChange,
    /// Sums from an analysis without responses, which no longer count because the session's first responses arrived.
    pub covered_sums: TokenChange,
    /// Responses stored by an older revision of the counting rule that a newer one counts differently or under
    /// another key.
    #[serde(default)]
    pub rule_revision: TokenChange,
}

/// One cause of a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenChange {
    /// Responses.
    pub responses: u64,
    /// Change of the total in tokens.
    pub tokens: i64,
}

impl TokenChange {
    /// Adds a response that changes the total by this number of tokens.
    pub fn add(&mut self, tokens: i64) {
        self.responses = self.responses.saturating_add(1);
        self.tokens = self.tokens.saturating_add(tokens);
    }
}

impl TokenChanges {
    /// Returns the difference of the totals, saturating at 64 bits.
    #[must_use]
    pub fn tokens(&self) -> i64 {
        // In the wider type, the order of the causes does not matter.
        let sum: i128 = self.causes().iter().map(|cause| i128::from(cause.tokens)).sum();
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }

    /// Returns whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.causes().iter().all(|cause| cause.responses == 0)
    }

    fn causes(&self) -> [TokenChange; 6] {
        [
            self.new_responses,
            self.later_snapshots,
            self.from_other_sessions,
            self.to_other_sessions,
            self.covered_sums,
            self.rule_revision,
        ]
    }
}

impl SyncResult {
    /// Returns the result of a session without changes.
    pub fn unchanged(session_id: SessionId) -> Self {
        Self {
            session_id,
            status: SyncStatus::Unchanged,
            tokens_before: 0,
            tokens_after: 0,
            changes: TokenChanges::default(),
            cost_change: None,
            files_read: 0,
            bytes_read: 0,
            outdated_responses: 0,
            duration: Duration::ZERO,
            errors: Vec::new(),
        }
    }

    /// Returns whether the causes add up to the difference of the totals.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.tokens_before.checked_add_signed(self.changes.tokens()) == Some(self.tokens_after)
    }
}
