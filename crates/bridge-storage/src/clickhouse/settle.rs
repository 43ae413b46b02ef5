//! Completing a rollback, by whoever finds it.
//!
//! A rollback is begun when its claim is there: a table that bears the epoch in its name, so that of several
//! rollbacks to one epoch one succeeds, and whose label names the run whose copies are to become live.
//!
//! `EXCHANGE TABLES` is atomic and cannot simply be repeated: a second one takes the first back. So each is sent
//! under a name of the copy that belongs to one program alone. Who wants to complete a rollback renames the
//! copy first, counting its turn up; of several one succeeds, and an exchange that another sent under the old name
//! fails, however late it arrives. Then, and only then, the labels are looked at: they say whether the exchange was
//! made already. Every step can be the last before a crash.

use std::time::Duration;

use ::clickhouse::Row;
use ::clickhouse::error::Result;
use bridge_core::{BridgeError, CheckpointName, CheckpointTotals, Epoch, StorageKind};
use serde::Deserialize;

use super::change::{Changed, TableChange};
use super::failure::TableError;
use super::label::Label;
use super::recovery::restore_labels;
use super::retention::age_of_rows;
use super::room;
use super::rows::COUNTED;
use super::saturating::{TOKENS, sum};
use super::schema::SCHEMA;
use super::survey::{Base, Staged, Survey, of_checkpoint, of_claim};
use super::tables::Tables;
use super::topology::Topology;

const OPERATION: &str = "roll back";

/// A rollback has fewer steps than this; more are only made by many programs that overtake each other.
const STEPS_MAX: u32 = 200;

/// Between two looks at what another program does.
const PAUSE: Duration = Duration::from_millis(5);

