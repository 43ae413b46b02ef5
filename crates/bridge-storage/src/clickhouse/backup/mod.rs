//! Export and import of whole tables.

mod copies;
mod server;
mod slices;
mod values;

use async_trait::async_trait;
use bridge_core::{BridgeError, Epoch, StorageKind};

use self::copies::Copies;
use self::slices::Slice;
use self::values::{Column, Values, names, structure};
use crate::capabilities::{
    BACKUP_TABLES, BackupFormat, BackupStore, ExportSummary, ServerPlace, TableExport, TablePart,
};
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::schema::SCHEMA;

const IMPORT: &str = "import rows";

/// The bytes of a part that are passed to the connection at once.
const BLOCK_BYTES: usize = 1 << 20;

#[async_trait]
impl BackupStore for ClickHouseStore {
    fn schema(&self) -> u32 {
        SCHEMA
    }

    fn backup_format(&self) -> BackupFormat {
        BackupFormat::Parquet
    }

    async fn begin_export(&self, format: BackupFormat) -> Result<Box<dyn TableExport + '_>, BridgeError> {
        let copies = Copies::of_live_tables(self).await?;
        let (summary, slices) = copies.plan(format.part_rows()).await?;
        Ok(Box::new(Export { copies, format, summary, slices: slices.into_iter() }))
    }

    async fn import_part(&self, part: &TablePart, begun_in: Epoch) -> Result<(), BridgeError> {
        self.admit(IMPORT, Some(begun_in)).await?;
        let table = known_table(&part.table)?;
        let columns = self.columns_of(table).await?;
        let values = Values { exported: part.epoch, begun_in }.expressions(table, &columns);
        let statement = &format!(
            "INSERT INTO {table} ({}) SELECT {values} FROM input('{}') FORMAT {}",
            names(&columns),
            structure(&columns),
            format_name(part.format)
        );
        let stored = self.call(IMPORT, |tables| async move {
            let mut insert =
                tables.insert_formatted(statement, 0).with_setting("date_time_input_format", "best_effort");
            for block in part.data.chunks(BLOCK_BYTES) {
                insert.send(block.to_vec().into()).await?;
            }
            insert.end().await
        });
        let settled = async {
            stored.await?;
            match table {
                "token_usage" => self.upgrade_imported_sums(begun_in).await,
                _ => Ok(()),
            }
        };
        match settled.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refused(IMPORT, begun_in, error).await),
        }
    }

    async fn back_up(&self, place: &ServerPlace) -> Result<ExportSummary, BridgeError> {
        let copies = Copies::of_live_tables(self).await?;
        let (summary, _) = copies.plan(self.backup_format().part_rows()).await?;
        copies.back_up(place).await?;
        copies.drop_all().await?;
        Ok(summary)
    }

    async fn restore(&self, place: &ServerPlace, begun_in: Epoch) -> Result<ExportSummary, BridgeError> {
        self.admit(IMPORT, Some(begun_in)).await?;
        let copies = Copies::restored(self, place).await?;
        let (summary, slices) = copies.plan(self.backup_format().part_rows()).await?;
        for slice in &slices {
            if let Err(error) = copies.insert_into_live(slice, begun_in).await {
                return Err(self.refused(IMPORT, begun_in, error).await);
            }
        }
        self.upgrade_imported_sums(begun_in).await?;
        copies.drop_all().await?;
        Ok(summary)
    }
}

impl ClickHouseStore {
    async fn columns_of(&self, table: &'static str) -> Result<Vec<Column>, BridgeError> {
        self.call(IMPORT, |tables| async move {
            let query = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = ? \
                         AND default_kind != 'ALIAS' ORDER BY position";
            tables.query(query).bind(tables.name(table)).fetch_all().await
        })
        .await
    }
}

/// Copies of the tables as of one moment, exported slice by slice.
#[derive(Debug)]
struct Export<'a> {
    copies: Copies<'a>,
    format: BackupFormat,
    summary: ExportSummary,
    slices: std::vec::IntoIter<Slice>,
}

#[async_trait]
impl TableExport for Export<'_> {
    fn summary(&self) -> &ExportSummary {
        &self.summary
    }

    async fn next_part(&mut self) -> Result<Option<TablePart>, BridgeError> {
        let Some(slice) = self.slices.next() else {
            self.copies.drop_all().await?;
            return Ok(None);
        };
        let data = self.copies.read(&slice, format_name(self.format)).await?;
        let (table, rows, epoch) = (slice.table.to_owned(), slice.rows, self.summary.epoch);
        Ok(Some(TablePart { table, format: self.format, epoch, rows, data }))
    }
}

/// Returns the database's name for the format.
fn format_name(format: BackupFormat) -> &'static str {
    match format {
        BackupFormat::Parquet => "Parquet",
        BackupFormat::JsonLines => "JSONEachRow",
    }
}

/// Returns the table of this name. Anything else that a manifest may name must not get into a statement.
fn known_table(name: &str) -> Result<&'static str, BridgeError> {
    let unknown =
        || BridgeError::storage(StorageKind::Unsupported, IMPORT, format!("there is no table {name:?}"));
    BACKUP_TABLES.into_iter().find(|table| *table == name).ok_or_else(unknown)
}
