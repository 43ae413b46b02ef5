//! Brings a copy of an older version's tables to this version's schema.

use bridge_core::{CheckpointName, Epoch};

use super::failure::TableError;
use super::layout::Layout;
use super::schema::{SCHEMA, statements};
use super::sums::settle_sums;
use super::survey::Base;
use super::tables::Tables;
use super::topology::Topology;
use crate::capabilities::unusable;

/// The copy of one table of a checkpoint.
pub(super) struct Copy<'a> {
    pub(super) base: Base,
    /// The table of the copy, by its name in the schema.
    pub(super) table: &'a str,
    pub(super) checkpoint: &'a CheckpointName,
    /// The schema that the checkpoint's label names.
    pub(super) schema: u32,
}

impl Copy<'_> {
    /// Makes the changes that later migrations made to the live table, where the copy lacks them, and brings the sums
    /// of sessions into this version's form. The columns decide, not the label: a rollback that an older version
    /// began may have been completed, and labeled, by this one.
    ///
    /// It is done before the copy becomes live, so that nobody ever counts by a state that is half upgraded.
    pub(super) async fn catch_up(
        &self,
        operation: &'static str,
        tables: &Tables,
        topology: &Topology,
        epoch: Epoch,
    ) -> Result<(), TableError> {
        let changes = self.missing_changes(tables).await?;
        if changes.is_empty() {
            return Ok(());
        }
        // The rows of one shard do not say what the other shards hold of a session.
        if let Topology::Cluster(_) = topology {
            let why =
                format!("has schema {}, and on a cluster only schema {SCHEMA} can become live", self.schema);
            return Err(unusable(operation, self.checkpoint, &why).into());
        }
        for change in changes {
            tables.query_raw(&change).execute().await?;
        }
        match self.base {
            Base::Usage => settle_sums(tables, self.table, epoch).await,
            Base::Sources => Ok(()),
        }
    }

    async fn missing_changes(&self, tables: &Tables) -> Result<Vec<String>, TableError> {
        let layout = Layout::read(tables).await?;
        let live = format!("ALTER TABLE {} ", self.base.live());
        let changes = statements().filter_map(|statement| statement.strip_prefix(&live));
        let changes = changes.map(|change| format!("ALTER TABLE {} {change}", self.table));
        Ok(changes.filter(|change| layout.missing(change, tables).is_some()).collect())
    }
}
