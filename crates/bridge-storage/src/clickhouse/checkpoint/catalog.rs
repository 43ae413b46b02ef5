//! The catalog of tables with rows, and the states of the store that they belong to.

use std::collections::BTreeMap;

use ::clickhouse::Row;
use ::clickhouse::error::{Error, Result};
use bridge_core::{CheckpointName, Epoch};
use serde::Deserialize;

use super::metadata::TableMetadata;
use crate::clickhouse::connection::server_code;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;

/// The two tables that a state of the store consists of, and their names in it:
///
/// - `token_usage`, `source_files`: what is live.
/// - `…_run_RUN`: an unfinished copy, or the `source_files` of the checkpoint whose metadata names the run.
/// - `token_usage_checkpoint_NAME`: a checkpoint. It gets this name when it is complete.
/// - `token_usage_claim_EPOCH`: the claim of the rollback that begins this epoch. It is empty; its metadata names the
///   run.
/// - `…_rollback_EPOCH_TURN`: what a rollback is about to make live, and, after the exchange, what it replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DataTable {
    Sources,
    Usage,
}

impl DataTable {
    pub(crate) fn live(self) -> &'static str {
        match self {
            Self::Sources => "source_files",
            Self::Usage => "token_usage",
        }
    }

    /// Returns the table that belongs to this one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sources => Self::Usage,
            Self::Usage => Self::Sources,
        }
    }

    pub(crate) fn of_run(self, run: &str) -> String {
        format!("{}{RUN}{run}", self.live())
    }

    pub(crate) fn of_rollback(self, epoch: Epoch, attempt: u32) -> String {
        format!("{}{ROLLBACK}{epoch}_{attempt}", self.live())
    }
}

pub(crate) fn of_checkpoint(name: &CheckpointName) -> String {
    format!("{}{CHECKPOINT}{name}", DataTable::Usage.live())
}

pub(crate) fn of_claim(epoch: Epoch) -> String {
    format!("{}{CLAIM}{epoch}", DataTable::Usage.live())
}

const RUN: &str = "_run_";
const CLAIM: &str = "_claim_";
const ROLLBACK: &str = "_rollback_";
const CHECKPOINT: &str = "_checkpoint_";

/// The infixes in the names of tables that are not live.
pub(crate) const BRANCHES: [&str; 4] = [RUN, CLAIM, ROLLBACK, CHECKPOINT];

/// The role of a table, by its name in the schema.
pub(crate) enum TableRole<'a> {
    Live(DataTable),
    /// A copy, of this run.
    Run(&'a str),
    Checkpoint,
    Claim,
    /// The table of a rollback that begins this epoch.
    Rollback(DataTable, Epoch),
    Unknown,
}

impl<'a> TableRole<'a> {
    pub(crate) fn parse(name: &'a str) -> Self {
        let branch = [DataTable::Sources, DataTable::Usage]
            .into_iter()
            .find_map(|base| name.strip_prefix(base.live()).map(|rest| (base, rest)));
        let Some((base, rest)) = branch else { return Self::Unknown };
        let epoch = |rest: &str| rest.split_once('_')?.0.parse().ok().map(Epoch);
        if rest.is_empty() {
            Self::Live(base)
        } else if let Some(run) = rest.strip_prefix(RUN) {
            Self::Run(run)
        } else if rest.starts_with(CHECKPOINT) {
            Self::Checkpoint
        } else if rest.starts_with(CLAIM) {
            Self::Claim
        } else {
            rest.strip_prefix(ROLLBACK)
                .and_then(epoch)
                .map_or(Self::Unknown, |epoch| Self::Rollback(base, epoch))
        }
    }
}

/// A table of a rollback.
#[derive(Debug, Clone)]
pub(crate) struct StagedTable {
    pub(crate) name: String,
    /// The epoch that the rollback begins.
    epoch: Epoch,
    attempt: u32,
    pub(crate) metadata: TableMetadata,
}

