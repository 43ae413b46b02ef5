//! Records of the audit trail.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hex::hex_id;
use crate::{Actor, CorrelationId, HostName, OperationName, SessionId, TimeRange, Timestamp};

/// Identifies an audit record, so that a record written twice is stored once.
///
/// The upper 48 bits are the time in milliseconds, the next 32 a sequence number of the process, the rest is random:
/// records of one process sort by id in the order of its operations.
///
/// As text, in JSON too, it is 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditId(pub u128);

hex_id!(AuditId, "audit id");

impl AuditId {
    /// Returns the id of a record, with the lower 48 bits of `random`.
    #[must_use]
    pub fn new(time: Timestamp, sequence: u32, random: u64) -> Self {
        let millis = u128::from(time.as_millis().unsigned_abs()) & ((1 << 48) - 1);
        Self(millis << 80 | u128::from(sequence) << 48 | u128::from(random) & ((1 << 48) - 1))
    }
}

/// One operation in the audit trail. It holds numbers, identifiers and names, and no conversation text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// Identifies the record.
    pub id: AuditId,
    /// Time at which the operation ended or, for one recorded while it ran, at which it was recorded.
    pub time: Timestamp,
    /// The operation, as results, errors, logs and the database's query log name it.
    pub correlation_id: CorrelationId,
    /// Name of the operation.
    pub operation: OperationName,
    /// The caller, if the embedder named one.
    #[serde(default)]
    pub actor: Option<Actor>,
    /// The session that it was about, if any.
    pub session: Option<SessionId>,
    /// Outcome.
    pub outcome: AuditOutcome,
    /// True if rows of a lower version replaced rows of a greater one (force update).
    pub forced: bool,
    /// Number of rows written; for a failed operation, before it failed.
    pub records_stored: u64,
    /// Number of those rows that are responses new to the store.
    pub new_responses: u64,
    /// Tokens in the operation's result.
    pub tokens: u64,
    /// Tokens of the replaced rows.
    pub tokens_replaced: u64,
    /// Tokens of the written rows.
    pub tokens_written: u64,
    /// Other counts of the operation: files, sessions, lines of its receipt.
    pub counts: BTreeMap<String, u64>,
    /// Duration, in whole microseconds.
    #[serde(rename = "duration_seconds", with = "crate::seconds")]
    pub duration: Duration,
    /// [`BridgeError::kind`](crate::BridgeError::kind) of the error; empty without one.
    pub error_kind: String,
    /// Message of the error; empty without one.
    pub error: String,
    /// Host that it ran on.
    pub host: Option<HostName>,
    /// Version of the bridge.
    pub version: String,
}

impl AuditRecord {
    /// Returns the record of an operation that succeeded and changed nothing.
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
            actor: None,
            session: None,
            outcome: AuditOutcome::Succeeded,
            forced: false,
            records_stored: 0,
            new_responses: 0,
            tokens: 0,
            tokens_replaced: 0,
            tokens_written: 0,
            counts: BTreeMap::new(),
            duration: Duration::ZERO,
            error_kind: String::new(),
            error: String::new(),
            host: None,
            version: String::new(),
        }
    }
}

/// Outcome of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditOutcome {
    /// Everything asked for was done.
    Succeeded,
    /// The operation ended with a part not done, which the result names. Or it was recorded while it ran and its end
    /// is not recorded, because the process was killed, which the error says.
    Incomplete,
    /// The operation ended in an error.
    Failed,
    /// The caller dropped the operation.
    Cancelled,
}

impl AuditOutcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Incomplete, Self::Failed, Self::Cancelled];

    /// Returns the name in audit trail, logs and metrics.
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

/// Selects audit records that meet all conditions.
///
/// ```
/// use bridge_core::{
///     Actor, AuditFilter, AuditId, AuditOutcome, AuditRecord, CorrelationId, OperationName, SessionId, TimeRange,
///     Timestamp,
/// };
///
/// let backfill = OperationName::new("backfill_historical_data")?;
/// let failures = AuditFilter::default()
///     .with_time(TimeRange::ALL)
///     .with_outcome(AuditOutcome::Failed)
///     .with_operation(backfill.clone())
///     .with_actor(Actor::new("alice@example.com")?)
///     .with_limit(20);
/// // The next page begins after the last record of this one.
/// let last = AuditRecord::new(AuditId(7), Timestamp::MIN, CorrelationId(1), backfill);
/// let next = failures.clone().listed_after(&last);
/// let one = AuditFilter::default().with_correlation_id(CorrelationId(1)).with_session(SessionId::new("s")?);
/// assert!(!failures.admits(&last), "it succeeded");
/// assert_eq!((next.limit, one.limit), (20, 100));
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFilter {
    /// Time in which the operation ended.
    pub time: TimeRange,
    /// Name of the operation.
    pub operation: Option<OperationName>,
    /// The caller of the operation.
    pub actor: Option<Actor>,
    /// Session that the operation was about.
    pub session: Option<SessionId>,
    /// Outcome of the operation.
    pub outcome: Option<AuditOutcome>,
    /// Correlation id of the operation.
    pub correlation_id: Option<CorrelationId>,
    /// The last record of the page before: only records that are listed after it.
    pub after: Option<(Timestamp, AuditId)>,
    /// Maximum number of records; the newest are taken.
    pub limit: u32,
}

impl Default for AuditFilter {
    /// Returns a filter for the newest 100 records.
    fn default() -> Self {
        Self {
            time: TimeRange::ALL,
            operation: None,
            actor: None,
            session: None,
            outcome: None,
            correlation_id: None,
            after: None,
            limit: 100,
        }
    }
}

impl AuditFilter {
    /// Selects operations that ended in this time.
    #[must_use]
    pub fn with_time(mut self, time: TimeRange) -> Self {
        self.time = time;
        self
    }

    /// Selects operations of this name.
    #[must_use]
    pub fn with_operation(mut self, operation: OperationName) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Selects operations that this actor asked for.
    #[must_use]
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Selects operations about this session.
    #[must_use]
    pub fn with_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Selects operations with this outcome.
    #[must_use]
    pub fn with_outcome(mut self, outcome: AuditOutcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Selects the operation with this id.
    #[must_use]
    pub fn with_correlation_id(mut self, id: CorrelationId) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// Selects the records that are listed after this one, the last of the page before. Records come newest first, by
    /// time, then id.
    #[must_use]
    pub fn listed_after(mut self, last: &AuditRecord) -> Self {
        self.after = Some((last.time, last.id));
        self
    }

    /// Limits the number of records; the newest are taken.
    #[must_use]
    pub fn with_limit(mut self, records: u32) -> Self {
        self.limit = records;
        self
    }

    /// Returns whether the record meets all conditions.
    #[must_use]
    pub fn admits(&self, record: &AuditRecord) -> bool {
        fn same<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        self.time.contains(record.time)
            && same(self.operation.as_ref(), Some(&record.operation))
            && same(self.actor.as_ref(), record.actor.as_ref())
            && self.after.is_none_or(|last| (record.time, record.id) < last)
            && same(self.session.as_ref(), record.session.as_ref())
            && same(self.outcome.as_ref(), Some(&record.outcome))
            && same(self.correlation_id.as_ref(), Some(&record.correlation_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_of_operations() {
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
