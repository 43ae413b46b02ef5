//! Brings a copy of an older version's tables to this version's schema.

use bridge_core::{CheckpointName, Epoch};

use super::catalog::DataTable;
use crate::capabilities::unusable;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::schema::layout::Layout;
use crate::clickhouse::schema::old_sums::upgrade_sums;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;
use crate::clickhouse::schema::{SCHEMA, statements};

/// The copy of one table of a checkpoint.
pub(crate) struct Copy<'a> {
    pub(crate) base: DataTable,
    /// The table of the copy, by its name in the schema.
    pub(crate) table: &'a str,
    pub(crate) checkpoint: &'a CheckpointName,
    /// The schema that the checkpoint's metadata names.
    pub(crate) schema: u32,
}

impl Copy<'_> {
    /// Applies to the copy the changes of later migrations that it lacks, and converts the sums
    /// of sessions to this version's form. The columns decide, not the metadata: a rollback that an older version
    /// began may have been completed, and labeled, by this one.
    ///
    /// This happens before the copy becomes live, so that no reader sees a half upgraded state.
    pub(crate) async fn catch_up(
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
        // The rows of one shard do not show what the other shards hold of a session.
        if let Topology::Cluster(_) = topology {
            let why =
                format!("has schema {}, and on a cluster only schema {SCHEMA} can become live", self.schema);
            return Err(unusable(operation, self.checkpoint, &why).into());
        }
        for change in changes {
            tables.query_raw(&change).execute().await?;
        }
        match self.base {
            DataTable::Usage => upgrade_sums(tables, self.table, epoch).await,
            DataTable::Sources => Ok(()),
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