/// Completes every rollback that was begun, and drops what lost. Answers with what there is then.
pub(super) async fn settle(tables: &Tables, topology: &Topology) -> std::result::Result<Survey, TableError> {
    for _ in 0..STEPS_MAX {
        let survey = Survey::of(tables, topology).await?;
        if !survey.repaired().is_empty() {
            room::check(tables, OPERATION).await?;
            restore_labels(tables, topology, &survey).await?;
            continue;
        }
        let Some(rollback) = Rollback::first(tables, topology, &survey) else { return Ok(survey) };
        room::check(tables, OPERATION).await?;
        if rollback.step().await? == Changed::NotPossible {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let message = "a rollback that was begun cannot be completed".to_owned();
    let (kind, context) = (StorageKind::Busy, Box::default());
    Err(TableError::Bridge(BridgeError::Storage {
        operation: OPERATION,
        kind,
        message,
        context,
        source: None,
    }))
}

/// A rollback that was begun. A survey may miss a table that is renamed meanwhile, so that one is not seen decides
/// nothing but to look again.
struct Rollback<'a> {
    tables: &'a Tables,
    topology: &'a Topology,
    survey: &'a Survey,
    epoch: Epoch,
    /// The copy of the checkpoint's sources, or, after the exchange, what was live before.
    sources: Option<Staged>,
    usage: Option<Staged>,
}

impl<'a> Rollback<'a> {
    /// The earliest one.
    fn first(tables: &'a Tables, topology: &'a Topology, survey: &'a Survey) -> Option<Self> {
        let epoch = survey.first_rollback()?;
        let [sources, usage] = [Base::Sources, Base::Usage].map(|base| survey.staged(base, epoch));
        Some(Self { tables, topology, survey, epoch, sources, usage })
    }

    /// Does what comes next: exchange both tables, keep what they replaced, give the claim back.
    async fn step(&self) -> Result<Changed> {
        match (&self.sources, &self.usage) {
            (Some(sources), _) if !sources.is_replaced() => self.exchange(Base::Sources, sources).await,
            (_, Some(usage)) if !usage.is_replaced() && self.is_over(Base::Sources) => {
                self.exchange(Base::Usage, usage).await
            }
            (Some(sources), Some(usage)) if usage.is_replaced() => match self.mark(usage).await? {
                Changed::Yes => self.keep_sources(sources).await,
                Changed::NotPossible => Ok(Changed::NotPossible),
            },
            (Some(sources), None) if self.survey.checkpoint(&self.replaced()).is_some() => {
                self.keep_sources(sources).await
            }
            (None, Some(usage)) if usage.label.run == self.run() => {
                let to = of_checkpoint(&self.replaced());
                self.make(TableChange::Rename { table: &usage.name, to: &to }).await
            }
            (None, None) if self.is_over(Base::Sources) && self.is_over(Base::Usage) => {
                self.make(TableChange::Drop { table: &of_claim(self.epoch) }).await
            }
            _ => Ok(Changed::NotPossible),
        }
    }

    /// Whether this rollback, or another to the same epoch, has exchanged the table.
    fn is_over(&self, base: Base) -> bool {
        self.survey.live(base).epoch >= self.epoch
    }

    /// Exchanges the table, or drops it where another rollback was faster.
    async fn exchange(&self, base: Base, staged: &Staged) -> Result<Changed> {
        let turn = self.survey.last_turn(base, self.epoch) + 1;
        let own = base.of_rollback(self.epoch, turn);
        let taken = self.make(TableChange::Rename { table: &staged.name, to: &own }).await?;
        if taken == Changed::NotPossible {
            return Ok(taken);
        }
        // Nobody else can exchange it now; but somebody may have done so before.
        let survey = Survey::of(self.tables, self.topology).await?;
        if survey.label(&own).epoch < self.epoch {
            return Ok(Changed::Yes);
        }
        if survey.live(base).epoch < self.epoch {
            return self.make(TableChange::Exchange { table: base.live(), with: &own }).await;
        }
        self.make(TableChange::Drop { table: &own }).await
    }

    /// The checkpoint that what was replaced becomes.
    fn replaced(&self) -> CheckpointName {
        CheckpointName::before_rollback(self.epoch)
    }

    /// The run of that checkpoint.
    fn run(&self) -> String {
        format!("before_{}", self.epoch)
    }

    /// Done again even where it seems done: an alteration that another's renaming spoils may stand in the
    /// database's memory alone.
    async fn mark(&self, usage: &Staged) -> Result<Changed> {
        if age_of_rows(self.tables, self.topology, &usage.name).await?.is_some() {
            let kept = self.make(TableChange::Age { table: &usage.name, age: None }).await?;
            if kept == Changed::NotPossible {
                return Ok(kept);
            }
        }
        let run = self.run();
        let at = self.survey.live(Base::Usage).at;
        let label = &Label { epoch: usage.label.epoch, run, at, schema: SCHEMA, ..Label::default() };
        self.make(TableChange::Mark { table: &usage.name, label }).await
    }

    async fn keep_sources(&self, sources: &Staged) -> Result<Changed> {
        let to = Base::Sources.of_run(&self.run());
        self.make(TableChange::Rename { table: &sources.name, to: &to }).await
    }

    async fn make(&self, change: TableChange<'_>) -> Result<Changed> {
        change.make(self.tables, self.topology).await
    }
}

#[derive(Row, Deserialize)]
struct CheckpointTotalsRow {
    tokens: u64,
    responses: u64,
    sessions: u64,
}

/// The figures of a `token_usage` of this name.
pub(super) async fn figures(tables: &Tables, table: &str) -> Result<CheckpointTotals> {
    let query = format!(
        "SELECT {tokens} AS tokens, count() AS responses, uniqExact(session_id) AS sessions \
         FROM {table} FINAL WHERE {COUNTED}",
        tokens = sum(TOKENS),
    );
    let CheckpointTotalsRow { tokens, responses, sessions } = tables.query(&query).fetch_one().await?;
    Ok(CheckpointTotals { tokens, responses, sessions })
}
