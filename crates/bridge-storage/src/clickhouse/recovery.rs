//! Restores the labels of tables whose definition was lost and written anew (see [`table_definition`]).
//!
//! The rows are all there; what the comment said of them is not. It is derived from what is left: the label of the
//! other live table, the epochs of the rows, the claim or the checkpoint that names the run of a copy. A cursor that
//! is not known any more costs a re-read and never a wrong total.
//!
//! [`table_definition`]: super::definition::table_definition

use ::clickhouse::error::Result;
use bridge_core::Epoch;

use super::change::{Changed, TableChange};
use super::checkpoint::new_run;
use super::label::Label;
use super::schema::SCHEMA;
use super::survey::{Base, Role, Survey};
use super::tables::Tables;
use super::topology::Topology;

/// Gives each repaired table the label that it must have had, or drops it where it belongs to nothing.
pub(super) async fn restore_labels(tables: &Tables, topology: &Topology, survey: &Survey) -> Result<()> {
    for name in survey.repaired() {
        let change = match Role::of(name) {
            Role::Live(base) => Some(live_label(tables, topology, survey, base).await?),
            Role::Run(run) => survey.label_of_run(run).cloned(),
            Role::Checkpoint => Some(checkpoint_label(tables, topology, survey, name).await?),
            Role::Rollback(base, epoch) => Some(rollback_label(survey, base, epoch)),
            // A rollback whose claim is lost has not begun, or is seen by the tables that it has renamed.
            Role::Claim | Role::Unknown => None,
        };
        let change = match &change {
            Some(label) => TableChange::Fence { table: name, label },
            None => TableChange::Drop { table: name },
        };
        // Whoever was faster has done the same.
        let (Changed::Yes | Changed::NotPossible) = change.make(tables, topology).await?;
    }
    Ok(())
}

/// Both live tables became live by the same rollback, unless one is under way, which counts their epochs itself.
async fn live_label(tables: &Tables, topology: &Topology, survey: &Survey, base: Base) -> Result<Label> {
    let other = survey.live(base.other());
    if !other.is_repaired {
        return Ok(other);
    }
    let mut epoch = Epoch::default();
    for base in [Base::Sources, Base::Usage] {
        epoch = epoch.max(newest_epoch(tables, &topology.local_name(base.live())).await?);
    }
    Ok(Label { epoch, run: new_run(), schema: SCHEMA, ..Label::default() })
}

/// A checkpoint whose run is not known any more gets the only sources that belong to no other, else empty ones.
async fn checkpoint_label(
    tables: &Tables,
    topology: &Topology,
    survey: &Survey,
    name: &str,
) -> Result<Label> {
    let epoch = newest_epoch(tables, &topology.local_name(name)).await?;
    let unclaimed = survey.unclaimed_source_runs();
    let run = match unclaimed.as_slice() {
        [run] => (*run).to_owned(),
        _ => {
            let run = new_run();
            let empty = TableChange::Empty { table: &Base::Sources.of_run(&run), like: Base::Sources.live() };
            let _ = empty.make(tables, topology).await?;
            run
        }
    };
    let at = survey.live(Base::Usage).at;
    Ok(Label { epoch, run, at, schema: SCHEMA, ..Label::default() })
}

/// Before the exchange it is what is to become live in this epoch, behind it what was live before.
fn rollback_label(survey: &Survey, base: Base, epoch: Epoch) -> Label {
    let live = survey.live(base);
    let is_replaced = live.epoch >= epoch;
    let own = if is_replaced { Epoch(epoch.0.saturating_sub(1)) } else { epoch };
    Label { epoch: own, run: new_run(), at: live.at, schema: SCHEMA, ..Label::default() }
}

async fn newest_epoch(tables: &Tables, table: &str) -> Result<Epoch> {
    let query = format!("SELECT max(epoch) FROM {table}");
    tables.query(&query).fetch_one::<u32>().await.map(Epoch)
}