impl StagedTable {
    /// Returns whether it was live before the tables were exchanged.
    pub(crate) fn is_replaced(&self) -> bool {
        self.metadata.epoch < self.epoch
    }
}

#[derive(Debug, Row, Deserialize)]
struct TableRow {
    name: String,
    comment: String,
    is_old: bool,
}

/// An entry of the catalog.
#[derive(Debug)]
struct CatalogEntry {
    metadata: TableMetadata,
    is_old: bool,
}

/// Maximum number of reads of the catalog, each of which concurrent renames may spoil.
const READS_MAX: u32 = 21;

/// All tables with rows.
#[derive(Debug, Default)]
pub(crate) struct TableCatalog {
    /// By their names in the schema.
    tables: BTreeMap<String, CatalogEntry>,
}

impl TableCatalog {
    /// Reads the catalog. If a table is renamed meanwhile, the database may fail to find it; then the read is repeated.
    pub(crate) async fn read(tables: &Tables, topology: &Topology) -> Result<Self> {
        for _ in 1..READS_MAX {
            match Self::read_once(tables, topology).await {
                Err(Error::BadResponse(text))
                    if server_code::in_message(&text) == Some(server_code::FILE_DOESNT_EXIST) => {}
                catalog => return catalog,
            }
        }
        Self::read_once(tables, topology).await
    }

    async fn read_once(tables: &Tables, topology: &Topology) -> Result<Self> {
        let (usage, sources) = (tables.name(DataTable::Usage.live()), tables.name(DataTable::Sources.live()));
        let rows: Vec<TableRow> = tables
            .query(
                "SELECT name, comment, metadata_modification_time < now() - 600 AS is_old FROM system.tables \
                 WHERE database = currentDatabase() AND (startsWith(name, ?) OR startsWith(name, ?))",
            )
            .bind(&usage)
            .bind(&sources)
            .fetch_all()
            .await?;
        let prefix_bytes = usage.len() - DataTable::Usage.live().len();
        let suffix = topology.local_name("");
        let found = rows.into_iter().filter_map(|row| {
            let name = row.name.get(prefix_bytes..)?.strip_suffix(&suffix)?.to_owned();
            let metadata = TableMetadata::of_comment(&row.comment);
            Some((name, CatalogEntry { metadata, is_old: row.is_old }))
        });
        Ok(Self { tables: found.collect() })
    }

    /// Returns the metadata of the live table.
    pub(crate) fn live(&self, base: DataTable) -> TableMetadata {
        self.metadata(base.live())
    }

    /// Returns the metadata of the table of this name.
    pub(crate) fn metadata(&self, table: &str) -> TableMetadata {
        self.tables.get(table).map(|found| found.metadata.clone()).unwrap_or_default()
    }

    /// Returns the tables whose definition was lost and recreated: the live ones first, because the metadata of the
    /// others depends on theirs.
    pub(crate) fn repaired(&self) -> Vec<&str> {
        let repaired = self.tables.iter().filter(|(_, found)| found.metadata.is_repaired);
        let mut names: Vec<&str> = repaired.map(|(name, _)| name.as_str()).collect();
        names.sort_by_key(|name| !matches!(TableRole::parse(name), TableRole::Live(_)));
        names
    }

    /// Returns the metadata of the claim or the checkpoint that names this run.
    pub(crate) fn metadata_of_run(&self, run: &str) -> Option<&TableMetadata> {
        let claims = self.branch(DataTable::Usage, CLAIM).map(|(_, metadata, _)| metadata);
        claims
            .chain(self.all_checkpoints().map(|(_, metadata)| metadata))
            .find(|metadata| metadata.run == run)
    }

    /// Returns the runs of copied sources that no claim and no checkpoint names.
    pub(crate) fn unclaimed_source_runs(&self) -> Vec<&str> {
        let runs = self.branch(DataTable::Sources, RUN).map(|(run, ..)| run);
        runs.filter(|run| self.metadata_of_run(run).is_none()).collect()
    }

