//! Whole tables of a store in memory, as lines of JSON in the columns of the database.

mod lines;

use std::fmt::Display;

use async_trait::async_trait;
use bridge_core::{BridgeError, ResponseVersion, StorageKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::lines::{SourceLine, UsageLine};
use super::{InMemoryStore, Tables, Versioned, sum};
use crate::TokenStore;
use crate::backup::{
    BackupFormat, BackupStore, ExportFigures, PART_ROWS, ServerPlace, TableExport, TablePart, TableRows,
};
use crate::source::SourceRecord;

/// The schema of the database that the lines have the columns of.
const SCHEMA: u32 = 1;

#[async_trait]
impl BackupStore for InMemoryStore {
    fn schema(&self) -> u32 {
        SCHEMA
    }

    fn backup_format(&self) -> BackupFormat {
        BackupFormat::JsonLines
    }

    async fn begin_export(&self, format: BackupFormat) -> Result<Box<dyn TableExport + '_>, BridgeError> {
        check(format)?;
        Ok(Box::new(Export::of(&self.tables())))
    }

    async fn import_part(&self, part: &TablePart) -> Result<(), BridgeError> {
        check(part.format)?;
        match part.table.as_str() {
            "token_usage" => {
                let rows: Vec<UsageLine> = parse(&part.data)?;
                let rows = rows.into_iter().map(Versioned::try_from).collect::<Result<Vec<_>, _>>();
                self.tables().join(rows.map_err(unreadable)?);
            }
            "source_files" => {
                let records: Vec<SourceLine> = parse(&part.data)?;
                let records = records.into_iter().map(SourceRecord::try_from).collect::<Result<Vec<_>, _>>();
                self.put_sources(&records.map_err(unreadable)?).await?;
            }
            table => return Err(unsupported(format!("there is no table {table:?}"))),
        }
        Ok(())
    }

    async fn back_up(&self, _: &ServerPlace) -> Result<ExportFigures, BridgeError> {
        Err(unsupported("a store in memory has no server; take a folder".to_owned()))
    }

    async fn restore(&self, _: &ServerPlace) -> Result<ExportFigures, BridgeError> {
        Err(unsupported("a store in memory has no server; take a folder".to_owned()))
    }
}

/// The tables of one moment.
#[derive(Debug)]
struct Export {
    figures: ExportFigures,
    usage: Vec<UsageLine>,
    sources: Vec<SourceLine>,
}

impl Export {
    fn of(tables: &Tables) -> Self {
        let rows = |table: &str, rows: usize| TableRows { table: table.to_owned(), rows: rows as u64 };
        Self {
            figures: ExportFigures {
                tables: vec![
                    rows("token_usage", tables.usage.len()),
                    rows("source_files", tables.sources.len()),
                ],
                totals: sum(tables.usage.values().map(|stored| &stored.row)),
            },
            usage: tables.usage.values().rev().map(UsageLine::from).collect(),
            sources: tables.sources.values().rev().map(SourceLine::from).collect(),
        }
    }
}

#[async_trait]
impl TableExport for Export {
    fn figures(&self) -> &ExportFigures {
        &self.figures
    }

    async fn next_part(&mut self) -> Result<Option<TablePart>, BridgeError> {
        if !self.usage.is_empty() {
            return part("token_usage", &mut self.usage).map(Some);
        }
        if !self.sources.is_empty() {
            return part("source_files", &mut self.sources).map(Some);
        }
        Ok(None)
    }
}

/// Takes a part off the end, where the first rows stand.
fn part<T: Serialize>(table: &str, lines: &mut Vec<T>) -> Result<TablePart, BridgeError> {
    let rest = lines.len().saturating_sub(usize::try_from(PART_ROWS).unwrap_or(usize::MAX));
    let mut part =
        TablePart { table: table.to_owned(), format: BackupFormat::JsonLines, rows: 0, data: Vec::new() };
    for line in lines.drain(rest..).rev() {
        serde_json::to_writer(&mut part.data, &line).map_err(unreadable)?;
        part.data.push(b'\n');
        part.rows += 1;
    }
    Ok(part)
}

fn parse<T: DeserializeOwned>(data: &[u8]) -> Result<Vec<T>, BridgeError> {
    data.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(unreadable))
        .collect()
}

impl Tables {
    /// Joins rows that come with their versions.
    fn join(&mut self, rows: Vec<Versioned>) {
        for row in rows {
            let known: Option<ResponseVersion> = self.usage.get(&row.row.key).map(|stored| stored.version);
            if known < Some(row.version) {
                self.usage.insert(row.row.key, row);
            }
        }
    }
}

fn check(format: BackupFormat) -> Result<(), BridgeError> {
    match format {
        BackupFormat::JsonLines => Ok(()),
        BackupFormat::Parquet => {
            Err(unsupported("a store in memory knows lines of JSON only; export in that format".to_owned()))
        }
    }
}

fn unsupported(message: String) -> BridgeError {
    let (kind, context) = (StorageKind::Unsupported, Box::default());
    BridgeError::Storage { operation: "back up", kind, message, context, source: None }
}

fn unreadable(why: impl Display) -> BridgeError {
    let (kind, context) = (StorageKind::Corrupt, Box::default());
    BridgeError::Storage { operation: "take in rows", kind, message: why.to_string(), context, source: None }
}
