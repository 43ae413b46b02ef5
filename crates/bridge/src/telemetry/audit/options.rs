//! Options and statistics of the audit.

use std::path::PathBuf;
use std::time::Duration;

/// Options of the audit.
///
/// ```
/// use std::time::Duration;
///
/// use bridge::{AuditOptions, AuditedOperations};
///
/// let options = AuditOptions::default()
///     .with_operations(AuditedOperations::Changes)
///     .with_write_within(Duration::from_secs(1))
///     .with_buffer_records_max(1000)
///     .with_spool_dir("audit-spool")
///     .with_spool_bytes_max(16 << 20);
/// assert_eq!(options.buffer_records_max, 1000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditOptions {
    /// Maximum number of records that wait in memory: all records if there is no spool, else those that did not fit on
    /// its disk. Further records are dropped, counted, and reported by an `audit_gap` record once there is room again.
    pub buffer_records_max: usize,
    /// Maximum time until a record is written, if the store is available.
    pub write_within: Duration,
    /// The operations that are recorded.
    pub operations: AuditedOperations,
    /// Folder of the spool: files in which records wait for the store, and which outlive the program. Without one,
    /// records wait in memory, and an operation that stores something returns after the store has its record.
    pub spool_dir: Option<PathBuf>,
    /// Maximum size of the spool, in bytes; 0 turns it off. Further records are dropped, counted and reported like
    /// those of a full buffer.
    pub spool_bytes_max: u64,
}

/// The operations that are recorded. The audit does not record who reads it, nor that a synchronization of
/// [`keep_in_sync`](crate::EnhancedTokenDatabaseBridge::keep_in_sync) had nothing to do, except once in five minutes
/// without another record, which shows that the host is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditedOperations {
    /// All.
    #[default]
    All,
    /// Those that may change the store, and those that failed.
    Changes,
    /// None, not even the embedder's own, for a database user who may only read. Logs and metrics cover all.
    Nothing,
}

impl Default for AuditOptions {
    /// Ten thousand records in memory (some 5 MB), five seconds, all operations, no folder for the spool, and 64 MiB
    /// (some 80,000 records) in it.
    fn default() -> Self {
        Self {
            buffer_records_max: 10_000,
            write_within: Duration::from_secs(5),
            operations: AuditedOperations::All,
            spool_dir: None,
            spool_bytes_max: 64 << 20,
        }
    }
}

impl AuditOptions {
    /// Returns the options with room for this number of records that wait in memory.
    #[must_use]
    pub fn with_buffer_records_max(mut self, records: usize) -> Self {
        self.buffer_records_max = records.max(1);
        self
    }

    /// Returns the options with records written after this time.
    #[must_use]
    pub fn with_write_within(mut self, time: Duration) -> Self {
        self.write_within = time;
        self
    }

    /// Returns the options with these operations on record.
    #[must_use]
    pub fn with_operations(mut self, operations: AuditedOperations) -> Self {
        self.operations = operations;
        self
    }

    /// Returns the options with a spool in this folder, which is created if it is missing. An operation then returns
    /// when its record is in a file there, which survives the end of the program, `SIGKILL` included. It is not synced
    /// to the disk: a power failure may take the records of the last seconds along. Records of forced updates and of
    /// administrative operations are written to the store before the call returns, as without a spool.
    ///
    /// The next bridge with this folder writes the records of ended programs, so a folder belongs to one database and
    /// table prefix. Concurrent programs may share it. If it is not writable, the bridge works as without a spool, and
    /// logs that.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{sync::Arc, time::Duration};
    /// # use bridge::{storage::InMemoryStore, AuditFilter, EnhancedTokenDatabaseBridge, SummaryQuery};
    /// use bridge::AuditOptions;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let store = Arc::new(InMemoryStore::default());
    /// let audit = AuditOptions::default().with_spool_dir(folder.path().join("audit"));
    /// # let audit = audit.with_write_within(Duration::from_secs(3600));
    /// let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).audit(audit.clone()).build();
    /// bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await?;
    /// assert_eq!(bridge.stats().audit.buffered, 1);
    /// // The program ends without a `shutdown`.
    /// drop(bridge);
    ///
    /// let bridge = EnhancedTokenDatabaseBridge::builder(store).audit(audit).build();
    /// let records = bridge.audit_log(&AuditFilter::default()).await?;
    /// assert_eq!(records[0].operation.as_str(), "get_stored_token_summaries");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_spool_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool_dir = Some(folder.into());
        self
    }

    /// Returns the options with at most this number of bytes in the spool; 0 turns it off.
    #[must_use]
    pub fn with_spool_bytes_max(mut self, bytes: u64) -> Self {
        self.spool_bytes_max = bytes;
        self
    }
}

/// Statistics of the audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditStats {
    /// Records that wait for the store, in the spool or in memory.
    pub buffered: u64,
    /// Records written.
    pub written: u64,
    /// Records for which there was no room.
    pub dropped: u64,
    /// Lines of the spool that held no whole record: cut off by a power failure, for instance.
    pub damaged: u64,
    /// Size of the spool, in bytes.
    pub spool_bytes: u64,
}
