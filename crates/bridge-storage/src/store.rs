//! The trait that every store implements.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{
    BridgeError, Epoch, ResponseUsage, RuleRevision, SessionId, SupersededKey, TokenSummaryRecord,
};
use serde::{Deserialize, Serialize};

use crate::capabilities::StoreCapabilities;
use crate::dashboard::{DashboardData, DashboardFilter};
use crate::dimension::Dimension;
use crate::query::{BreakdownRow, ResponseFilter, StoreTotals, SummaryFilter};
use crate::source::{SourceFilter, SourceRecord};

/// Keeps the usage of responses, one row per response key.
///
/// Writing merges: of two versions of a row the greater stays, whatever order they arrive in and however often. So
/// every write can be repeated, and two writers need not know of each other.
///
/// A store that was rolled back ([`CheckpointStore`](crate::CheckpointStore)) refuses all writes until it is resumed,
/// and writes of operations that began before the rollback forever:
/// [`StorageKind::RolledBack`](bridge_core::StorageKind::RolledBack).
///
/// Ten methods, object-safe, none with a default body. What only some stores can do is a separate capability; see
/// [`StoreCapabilities`]. [`InMemoryStore`](crate::InMemoryStore) is the reference implementation; one conformance suite
/// (`bridge_storage::conformance`) checks every implementation and decorator.
///
/// An implementation needs the attribute `#[async_trait]` of the crate `async-trait`. One that refuses a write by a
/// rule of its own returns [`StorageKind::Denied`](bridge_core::StorageKind::Denied) from `upsert`, `cover` and
/// `put_sources` alike, or, if a retry may succeed, [`StorageKind::Busy`](bridge_core::StorageKind::Busy). A
/// synchronization then stores the same later, when the rule admits it.
#[async_trait]
pub trait TokenStore: StoreCapabilities + Send + Sync + fmt::Debug {
    /// Creates the tables, and the database if it is missing, or migrates them to this version. May be repeated, and
    /// run by several programs at once. If there is nothing to create, a user without the right to create suffices.
    async fn migrate(&self) -> Result<(), BridgeError>;

    /// Merges the rows into the store. When it returns they are durable. The same key may occur more than once among
    /// the rows.
    ///
    /// Returns one outcome for each row, in the same order. Of several rows with the same key the greatest (of equal
    /// ones the first) gets the outcome; the others are [`UpsertOutcome::Unchanged`].
    ///
    /// With the first responses of a session, the marker that covers the session's sums is written
    /// ([`ResponseUsage::covered_sums`]): sums ([`Origin::Summed`](bridge_core::Origin::Summed)) of a session with
    /// responses do not count, whichever came first. Of a session's notes
    /// ([`Origin::Analysis`](bridge_core::Origin::Analysis)) the newest stays; the outcome of a note is always
    /// [`UpsertOutcome::Unchanged`].
    async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError>;

    /// Covers keys that the current revision of the counting rule no longer produces: a row of an older revision that
    /// is stored under one, and was made from a snapshot of at most the key's weight, is replaced by a marker, which
    /// does not count. Nothing is written under any other key. Called after the rows that count instead are stored.
    ///
    /// Returns the rows that were replaced.
    async fn cover(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError>;

    /// Writes what was read of source files. Of two records of the same (host, path, session) the one with the greater
    /// [`SourceRecord::version`] stays. Called after the rows read from those files are stored.
    async fn put_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError>;

    /// Returns the records of source files that the filter admits, by host, path and session.
    async fn sources(&self, filter: &SourceFilter) -> Result<Vec<SourceRecord>, BridgeError>;

    /// Returns the sums over the stored responses that the filter admits, all from one moment.
    async fn totals(&self, filter: &ResponseFilter) -> Result<StoreTotals, BridgeError>;

    /// Returns the sums over the stored responses that the filter admits, by a dimension, greatest total first
    /// (days: earliest first), equal ones by name.
    async fn breakdown(
        &self,
        dimension: Dimension,
        filter: &ResponseFilter,
        limit: Option<u32>,
    ) -> Result<Vec<BreakdownRow>, BridgeError>;

    /// Returns the summaries of the sessions that the filter admits, by session id. Their costs may be of a later
    /// moment than their sums, while writers write.
    async fn summaries(&self, filter: &SummaryFilter) -> Result<Vec<TokenSummaryRecord>, BridgeError>;

    /// Returns all statistics of a dashboard, from one moment: whatever writers do meanwhile, each of its breakdowns
    /// adds up to its totals.
    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError>;

    /// Returns the stored responses that the filter admits, by key. A row whose version does not verify it fails
    /// the call ([`StorageKind::Corrupt`](bridge_core::StorageKind::Corrupt)): it is never returned as stored.
    async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError>;
}

/// Options of an upsert.
///
/// ```
/// use bridge_core::Epoch;
/// use bridge_storage::UpsertOptions;
///
/// let options = UpsertOptions::default().forced().with_replaced_rows().with_run_id(7).begun_in(Epoch::default());
/// assert!(options.force);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpsertOptions {
    /// Replace stored rows even by lesser ones
    /// ([`ResponseVersion::replaced_by`](bridge_core::ResponseVersion::replaced_by)). A stored row that is already
    /// equal is not written again.
    pub force: bool,
    /// Identifies the run that writes, for the audit. 0 if there is none.
    pub run_id: u128,
    /// The epoch in which the operation that these rows belong to began: if the store was rolled back since, they are
    /// refused. If it is `None`, the operation begins with this call.
    pub epoch: Option<Epoch>,
    /// Fill in [`ReplacedRow::usage`], for which more columns of the replaced rows are read.
    pub replaced_rows: bool,
}

impl UpsertOptions {
    /// Returns the options with rows replaced even by lesser ones.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.force = true;
        self
    }

    /// Returns the options with this run id.
    #[must_use]
    pub fn with_run_id(mut self, run_id: u128) -> Self {
        self.run_id = run_id;
        self
    }

    /// Returns the options with outcomes that have the replaced rows.
    #[must_use]
    pub fn with_replaced_rows(mut self) -> Self {
        self.replaced_rows = true;
        self
    }

    /// Returns the options of an operation that began in this epoch.
    #[must_use]
    pub fn begun_in(mut self, epoch: Epoch) -> Self {
        self.epoch = Some(epoch);
        self
    }
}

/// The outcome of an upsert for one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpsertOutcome {
    /// Nothing was stored under its key when the upsert looked; the row was written.
    New,
    /// A lesser version (if forced: any other row) was stored; the row was written.
    Replaced(ReplacedRow),
    /// This or a greater version was stored; nothing was written.
    Unchanged,
    /// Its key is covered: its tokens are counted under other keys, and nothing was written, not even by force. For the
    /// sums of a session: responses of it are stored, or were, and only they count.
    Covered,
}

/// The part of a replaced row that totals need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedRow {
    /// The session that it belonged to.
    pub session: SessionId,
    /// Its tokens.
    pub tokens: u64,
    /// The revision of the counting rule that it was made under.
    pub rule_revision: RuleRevision,
    /// The row itself, if that was [asked for](UpsertOptions::replaced_rows) and it is readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Box<ResponseUsage>>,
}

impl ReplacedRow {
    /// Returns the part of this row that totals need, with the row itself if that is asked for.
    #[must_use]
    pub fn new(row: &ResponseUsage, options: &UpsertOptions) -> Self {
        Self {
            session: row.session.clone(),
            tokens: row.counts.total(),
            rule_revision: row.rule_revision,
            usage: options.replaced_rows.then(|| Box::new(row.clone())),
        }
    }
}
