//! Completing a rollback, by whoever finds it.
//!
//! `EXCHANGE TABLES` is atomic and cannot simply be repeated: a second one takes the first back. So each is sent
//! under a name of the staged table that belongs to one program alone. Who wants to complete a rollback renames the
//! table first, counting its turn up; of several one succeeds, and an exchange that another sent under the old name
//! fails, however late it arrives. Then, and only then, the labels are looked at: they say whether the exchange was
//! made already. Every step can be the last before a crash.

use std::time::Duration;

use ::clickhouse::Row;
use ::clickhouse::error::Result;
use bridge_core::{BridgeError, CheckpointName, StateFigures, StorageKind};
use serde::Deserialize;

use super::change::{Changed, TableChange};
use super::failure::TableError;
use super::label::Label;
use super::schema::SCHEMA;
use super::survey::{Base, Staged, Survey, of_checkpoint};
use super::tables::Tables;
use super::topology::Topology;

/// A rollback has fewer steps than this; more are only made by many programs that overtake each other.
const STEPS_MAX: u32 = 200;

/// Between two looks at what another program does.
const PAUSE: Duration = Duration::from_millis(5);

/// Completes every rollback that was begun, and drops what lost.
pub(super) async fn settle(tables: &Tables, topology: &Topology) -> std::result::Result<(), TableError> {
    for _ in 0..STEPS_MAX {
        let survey = Survey::of(tables, topology).await?;
        let Some(rollback) = Rollback::first(tables, topology, survey) else { return Ok(()) };
        if rollback.step().await? == Changed::NotPossible {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let message = "a rollback that was begun cannot be completed".to_owned();
    let (kind, context) = (StorageKind::Busy, Box::default());
    Err(TableError::Bridge(BridgeError::Storage { operation: "roll back", kind, message, context, source: None }))
}

/// A rollback that was begun.
struct Rollback<'a> {
    tables: &'a Tables,
    topology: &'a Topology,
    survey: Survey,
    sources: Option<Staged>,
    usage: Option<Staged>,
}

impl<'a> Rollback<'a> {
    /// The earliest one.
    fn first(tables: &'a Tables, topology: &'a Topology, survey: Survey) -> Option<Self> {
        let [mut sources, mut usage] =
            [Base::Sources, Base::Usage].map(|base| survey.staged(base).into_iter());
        let (sources, usage) = (sources.next(), usage.next());
        let epoch = sources.iter().chain(&usage).map(|staged| staged.epoch).min()?;
        let of_it = |staged: Option<Staged>| staged.filter(|staged| staged.epoch == epoch);
        Some(Self { tables, topology, sources: of_it(sources), usage: of_it(usage), survey })
    }

    /// Does what comes next.
    async fn step(&self) -> Result<Changed> {
        match (&self.sources, &self.usage) {
            (Some(sources), _) if !sources.is_replaced() && self.is_late(Base::Sources, sources) => {
                self.give_up(sources).await
            }
            (Some(sources), None) if !sources.is_replaced() => {
                let (table, to) =
                    (Base::Usage.of_run(&sources.label.run), Base::Usage.of_rollback(sources.epoch, 0));
                if !self.survey.contains(&table) {
                    return self.give_up(sources).await;
                }
                self.make(TableChange::Rename { table: &table, to: &to }).await
            }
            (Some(sources), Some(_)) if !sources.is_replaced() => self.exchange(Base::Sources, sources).await,
            (_, Some(usage)) if !usage.is_replaced() && self.is_late(Base::Usage, usage) => {
                self.make(TableChange::Drop { table: &usage.name }).await
            }
            (_, Some(usage)) if !usage.is_replaced() => self.exchange(Base::Usage, usage).await,
            (Some(sources), usage) => self.keep_sources(sources, usage.as_ref()).await,
            (None, Some(usage)) => {
                let to = of_checkpoint(&CheckpointName::before_rollback(usage.epoch));
                self.make(TableChange::Rename { table: &usage.name, to: &to }).await
            }
            (None, None) => Ok(Changed::Yes),
        }
    }

    /// Whether the live table is of this epoch or a later one without the exchange of this table.
    fn is_late(&self, base: Base, staged: &Staged) -> bool {
        self.survey.live(base).epoch >= staged.epoch
    }

    /// Another rollback was faster.
    async fn give_up(&self, sources: &Staged) -> Result<Changed> {
        let table = Base::Usage.of_run(&sources.label.run);
        let _ = self.make(TableChange::Drop { table: &table }).await?;
        self.make(TableChange::Drop { table: &sources.name }).await
    }

    async fn exchange(&self, base: Base, staged: &Staged) -> Result<Changed> {
        let own = base.of_rollback(staged.epoch, staged.turn + 1);
        let taken = self.make(TableChange::Rename { table: &staged.name, to: &own }).await?;
        if taken == Changed::NotPossible {
            return Ok(taken);
        }
        // Nobody else can exchange it now; but somebody may have done so before.
        let survey = Survey::of(self.tables, self.topology).await?;
        if survey.live(base).epoch >= staged.epoch {
            return Ok(Changed::Yes);
        }
        self.make(TableChange::Exchange { table: base.live(), with: &own }).await
    }

    /// What was replaced becomes a checkpoint: first its sources, by the name that its label will say.
    async fn keep_sources(&self, sources: &Staged, usage: Option<&Staged>) -> Result<Changed> {
        let run = format!("before_{}", sources.epoch);
        if let Some(usage) = usage {
            let figures = figures(self.tables, &self.topology.local_name(&usage.name)).await?;
            let at = self.survey.live(Base::Usage).at;
            let epoch = usage.label.epoch;
            let label = &Label { epoch, from: None, run: run.clone(), at, schema: SCHEMA, figures };
            let marked = self.make(TableChange::Mark { table: &usage.name, label }).await?;
            if marked == Changed::NotPossible {
                return Ok(marked);
            }
        }
        let to = Base::Sources.of_run(&run);
        self.make(TableChange::Rename { table: &sources.name, to: &to }).await
    }

    async fn make(&self, change: TableChange<'_>) -> Result<Changed> {
        change.make(self.tables, self.topology).await
    }
}

#[derive(Row, Deserialize)]
struct FiguresRow {
    tokens: u64,
    responses: u64,
    sessions: u64,
}

/// The figures of a `token_usage` of this name.
pub(super) async fn figures(tables: &Tables, table: &str) -> Result<StateFigures> {
    let query = format!(
        "SELECT sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens) AS tokens, \
         count() AS responses, uniqExact(session_id) AS sessions FROM {table} FINAL"
    );
    let FiguresRow { tokens, responses, sessions } = tables.query(&query).fetch_one().await?;
    Ok(StateFigures { tokens, responses, sessions })
}
