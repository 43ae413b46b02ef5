//! Backups that the server itself writes and reads.

use std::time::Duration;

use ::clickhouse::Row;
use bridge_core::{BridgeError, Stopwatch};
use serde::Deserialize;

use super::copies::{Copies, EPOCH, of};
use crate::capabilities::{BACKUP_TABLES, ServerPlace};
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::connection::errors::{bridge_error, timed_out};

/// The server's time limit: it copies files and does not wait for the network.
const TIME_MAX: Duration = Duration::from_hours(6);

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
        self.complete("back up", &format!("BACKUP {} TO {}", tables(), sql(place))).await
    }

    /// Copies of the tables in a backup.
    pub(crate) async fn restored(
        store: &'a ClickHouseStore,
        place: &ServerPlace,
    ) -> Result<Self, BridgeError> {
        let mut copies = Self::none(store);
        copies.complete("restore", &format!("RESTORE {} FROM {}", tables(), sql(place))).await?;
        copies.attach_restored().await?;
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

fn tables() -> String {
    let names: Vec<_> = BACKUP_TABLES.into_iter().chain([EPOCH]).map(of).collect();
    format!("TEMPORARY TABLE {}", names.join(", TEMPORARY TABLE "))
}

fn sql(place: &ServerPlace) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    match place {
        ServerPlace::File(path) => format!("File({})", quoted(path)),
        ServerPlace::Disk { disk, path } => format!("Disk({}, {})", quoted(disk), quoted(path)),
    }
}
