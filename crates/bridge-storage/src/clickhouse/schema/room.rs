//! Room on the database's disk for definitions of tables.
//!
//! On a disk without room a statement that defines a table may leave an unreadable definition behind, and a store that
//! cannot be opened again. So nothing that writes one is begun below the reserve; what drops tables is.

use bridge_core::{BridgeError, StorageKind};

use super::tables::Tables;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::connection::server_code;

/// Refuses an operation that defines tables where less than the reserve is free.
pub(crate) async fn check(tables: &Tables, operation: &'static str) -> Result<(), TableError> {
    let reserve = tables.disk_reserve();
    if reserve == 0 {
        return Ok(());
    }
    // Unlimited disks, object storage say, report the greatest number there is.
    let query = "SELECT min(unreserved_space) FROM system.disks";
    let free = match tables.server().query(query).fetch_one::<u64>().await {
        Ok(free) => free,
        // A user of an administrator's making who may not read it: the database's own checks have to do.
        Err(::clickhouse::error::Error::BadResponse(text))
            if server_code::in_message(&text) == Some(server_code::ACCESS_DENIED) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if free >= reserve {
        return Ok(());
    }
    let message = format!(
        "{} of the database's disk are free, less than the reserve of {} for definitions of tables; free space first",
        mebibytes(free),
        mebibytes(reserve)
    );
    Err(BridgeError::storage(StorageKind::DiskFull, operation, message).into())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
