//! Whole tables, given out and taken in.

mod copies;
mod server;
mod slices;

use async_trait::async_trait;
use bridge_core::{BridgeError, StorageKind};

use self::copies::Copies;
use self::slices::Slice;
use super::ClickHouseStore;
use super::schema::SCHEMA;
use crate::backup::{
    BACKUP_TABLES, BackupFormat, BackupStore, ExportFigures, ServerPlace, TableExport, TablePart,
};

/// So many bytes of a part are handed to the connection at once.
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
        let (figures, slices) = copies.survey().await?;
        Ok(Box::new(Export { copies, format, figures, slices: slices.into_iter() }))
    }

    async fn import_part(&self, part: &TablePart) -> Result<(), BridgeError> {
        let table = known_table(&part.table)?;
        let name = format_name(part.format);
        self.call("take in rows", |tables| async move {
            let mut insert = tables
                .insert_formatted(&format!("INSERT INTO {table} FORMAT {name}"))
                .with_setting("date_time_input_format", "best_effort");
            for block in part.data.chunks(BLOCK_BYTES) {
                insert.send(block.to_vec().into()).await?;
            }
            insert.end().await
        })
        .await
    }

    async fn back_up(&self, place: &ServerPlace) -> Result<ExportFigures, BridgeError> {
        let copies = Copies::of_live_tables(self).await?;
        let (figures, _) = copies.survey().await?;
        copies.back_up(place).await?;
        copies.drop_all().await?;
        Ok(figures)
    }

    async fn restore(&self, place: &ServerPlace) -> Result<ExportFigures, BridgeError> {
        let copies = Copies::restored(self, place).await?;
        let (figures, slices) = copies.survey().await?;
        for slice in &slices {
            copies.insert_into_live(slice).await?;
        }
        copies.drop_all().await?;
        Ok(figures)
    }
}

/// Copies of the tables of one moment, given out slice by slice.
#[derive(Debug)]
struct Export<'a> {
    copies: Copies<'a>,
    format: BackupFormat,
    figures: ExportFigures,
    slices: std::vec::IntoIter<Slice>,
}

#[async_trait]
impl TableExport for Export<'_> {
    fn figures(&self) -> &ExportFigures {
        &self.figures
    }

    async fn next_part(&mut self) -> Result<Option<TablePart>, BridgeError> {
        let Some(slice) = self.slices.next() else {
            self.copies.drop_all().await?;
            return Ok(None);
        };
        let data = self.copies.read(&slice, format_name(self.format)).await?;
        Ok(Some(TablePart { table: slice.table.to_owned(), format: self.format, rows: slice.rows, data }))
    }
}

/// The format as the database names it.
fn format_name(format: BackupFormat) -> &'static str {
    match format {
        BackupFormat::Parquet => "Parquet",
        BackupFormat::JsonLines => "JSONEachRow",
    }
}

/// The table of this name; what else a manifest may name must not get into a statement.
fn known_table(name: &str) -> Result<&'static str, BridgeError> {
    BACKUP_TABLES.into_iter().find(|table| *table == name).ok_or_else(|| BridgeError::Storage {
        operation: "take in rows",
        kind: StorageKind::Unsupported,
        message: format!("there is no table {name:?}"),
        context: Box::default(),
        source: None,
    })
}
