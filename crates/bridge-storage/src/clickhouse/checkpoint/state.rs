//! Epoch and mode of the store, and the admission of writers.

use std::sync::PoisonError;

use ::clickhouse::error::Result;
use bridge_core::{BridgeError, CheckpointName, Epoch, StorageKind, StoreMode, StoreState};

use super::catalog::DataTable;
use super::metadata::TableMetadata;
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;

impl ClickHouseStore {
    /// Reads the state from the database.
    pub(crate) async fn read_state(&self) -> Result<StoreState, BridgeError> {
        let topology = &self.options.topology;
        let state =
            self.call("read the state", |tables| async move { state(&tables, topology).await }).await?;
        let mut known = self.known_state.lock().unwrap_or_else(PoisonError::into_inner);
        // Of two concurrent reads the slower one may be older.
        if known.as_ref().is_none_or(|known| known.epoch <= state.epoch) {
            *known = Some(state.clone());
        }
        Ok(state)
    }

    /// Forgets the known state after a change: the next call reads it from the database.
    pub(crate) fn forget_state(&self) {
        *self.known_state.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the epoch of an operation that began in this one (`None`: begins now), if it may write. If the store has
    /// stopped accepting rows since it was last asked, the database refuses them.
    pub(crate) async fn admit(
        &self,
        operation: &'static str,
        begun_in: Option<Epoch>,
    ) -> Result<Epoch, BridgeError> {
        // Only a state in which writes are allowed may be outdated: the fence of the live table then refuses the write.
        // An outdated `Direct` would refuse writes after a resumption, so that one is read again.
        let known = self.known_state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = match known.filter(|known| known.mode == StoreMode::Stored) {
            Some(known) => known,
            None => self.read_state().await?,
        };
        state.admit(operation, begun_in)
    }

    /// Returns the error of a write that began in this epoch; if a fence refused it, the error says so.
    pub(crate) async fn refused(
        &self,
        operation: &'static str,
        begun_in: Epoch,
        error: BridgeError,
    ) -> BridgeError {
        if !matches!(error, BridgeError::Storage { kind: StorageKind::RolledBack, .. }) {
            return error;
        }
        match self.read_state().await {
            Ok(state) => state.admit(operation, Some(begun_in)).err().unwrap_or(error),
            Err(_) => error,
        }
    }

    pub(crate) async fn resume_storing(&self) -> Result<StoreState, BridgeError> {
        let state = self.read_state().await?;
        if state.mode == StoreMode::Stored {
            return Ok(state);
        }
        let epoch = state.epoch.0;
        self.call("resume", |tables| async move {
            let statement = format!("INSERT INTO bridge_resumes (epoch) VALUES ({epoch})");
            tables.query_raw(&statement).execute().await
        })
        .await?;
        self.read_state().await
    }
}

/// The live table's comment states its epoch. An epoch that a rollback began is in direct mode until a row says that it
/// was resumed; so a `resume` that comes late, for an older epoch, has no effect after the next rollback.
async fn state(tables: &Tables, topology: &Topology) -> Result<StoreState> {
    let comment: Option<String> = tables
        .query("SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = ?")
        .bind(tables.name(&topology.local_name(DataTable::Usage.live())))
        .fetch_optional()
        .await?;
    let TableMetadata { epoch, from, .. } = TableMetadata::of_comment(&comment.unwrap_or_default());
    if epoch == Epoch::default() {
        return Ok(StoreState::first());
    }
    let resumed: u64 =
        tables.query("SELECT count() FROM bridge_resumes WHERE epoch = ?").bind(epoch.0).fetch_one().await?;
    let checkpoint = from.unwrap_or_else(|| CheckpointName::before_rollback(epoch));
    let mode = if resumed > 0 { StoreMode::Stored } else { StoreMode::Direct { checkpoint } };
    Ok(StoreState { epoch, mode })
}
