//! The store seam.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{
    BridgeError, Epoch, ResponseUsage, RuleRevision, SessionId, SupersededKey, TokenSummaryRecord,
};
use serde::{Deserialize, Serialize};

use crate::capabilities::StoreCapabilities;
use crate::dashboard::{DashboardData, DashboardFilter};
use crate::query::{BreakdownRow, Dimension, ResponseFilter, StoreTotals, SummaryFilter};
use crate::source::{SourceFilter, SourceRecord};

/// Keeps the usage of responses, one row a response key.
///
/// Writing is a join: of two versions of a row the greater stays, whatever order they arrive in and
/// however often it is repeated. So every write can be repeated, and two writers need not know of each other.
///
/// A store that was rolled back ([`CheckpointStore`](crate::CheckpointStore)) refuses writes until it is resumed, and
/// writes of operations that began before for ever: [`StorageKind::RolledBack`](bridge_core::StorageKind::RolledBack).
///
/// Ten methods, object-safe, none with a default body. What only some stores can do is a capability of its own, which
/// [`StoreCapabilities`] names. [`InMemoryStore`](crate::InMemoryStore) is the reference implementation; one
/// conformance suite (`bridge_storage::conformance`) holds every implementation and decorator to the trait.
#[async_trait]
pub trait TokenStore: StoreCapabilities + Send + Sync + fmt::Debug {
    /// Creates the tables, or brings them to this version. May be repeated, by several programs at once, and by a user
    /// who may create nothing where nothing is to be created.
    async fn migrate(&self) -> Result<(), BridgeError>;

    /// Joins the rows into the store. When it returns they are durable. The same key may stand among the
    /// rows more than once.
    ///
    /// Returns one outcome for each row, in their order. Of several rows with one key the greatest
    /// carries the outcome (of equal ones the first); the others are [`UpsertOutcome::Unchanged`].
    ///
    /// With the first responses of a session the marker is written that covers the session's sums
    /// ([`ResponseUsage::covered_sums`]): sums ([`Origin::Summed`](bridge_core::Origin::Summed)) of a session with
    /// responses count nothing, whichever came first. Of a note ([`Origin::Analysis`](bridge_core::Origin::Analysis))
    /// the newest stays; it has no outcome of its own and is always [`UpsertOutcome::Unchanged`].
    async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError>;

    /// Covers keys that the current revision of the counting rule gives no more: where a row of an older revision is
    /// stored under one, made of a snapshot of at most the key's weight, a marker replaces it that counts nothing.
    /// Nothing is written under any other key. Called after the rows are stored that count in their place.
    ///
    /// Returns the rows that were replaced.
    async fn cover(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError>;

    /// Writes what was read of source files. Of two records of one (host, path, session) the one with the
    /// greater [`SourceRecord::version`] stays. Written after the rows it stands for are stored.
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

    /// Returns the summaries of the sessions that the filter admits, by session id.
    async fn summaries(&self, filter: &SummaryFilter) -> Result<Vec<TokenSummaryRecord>, BridgeError>;

    /// Returns all statistics of a dashboard, from one moment: whatever writers do meanwhile, each of its breakdowns adds
    /// up to its totals.
    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError>;

    /// Returns the stored responses that the filter admits, by key. A row among them whose version does not verify it fails
    /// the call ([`StorageKind::Corrupt`](bridge_core::StorageKind::Corrupt)): it is never returned as stored.
    async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError>;
}

/// Options of an upsert.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpsertOptions {
    /// Replace stored rows even by lesser ones ([`ResponseVersion::replaced_by`](bridge_core::ResponseVersion::replaced_by)).
    /// A stored row that is equal already stays as it is.
    pub force: bool,
    /// Identifies the run that writes, for the audit. 0 if there is none.
    pub run_id: u128,
    /// The epoch in which the operation began that these rows are part of: if the store was rolled back since, they
    /// are refused. Where it is `None` the operation begins with this call.
    pub epoch: Option<Epoch>,
}

impl UpsertOptions {
    /// Options with which rows are replaced even by lesser ones.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.force = true;
        self
    }

    /// Options that name the run.
    #[must_use]
    pub fn with_run_id(mut self, run_id: u128) -> Self {
        self.run_id = run_id;
        self
    }

    /// Options of an operation that began in this epoch.
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
    /// Its key was not there when the upsert looked; the row was written.
    New,
    /// A lesser (when forced: another) version was there; the row was written.
    Replaced(ReplacedRow),
    /// This or a greater version was there; nothing was written.
    Unchanged,
    /// Its key is covered: its tokens are counted under other keys, and nothing was written, by force neither. For the
    /// sums of a session: responses of it are stored, or were, and they alone count.
    Covered,
}

/// A row before it was replaced, as far as its totals need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedRow {
    /// The session that it counted for.
    pub session: SessionId,
    /// Its tokens.
    pub tokens: u64,
    /// The revision of the counting rule that had made it.
    pub rule_revision: RuleRevision,
}
