//! Export and import of whole tables.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{BridgeError, Epoch, saturating_sum};
use serde::{Deserialize, Serialize};

use crate::query::StoreTotals;

/// The tables of a backup, in the order in which they are imported. Rows precede the records of source files, which
/// state that the rows read from the file are stored. Backups of earlier versions have the first three.
///
/// Price lists and the records of projects are in it because no transcript can bring them back: answers are repeated
/// by the digest of their prices, and worktrees are recorded whose folder is gone.
pub const BACKUP_TABLES: [&str; 5] =
    ["token_usage", "source_files", "bridge_audit", "token_prices", "project_names"];

/// Exports the whole store and imports it again.
///
/// An import merges, like every write: versions travel with their rows, and of two versions of a row the greater
/// stays. So it may be repeated, in any order, into an empty or a filled store. Of price lists the one that was put
/// in use last on either side is in use afterwards, and of two records of a project the later one stays.
///
/// A store without [price lists](crate::PriceStore) or [projects](crate::ProjectStore) exports none, and skips those
/// of a part.
#[async_trait]
pub trait BackupStore: Send + Sync + fmt::Debug {
    /// Returns the number of the schema of exported rows. Rows of a greater one are refused.
    fn schema(&self) -> u32;

    /// Returns the format that suits this store best.
    fn backup_format(&self) -> BackupFormat;

    /// Begins an export of all tables as of one moment, whatever writers do afterwards.
    ///
    /// # Errors
    ///
    /// The store does not know the format, or fails.
    async fn begin_export(&self, format: BackupFormat) -> Result<Box<dyn TableExport + '_>, BridgeError>;

    /// Merges the rows of a part into the store, for an operation that began in this epoch. When it returns, they are
    /// durable. From then on they belong to that epoch. A cursor that was void in its old store is void here, too.
    ///
    /// # Errors
    ///
    /// The store does not know the format or the table, the data is invalid, the store fails, or it was rolled back.
    async fn import_part(&self, part: &TablePart, begun_in: Epoch) -> Result<(), BridgeError>;

    /// Makes the server itself write a backup, without transferring the rows. Returns what it contains.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Unsupported`](bridge_core::StorageKind::Unsupported) if the server may not write there. The
    /// message names the setting that would allow it.
    async fn back_up(&self, place: &ServerPlace) -> Result<ExportSummary, BridgeError>;

    /// Merges a backup made by [`back_up`](Self::back_up) into the store, for an operation that began in this epoch.
    /// Returns what it contained.
    ///
    /// # Errors
    ///
    /// Those of [`back_up`](Self::back_up). It also fails if there is no such backup, or the store was rolled back.
    async fn restore(&self, place: &ServerPlace, begun_in: Epoch) -> Result<ExportSummary, BridgeError>;
}

/// All tables as of one moment, part by part.
#[async_trait]
pub trait TableExport: Send + fmt::Debug {
    /// Returns the content of the tables, over all parts.
    fn summary(&self) -> &ExportSummary;

    /// Returns the next part; `None` after the last.
    ///
    /// # Errors
    ///
    /// The store fails.
    async fn next_part(&mut self) -> Result<Option<TablePart>, BridgeError>;
}

/// The content of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportSummary {
    /// The epoch of the store. Cursors of other epochs were void in it.
    pub epoch: Epoch,
    /// Rows by table, in the order in which they are imported.
    pub tables: Vec<TableRows>,
    /// The sums over the responses in it.
    pub totals: StoreTotals,
}

impl ExportSummary {
    /// Returns the rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        saturating_sum(self.tables.iter().map(|table| table.rows))
    }
}

/// The rows of one table in an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// The table, by its name in the schema.
    pub table: String,
    /// Its rows, each once.
    pub rows: u64,
}

/// Some rows of a table, encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct TablePart {
    /// The table, by its name in the schema.
    pub table: String,
    /// Their encoding.
    pub format: BackupFormat,
    /// The epoch of their store.
    pub epoch: Epoch,
    /// The number of rows.
    pub rows: u64,
    /// The rows.
    pub data: Vec<u8>,
}

impl fmt::Debug for TablePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of {} in {} bytes", self.rows, self.table, self.data.len())
    }
}

/// An encoding of rows. Both formats keep every value exactly, and many other tools read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackupFormat {
    /// Columns, compressed. Numbers of 128 and 256 bits are little-endian bytes.
    Parquet,
    /// One JSON object per line. It takes about five times the space.
    JsonLines,
}

impl BackupFormat {
    /// Returns the approximate number of rows in a part of a table: some 20 MiB, of which an export holds two at once.
    #[must_use]
    pub fn part_rows(self) -> u64 {
        match self {
            Self::Parquet => 250_000,
            Self::JsonLines => 40_000,
        }
    }

    /// Returns the extension of its files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::JsonLines => "jsonl",
        }
    }
}

/// A place where a server writes its own backups. The server's configuration has to allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerPlace {
    /// A folder of this name below the server's `backups.allowed_path`.
    File(String),
    /// A folder of this name on a disk that the server lists under `backups.allowed_disk`.
    Disk {
        /// The disk.
        disk: String,
        /// The folder.
        path: String,
    },
}
