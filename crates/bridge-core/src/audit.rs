//! What an audit keeps of an operation.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hex::{self, hex_text};
use crate::{CorrelationId, HostName, OperationName, SessionId, TimeRange, Timestamp};

/// Identifies a record of the audit, so that one that is written twice stays one.
///
/// Its upper 48 bits are the time in milliseconds, the 32 below them count the records of a program, and the rest is
/// random: sorted by id, the records of a program stand in the order of its operations.
///
/// As text, in JSON too, it is 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditId(pub u128);

hex_text!(AuditId, "audit id", 32, u128);

impl fmt::Display for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<u128> for AuditId {
    fn from(number: u128) -> Self {
        Self(number)
    }
}

impl From<AuditId> for u128 {
    fn from(id: AuditId) -> Self {
        id.0
    }
}

impl AuditId {
    fn from_hex(text: &str) -> Option<Self> {
        hex::number(text).map(Self)
    }

    /// The id of a program's record. Of `random` 48 bits are taken.
    #[must_use]
    pub fn new(time: Timestamp, sequence: u32, random: u64) -> Self {
        let millis = u128::from(time.as_millis().unsigned_abs()) & ((1 << 48) - 1);
        Self(millis << 80 | u128::from(sequence) << 48 | u128::from(random) & ((1 << 48) - 1))
    }
}

/// One operation, as the audit keeps it. It holds figures, identifiers and names, and no text of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// Identifies the record.
    pub id: AuditId,
    /// When the operation ended; of one that was put on record while it ran, when that was.
    pub time: Timestamp,
    /// The operation, as results, errors, logs and the database's log of queries name it.
    pub correlation_id: CorrelationId,
    /// What was done.
    pub operation: OperationName,
    /// The session that it was about, if it was about one.
    pub session: Option<SessionId>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Whether rows were written that replace greater ones.
    pub forced: bool,
    /// Rows written. Of an operation that failed, those that were written before.
    pub records_stored: u64,
    /// Of those, responses that were not in the store before.
    pub new_responses: u64,
    /// The tokens that the operation's result tells of.
    pub tokens: u64,
    /// Tokens that the rows said that were replaced.
    pub tokens_replaced: u64,
    /// Tokens that the rows say that were written.
    pub tokens_written: u64,
    /// What else the operation counted: files, sessions, lines of its receipt.
    pub figures: BTreeMap<String, u64>,
    /// How long it took, in whole microseconds.
    pub duration: Duration,
    /// [`BridgeError::kind`](crate::BridgeError::kind) of what ended it; empty where nothing did.
    pub error_kind: String,
    /// What ended it; empty where nothing did.
    pub error: String,
    /// The machine that it ran on.
    pub host: Option<HostName>,
    /// The version of the bridge.
    pub version: String,
}

impl AuditRecord {
    /// A record of an operation that succeeded and did nothing.
    #[must_use]
    pub fn new(
        id: AuditId,
        time: Timestamp,
        correlation_id: CorrelationId,
        operation: OperationName,
    ) -> Self {
        Self {
            id,
            time,
            correlation_id,
            operation,
            session: None,
            outcome: AuditOutcome::Succeeded,
            forced: false,
            records_stored: 0,
            new_responses: 0,
            tokens: 0,
            tokens_replaced: 0,
            tokens_written: 0,
            figures: BTreeMap::new(),
            duration: Duration::ZERO,
            error_kind: String::new(),
            error: String::new(),
            host: None,
            version: String::new(),
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditOutcome {
    /// It did all that was asked for.
    Succeeded,
    /// It came to its end, and a part of what was asked for is not done: the result says which. Or it was put on
    /// record while it ran and its end is not on record, because the program was killed: the error says so.
    Incomplete,
    /// It ended in an error.
    Failed,
    /// Whoever asked for it waited no longer.
    Cancelled,
}

impl AuditOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Incomplete, Self::Failed, Self::Cancelled];

    /// Its name in the audit, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for AuditOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which records of the audit are meant. All conditions hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFilter {
    /// Only operations that ended in this time.
    pub time: TimeRange,
    /// Only this operation.
    pub operation: Option<OperationName>,
    /// Only operations about this session.
    pub session: Option<SessionId>,
    /// Only operations that ended so.
    pub outcome: Option<AuditOutcome>,
    /// Only this one.
    pub correlation_id: Option<CorrelationId>,
    /// At most so many, the newest.
    pub limit: u32,
}

impl Default for AuditFilter {
    /// The last hundred.
    fn default() -> Self {
        Self {
            time: TimeRange::ALL,
            operation: None,
            session: None,
            outcome: None,
            correlation_id: None,
            limit: 100,
        }
    }
}

impl AuditFilter {
    /// Operations that ended in this time.
    #[must_use]
    pub fn in_time(mut self, time: TimeRange) -> Self {
        self.time = time;
        self
    }

    /// Only this operation.
    #[must_use]
    pub fn of_operation(mut self, operation: OperationName) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only operations about this session.
    #[must_use]
    pub fn of_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Only operations that ended so.
    #[must_use]
    pub fn with_outcome(mut self, outcome: AuditOutcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Only the operation with this id.
    #[must_use]
    pub fn with_correlation_id(mut self, id: CorrelationId) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// At most so many, the newest.
    #[must_use]
    pub fn limited_to(mut self, records: u32) -> Self {
        self.limit = records;
        self
    }

    /// Whether the record is meant.
    #[must_use]
    pub fn admits(&self, record: &AuditRecord) -> bool {
        fn same<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        self.time.contains(record.time)
            && same(self.operation.as_ref(), Some(&record.operation))
            && same(self.session.as_ref(), record.session.as_ref())
            && same(self.outcome.as_ref(), Some(&record.outcome))
            && same(self.correlation_id.as_ref(), Some(&record.correlation_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_in_the_order_of_the_operations() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let ids = [
            AuditId::new(at(0), 0, u64::MAX),
            AuditId::new(at(0), 1, 0),
            AuditId::new(at(1), 0, 0),
            AuditId::new(Timestamp::MAX, u32::MAX, 0),
            AuditId::new(Timestamp::MAX, u32::MAX, 1),
        ];
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
}
