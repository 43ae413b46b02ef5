//! Which tables with rows there are, and to which states of the store they belong.

use std::collections::BTreeMap;

use ::clickhouse::Row;
use ::clickhouse::error::{Error, Result};
use bridge_core::{CheckpointName, Epoch};
use serde::Deserialize;

use super::failure::server_code;
use super::label::Label;
use super::tables::Tables;
use super::topology::Topology;

/// The two tables that a state of the store consists of, and their names in it:
///
/// - `token_usage`, `source_files`: what is live.
/// - `…_run_RUN`: a copy that somebody makes; and the `source_files` of the checkpoint whose label names the run.
/// - `token_usage_checkpoint_NAME`: a checkpoint. It gets this name when it is whole.
/// - `token_usage_claim_EPOCH`: there is a rollback that begins this epoch. It is empty; its label names the run.
/// - `…_rollback_EPOCH_TURN`: what a rollback is about to make live, and, after the exchange, what it replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Base {
    Sources,
    Usage,
}

impl Base {
    pub(super) fn live(self) -> &'static str {
        match self {
            Self::Sources => "source_files",
            Self::Usage => "token_usage",
        }
    }

    /// The table that goes with this one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Sources => Self::Usage,
            Self::Usage => Self::Sources,
        }
    }

    pub(super) fn of_run(self, run: &str) -> String {
        format!("{}{RUN}{run}", self.live())
    }

    pub(super) fn of_rollback(self, epoch: Epoch, turn: u32) -> String {
        format!("{}{ROLLBACK}{epoch}_{turn}", self.live())
    }
}

pub(super) fn of_checkpoint(name: &CheckpointName) -> String {
    format!("{}{CHECKPOINT}{name}", Base::Usage.live())
}

pub(super) fn of_claim(epoch: Epoch) -> String {
    format!("{}{CLAIM}{epoch}", Base::Usage.live())
}

const RUN: &str = "_run_";
const CLAIM: &str = "_claim_";
const ROLLBACK: &str = "_rollback_";
const CHECKPOINT: &str = "_checkpoint_";

/// What the names of the bridge's tables go on with, where they are no live ones.
pub(super) const BRANCHES: [&str; 4] = [RUN, CLAIM, ROLLBACK, CHECKPOINT];

/// What a table is, by its name in the schema.
pub(super) enum Role<'a> {
    Live(Base),
    /// A copy, of this run.
    Run(&'a str),
    Checkpoint,
    Claim,
    /// The table of a rollback that begins this epoch.
    Rollback(Base, Epoch),
    Unknown,
}

impl<'a> Role<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        let branch = [Base::Sources, Base::Usage]
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
pub(super) struct Staged {
    pub(super) name: String,
    /// The epoch that the rollback begins.
    epoch: Epoch,
    turn: u32,
    pub(super) label: Label,
}

impl Staged {
    /// Whether it is what was live before: the tables were exchanged.
    pub(super) fn is_replaced(&self) -> bool {
        self.label.epoch < self.epoch
    }
}

#[derive(Debug, Row, Deserialize)]
struct TableRow {
    name: String,
    comment: String,
    is_old: bool,
}

/// What the database says of a table.
#[derive(Debug)]
struct Found {
    label: Label,
    is_old: bool,
}

/// Renames that come in between one look after the other.
const LOOKS_MAX: u32 = 20;

const FILE_IS_GONE: u32 = 107;

/// All tables with rows.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// By their names in the schema.
    tables: BTreeMap<String, Found>,
}

impl Survey {
    /// Looks at them. Where a table is renamed meanwhile the database may fail to find it: then it looks again.
    pub(super) async fn of(tables: &Tables, topology: &Topology) -> Result<Self> {
        for _ in 0..LOOKS_MAX {
            match Self::look(tables, topology).await {
                Err(Error::BadResponse(text)) if server_code(&text) == Some(FILE_IS_GONE) => {}
                survey => return survey,
            }
        }
        Self::look(tables, topology).await
    }

    async fn look(tables: &Tables, topology: &Topology) -> Result<Self> {
        let (usage, sources) = (tables.name(Base::Usage.live()), tables.name(Base::Sources.live()));
        let rows: Vec<TableRow> = tables
            .query(
                "SELECT name, comment, metadata_modification_time < now() - 600 AS is_old FROM system.tables \
                 WHERE database = currentDatabase() AND (startsWith(name, ?) OR startsWith(name, ?))",
            )
            .bind(&usage)
            .bind(&sources)
            .fetch_all()
            .await?;
        let prefix_bytes = usage.len() - Base::Usage.live().len();
        let suffix = topology.local_name("");
        let found = rows.into_iter().filter_map(|row| {
            let name = row.name.get(prefix_bytes..)?.strip_suffix(&suffix)?.to_owned();
            let label = Label::of_comment(&row.comment);
            Some((name, Found { label, is_old: row.is_old }))
        });
        Ok(Self { tables: found.collect() })
    }

