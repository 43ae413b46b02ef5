//! Activity of each host in a store.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{BridgeError, HostName, Timestamp};

use crate::source::SourceRecord;

/// Summarizes what a store holds of each host: for a program that keeps cursors in memory and has to know whether they
/// are still those of the store, and for a fleet of hosts that share a store.
#[async_trait]
pub trait HostStore: Send + Sync + fmt::Debug {
    /// Returns the digest of the host's records of sources. Far cheaper than the records.
    async fn sources_digest(&self, host: &HostName) -> Result<SourcesDigest, BridgeError>;

    /// Returns the activity of every host with a record of a source, or with an operation on record that ended since then, by name.
    async fn host_activity(&self, since: Timestamp) -> Result<Vec<HostActivity>, BridgeError>;
}

/// A digest of records of sources, whatever their order. Any change of a single record changes it.
///
/// ```
/// use bridge_core::{HostName, SessionId};
/// use bridge_storage::{SourceRecord, SourcesDigest};
///
/// let record = SourceRecord::new(HostName::new("laptop")?, "/s.jsonl".into(), SessionId::new("s")?);
/// let mut digest = SourcesDigest::default();
/// digest.add(&record);
/// assert_eq!(digest.records, 1);
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourcesDigest {
    /// The number of records.
    pub records: u64,
    /// The exclusive or of the records' [marks](SourceRecord::mark).
    pub marks: u128,
}

impl SourcesDigest {
    /// Adds a record.
    pub fn add(&mut self, record: &SourceRecord) {
        self.records += 1;
        self.marks ^= record.mark();
    }
}

/// The activity of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostActivity {
    /// The host.
    pub host: HostName,
    /// The number of its files and streams with a record.
    pub sources: u64,
    /// When one of them was read last.
    pub last_read: Option<Timestamp>,
    /// When its last operation on record ended.
    pub last_operation: Option<Timestamp>,
}

impl HostActivity {
    /// Returns when the host was last seen: it read a source, or ended an operation that is on record.
    #[must_use]
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.last_read.max(self.last_operation)
    }
}