    /// Returns the checkpoint and its metadata.
    pub(crate) fn checkpoint(&self, name: &CheckpointName) -> Option<&TableMetadata> {
        self.tables.get(&of_checkpoint(name)).map(|found| &found.metadata)
    }

    /// Returns all checkpoints with their metadata, by name.
    pub(crate) fn checkpoints(&self) -> impl Iterator<Item = (CheckpointName, &TableMetadata)> {
        self.all_checkpoints()
            .filter_map(|(name, metadata)| Some((CheckpointName::new(name).ok()?, metadata)))
    }

    fn all_checkpoints(&self) -> impl Iterator<Item = (&str, &TableMetadata)> {
        self.branch(DataTable::Usage, CHECKPOINT).map(|(name, metadata, _)| (name, metadata))
    }

    /// Returns the tables of one branch, by what distinguishes their names.
    fn branch(
        &self,
        base: DataTable,
        branch: &'static str,
    ) -> impl Iterator<Item = (&str, &TableMetadata, bool)> {
        self.tables.iter().filter_map(move |(name, found)| {
            Some((name.strip_prefix(base.live())?.strip_prefix(branch)?, &found.metadata, found.is_old))
        })
    }

    /// Returns the epoch of the earliest rollback under way.
    pub(crate) fn first_rollback(&self) -> Option<Epoch> {
        let claimed =
            self.branch(DataTable::Usage, CLAIM).filter_map(|(epoch, ..)| epoch.parse().ok().map(Epoch));
        let renamed = [DataTable::Sources, DataTable::Usage].map(|base| self.renamed(base));
        claimed.chain(renamed.iter().flatten().map(|staged| staged.epoch)).min()
    }

    /// Returns the table of this rollback: the first renamed one, or else the copy that its claim names.
    pub(crate) fn staged(&self, base: DataTable, epoch: Epoch) -> Option<StagedTable> {
        let renamed = self.renamed(base).into_iter().filter(|staged| staged.epoch == epoch);
        renamed.min_by_key(|staged| staged.attempt).or_else(|| {
            let claim = self.tables.get(&of_claim(epoch))?;
            let name = base.of_run(&claim.metadata.run);
            let copy = self.tables.get(&name)?;
            Some(StagedTable { epoch, attempt: 0, metadata: copy.metadata.clone(), name })
        })
    }

    fn renamed(&self, base: DataTable) -> Vec<StagedTable> {
        let tables = self.branch(base, ROLLBACK).filter_map(|(rest, metadata, _)| {
            let (epoch, attempt) = rest.split_once('_')?;
            let (epoch, attempt) = (Epoch(epoch.parse().ok()?), attempt.parse().ok()?);
            Some(StagedTable {
                name: base.of_rollback(epoch, attempt),
                epoch,
                attempt,
                metadata: metadata.clone(),
            })
        });
        tables.collect()
    }

    /// Returns the number of the last attempt of this rollback.
    pub(crate) fn last_attempt(&self, base: DataTable, epoch: Epoch) -> u32 {
        let of_it = self.renamed(base).into_iter().filter(|staged| staged.epoch == epoch);
        of_it.map(|staged| staged.attempt).max().unwrap_or_default()
    }

    /// Returns copies that were begun a while ago and never became a checkpoint.
    pub(crate) fn abandoned(&self) -> Vec<String> {
        let claims = self.branch(DataTable::Usage, CLAIM).map(|(_, metadata, _)| metadata);
        let used: Vec<&str> = self
            .all_checkpoints()
            .map(|(_, metadata)| metadata)
            .chain(claims)
            .map(|metadata| &*metadata.run)
            .collect();
        let mut abandoned = Vec::new();
        for base in [DataTable::Sources, DataTable::Usage] {
            let copies = self.branch(base, RUN).filter(|(run, _, is_old)| *is_old && !used.contains(run));
            abandoned.extend(copies.map(|(run, _, _)| base.of_run(run)));
        }
        abandoned
    }
}