    /// The label of the live table.
    pub(super) fn live(&self, base: Base) -> Label {
        self.label(base.live())
    }

    /// The label of the table of this name.
    pub(super) fn label(&self, table: &str) -> Label {
        self.tables.get(table).map(|found| found.label.clone()).unwrap_or_default()
    }

    /// The tables whose definition was lost and written anew: the live ones first, because other labels follow theirs.
    pub(super) fn repaired(&self) -> Vec<&str> {
        let repaired = self.tables.iter().filter(|(_, found)| found.label.is_repaired);
        let mut names: Vec<&str> = repaired.map(|(name, _)| name.as_str()).collect();
        names.sort_by_key(|name| !matches!(Role::of(name), Role::Live(_)));
        names
    }

    /// The label of the claim or the checkpoint that names this run.
    pub(super) fn label_of_run(&self, run: &str) -> Option<&Label> {
        let claims = self.branch(Base::Usage, CLAIM).map(|(_, label, _)| label);
        claims.chain(self.checkpoint_labels().map(|(_, label)| label)).find(|label| label.run == run)
    }

    /// The runs of copied sources that no claim and no checkpoint names.
    pub(super) fn unclaimed_source_runs(&self) -> Vec<&str> {
        let runs = self.branch(Base::Sources, RUN).map(|(run, ..)| run);
        runs.filter(|run| self.label_of_run(run).is_none()).collect()
    }

    /// The checkpoint and its label.
    pub(super) fn checkpoint(&self, name: &CheckpointName) -> Option<&Label> {
        self.tables.get(&of_checkpoint(name)).map(|found| &found.label)
    }

    /// All checkpoints with their labels, by name.
    pub(super) fn checkpoints(&self) -> impl Iterator<Item = (CheckpointName, &Label)> {
        self.checkpoint_labels().filter_map(|(name, label)| Some((CheckpointName::new(name).ok()?, label)))
    }

    fn checkpoint_labels(&self) -> impl Iterator<Item = (&str, &Label)> {
        self.branch(Base::Usage, CHECKPOINT).map(|(name, label, _)| (name, label))
    }

    /// The tables of one branch, by what distinguishes their names.
    fn branch(&self, base: Base, branch: &'static str) -> impl Iterator<Item = (&str, &Label, bool)> {
        self.tables.iter().filter_map(move |(name, found)| {
            Some((name.strip_prefix(base.live())?.strip_prefix(branch)?, &found.label, found.is_old))
        })
    }

    /// The epoch that the earliest rollback begins that is under way.
    pub(super) fn first_rollback(&self) -> Option<Epoch> {
        let claimed = self.branch(Base::Usage, CLAIM).filter_map(|(epoch, ..)| epoch.parse().ok().map(Epoch));
        let renamed = [Base::Sources, Base::Usage].map(|base| self.renamed(base));
        claimed.chain(renamed.iter().flatten().map(|staged| staged.epoch)).min()
    }

    /// The table of this rollback: the first that somebody renamed, else the copy that its claim names.
    pub(super) fn staged(&self, base: Base, epoch: Epoch) -> Option<Staged> {
        let renamed = self.renamed(base).into_iter().filter(|staged| staged.epoch == epoch);
        renamed.min_by_key(|staged| staged.turn).or_else(|| {
            let claim = self.tables.get(&of_claim(epoch))?;
            let name = base.of_run(&claim.label.run);
            let copy = self.tables.get(&name)?;
            Some(Staged { epoch, turn: 0, label: copy.label.clone(), name })
        })
    }

    fn renamed(&self, base: Base) -> Vec<Staged> {
        let tables = self.branch(base, ROLLBACK).filter_map(|(rest, label, _)| {
            let (epoch, turn) = rest.split_once('_')?;
            let (epoch, turn) = (Epoch(epoch.parse().ok()?), turn.parse().ok()?);
            Some(Staged { name: base.of_rollback(epoch, turn), epoch, turn, label: label.clone() })
        });
        tables.collect()
    }

    /// The greatest number that somebody gave a table of this rollback.
    pub(super) fn last_turn(&self, base: Base, epoch: Epoch) -> u32 {
        let of_it = self.renamed(base).into_iter().filter(|staged| staged.epoch == epoch);
        of_it.map(|staged| staged.turn).max().unwrap_or_default()
    }

    /// Copies that somebody began to make a while ago and that became no checkpoint.
    pub(super) fn abandoned(&self) -> Vec<String> {
        let claims = self.branch(Base::Usage, CLAIM).map(|(_, label, _)| label);
        let used: Vec<&str> =
            self.checkpoint_labels().map(|(_, label)| label).chain(claims).map(|label| &*label.run).collect();
        let mut abandoned = Vec::new();
        for base in [Base::Sources, Base::Usage] {
            let copies = self.branch(base, RUN).filter(|(run, _, is_old)| *is_old && !used.contains(run));
            abandoned.extend(copies.map(|(run, _, _)| base.of_run(run)));
        }
        abandoned
    }
}
