//! Backups that the server itself writes and reads.

use std::time::Duration;

use ::clickhouse::Row;
use bridge_core::{BridgeError, Stopwatch};
use serde::Deserialize;

use super::copies::{Copies, EPOCH, copy_name};
use crate::capabilities::{BACKUP_TABLES, ServerPlace};
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::connection::errors::{bridge_error, timed_out};
use crate::clickhouse::connection::server_code;

/// The server's time limit: it copies files and does not wait for the network.
const TIME_MAX: Duration = Duration::from_hours(6);

/// The number of tables in backups of earlier versions, which are the first of today's.
const TABLES_AT_FIRST: usize = 3;

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(2);

#[derive(Row, Deserialize)]
struct Begun {
    id: String,
    #[allow(dead_code, reason = "the answer's second column, which says that the work has begun")]
    status: i8,
}

#[derive(Row, Deserialize)]
struct Status {
    status: String,
    error: String,
}

impl<'a> Copies<'a> {
    /// Makes the server write the copies to this place.
    pub(crate) async fn back_up(&self, place: &ServerPlace) -> Result<(), BridgeError> {
        self.write_epoch().await?;
        self.complete("back up", &format!("BACKUP {} TO {}", copies_of(&BACKUP_TABLES), sql(place))).await
    }

    /// Copies of the tables in a backup.
    pub(crate) async fn restored(
        store: &'a ClickHouseStore,
        place: &ServerPlace,
    ) -> Result<Self, BridgeError> {
        let mut copies = Self::none(store);
        let restore = |tables: &[&str]| format!("RESTORE {} FROM {}", copies_of(tables), sql(place));
        let mut tables = &BACKUP_TABLES[..];
        match copies.complete("restore", &restore(tables)).await {
            Err(error) if lacks_a_table(&error) => {
                tables = &BACKUP_TABLES[..TABLES_AT_FIRST];
                copies.complete("restore", &restore(tables)).await?;
            }
            restored => restored?,
        }
        copies.attach_restored(tables).await?;
        Ok(copies)
    }

    /// Begins the work and waits for its end. Each query keeps the session alive.
    async fn complete(&self, operation: &'static str, statement: &str) -> Result<(), BridgeError> {
        let host = &self.store.options.host;
        let begun: Begun = self.fetch_one(&format!("{statement} ASYNC")).await?;
        let question =
            format!("SELECT toString(status) AS status, error FROM system.backups WHERE id = '{}'", begun.id);
        let (watch, mut pause) = (Stopwatch::start(), PAUSE_MIN);
        while watch.elapsed() < TIME_MAX {
            let Status { status, error } = self.fetch_one(&question).await?;
            match status.as_str() {
                "BACKUP_CREATED" | "RESTORED" => return Ok(()),
                "CREATING_BACKUP" | "RESTORING" => tokio::time::sleep(pause).await,
                _ => return Err(bridge_error(operation, host, clickhouse::error::Error::BadResponse(error))),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(timed_out(operation, host, TIME_MAX))
    }
}

/// Returns whether a restore failed because the backup does not have one of the tables.
fn lacks_a_table(error: &BridgeError) -> bool {
    let BridgeError::Storage { message, .. } = error else { return false };
    server_code::in_message(message) == Some(server_code::BACKUP_ENTRY_NOT_FOUND)
}

fn copies_of(tables: &[&str]) -> String {
    let names: Vec<_> = tables.iter().copied().chain([EPOCH]).map(copy_name).collect();
    format!("TEMPORARY TABLE {}", names.join(", TEMPORARY TABLE "))
}

fn sql(place: &ServerPlace) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    match place {
        ServerPlace::File(path) => format!("File({})", quoted(path)),
        ServerPlace::Disk { disk, path } => format!("Disk({}, {})", quoted(disk), quoted(path)),
    }
}
