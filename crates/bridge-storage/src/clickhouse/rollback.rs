//! Rolling back: the checkpoint's state becomes the live one, in one exchange a table.

use bridge_core::{BridgeError, CheckpointName, Epoch, Timestamp};

use super::ClickHouseStore;
use super::catch_up::Copy;
use super::change::{Changed, TableChange};
use super::checkpoint::{drop_all, new_run};
use super::failure::TableError;
use super::label::Label;
use super::retention::age_of_rows;
use super::room;
use super::schema::SCHEMA;
use super::settle::settle;
use super::survey::{Base, Survey, of_checkpoint, of_claim};
use super::tables::Tables;
use super::topology::Topology;
use crate::capabilities::{UNKNOWN, rolled_back, unusable};

const OPERATION: &str = "roll back";

/// A rollback that nobody can undo any more.
struct Begun {
    run: String,
    epoch: Epoch,
}

impl ClickHouseStore {
    pub(super) async fn roll_back_to(
        &self,
        name: &CheckpointName,
        now: Timestamp,
    ) -> Result<CheckpointName, BridgeError> {
        let topology = &self.options.topology;
        let begun = self
            .once(OPERATION, |tables| async move {
                let tables = tables.urgent();
                let survey = settle(&tables, topology).await?;
                begin(&tables, topology, &survey, name, now).await
            })
            .await?;
        let survey =
            self.call(OPERATION, |tables| async move { settle(&tables.urgent(), topology).await }).await?;
        self.forget_state();
        let live = survey.live(Base::Usage);
        let replaced = CheckpointName::before_rollback(begun.epoch);
        match survey.checkpoint(&replaced) {
            Some(_) if live.run == begun.run => Ok(replaced),
            _ => Err(overtaken(live.from.as_ref())),
        }
    }
}

/// Copies the checkpoint and takes the next epoch for it. Up to the last step nothing has changed for anybody.
async fn begin(
    tables: &Tables,
    topology: &Topology,
    survey: &Survey,
    name: &CheckpointName,
    now: Timestamp,
) -> Result<Begun, TableError> {
    let Some(checkpoint) = survey.checkpoint(name) else {
        return Err(unusable(OPERATION, name, UNKNOWN).into());
    };
    if checkpoint.schema > SCHEMA {
        let why = format!("has schema {}, of a newer version; this one knows {SCHEMA}", checkpoint.schema);
        return Err(unusable(OPERATION, name, &why).into());
    }
    room::check(tables, OPERATION).await?;
    let epoch = survey.live(Base::Usage).epoch.next();
    let run = new_run();
    let label = Label {
        epoch,
        from: Some(name.clone()),
        run: run.clone(),
        at: now.as_millis(),
        schema: SCHEMA,
        figures: checkpoint.figures,
        ..Label::default()
    };
    let (sources, usage) = (Base::Sources.of_run(&run), Base::Usage.of_run(&run));
    let copy = async |base, table: &str, of: &str| {
        let copied = Copy { base, table, checkpoint: name, schema: checkpoint.schema };
        make_copy(tables, topology, &copied, of, &label).await
    };
    let (of_sources, of_usage) = (Base::Sources.of_run(&checkpoint.run), of_checkpoint(name));
    // Both come to their end: a statement that is dropped goes on in the database.
    let (of_sources, of_usage) =
        tokio::join!(copy(Base::Sources, &sources, &of_sources), copy(Base::Usage, &usage, &of_usage));
    if (of_sources?, of_usage?) != (Changed::Yes, Changed::Yes) {
        drop_all(tables, topology, &[&sources, &usage]).await?;
        return Err(unusable(OPERATION, name, UNKNOWN).into());
    }
    let claim = TableChange::Claim { table: &of_claim(epoch), label: &label };
    if claim.make(tables, topology).await? == Changed::NotPossible {
        drop_all(tables, topology, &[&sources, &usage]).await?;
        return Err(overtaken(None).into());
    }
    Ok(Begun { run, epoch })
}

/// Makes the copy of one table, in this version's form and fenced off from rows of older epochs.
async fn make_copy(
    tables: &Tables,
    topology: &Topology,
    copy: &Copy<'_>,
    of: &str,
    label: &Label,
) -> Result<Changed, TableError> {
    let table = copy.table;
    if (TableChange::Clone { table, of }).make(tables, topology).await? == Changed::NotPossible {
        return Ok(Changed::NotPossible);
    }
    copy.catch_up(OPERATION, tables, topology, label.epoch).await?;
    let mut changes = vec![TableChange::Fence { table, label }];
    // How long rows stay is no part of a state.
    let (age, of_copied) =
        tokio::try_join!(age_of_rows(tables, topology, copy.base.live()), age_of_rows(tables, topology, of))?;
    if age != of_copied {
        changes.push(TableChange::Age { table, age: age.as_deref() });
    }
    for change in changes {
        if change.make(tables, topology).await? == Changed::NotPossible {
            return Ok(Changed::NotPossible);
        }
    }
    Ok(Changed::Yes)
}

fn overtaken(by: Option<&CheckpointName>) -> BridgeError {
    let to = by.map(|name| format!(", to checkpoint {name},")).unwrap_or_default();
    rolled_back(OPERATION, format!("another rollback{to} was faster"))
}
