//! Whole tables of a store in memory, as lines of JSON in the columns of the database.

mod lines;

use std::fmt::Display;

use async_trait::async_trait;
use bridge_core::{
    AuditRecord, BridgeError, Epoch, ResponseUsage, ResponseVersion, RuleRevision, StorageKind,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::lines::{AuditLine, SourceLine, UsageLine};
use super::{InMemoryStore, Tables, Versioned, sum};
use crate::backup::{
    BACKUP_TABLES, BackupFormat, BackupStore, ExportSummary, ServerPlace, TableExport, TablePart, TableRows,
};
use crate::clickhouse::SCHEMA;
use crate::offered::markers;
use crate::old_sums::{is_old, upgraded};
use crate::source::SourceRecord;
use crate::{AuditStore, TokenStore};

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
        Ok(Box::new(Export::of(self)))
    }

    async fn import_part(&self, part: &TablePart, begun_in: Epoch) -> Result<(), BridgeError> {
        check(part.format)?;
        self.content().checkpoints.admit("take in rows", Some(begun_in))?;
        match part.table.as_str() {
            "token_usage" => {
                let rows = parse::<UsageLine, Versioned>(&part.data)?;
                let mut content = self.content();
                content.checkpoints.admit("take in rows", Some(begun_in))?;
                content.tables.join(rows);
            }
            "source_files" => {
                let mut records = parse::<SourceLine, SourceRecord>(&part.data)?;
                for record in &mut records {
                    move_to(record, part.epoch, begun_in);
                }
                self.put_sources(&records).await?;
            }
            "bridge_audit" => self.put_audit(&parse::<AuditLine, AuditRecord>(&part.data)?).await?,
            table => return Err(unsupported(format!("there is no table {table:?}"))),
        }
        Ok(())
    }

    async fn back_up(&self, _: &ServerPlace) -> Result<ExportSummary, BridgeError> {
        Err(unsupported("a store in memory has no server; take a folder".to_owned()))
    }

    async fn restore(&self, _: &ServerPlace, _: Epoch) -> Result<ExportSummary, BridgeError> {
        Err(unsupported("a store in memory has no server; take a folder".to_owned()))
    }
}

/// A record of the store that it comes from as one of this epoch. A cursor that said nothing there says nothing here: as
/// one of no revision, of a file as old as can be.
fn move_to(record: &mut SourceRecord, exported: Epoch, begun_in: Epoch) {
    if record.epoch != exported {
        record.rule_revision = RuleRevision::NONE;
        record.cursor.changed_nanos = 0;
    }
    record.epoch = begun_in;
}

/// The tables of one moment.
#[derive(Debug)]
struct Export {
    figures: ExportSummary,
    usage: Vec<UsageLine>,
    sources: Vec<SourceLine>,
    audit: Vec<AuditLine>,
}

impl Export {
    fn of(store: &InMemoryStore) -> Self {
        let (content, audit) = (store.content(), store.audit());
        let Tables { usage, sources } = &content.tables;
        let rows = [usage.len(), sources.len(), audit.len()].map(|rows| rows as u64);
        let tables = BACKUP_TABLES.into_iter().zip(rows);
        Self {
            figures: ExportSummary {
                epoch: content.checkpoints.epoch(),
                tables: tables.map(|(table, rows)| TableRows { table: table.to_owned(), rows }).collect(),
                totals: sum(content.tables.counted()),
            },
            usage: usage.values().rev().map(UsageLine::from).collect(),
            sources: sources.values().rev().map(SourceLine::from).collect(),
            audit: audit.values().rev().map(AuditLine::from).collect(),
        }
    }
}

#[async_trait]
impl TableExport for Export {
    fn figures(&self) -> &ExportSummary {
        &self.figures
    }

    async fn next_part(&mut self) -> Result<Option<TablePart>, BridgeError> {
        let [usage, sources, audit] = BACKUP_TABLES;
        let epoch = self.figures.epoch;
        match (self.usage.is_empty(), self.sources.is_empty(), self.audit.is_empty()) {
            (false, ..) => part(usage, epoch, &mut self.usage).map(Some),
            (_, false, _) => part(sources, epoch, &mut self.sources).map(Some),
            (.., false) => part(audit, epoch, &mut self.audit).map(Some),
            _ => Ok(None),
        }
    }
}

/// Takes a part off the end, where the first rows stand.
fn part<T: Serialize>(table: &str, epoch: Epoch, lines: &mut Vec<T>) -> Result<TablePart, BridgeError> {
    let rest = lines
        .len()
        .saturating_sub(usize::try_from(BackupFormat::JsonLines.part_rows()).unwrap_or(usize::MAX));
    let mut part = TablePart {
        table: table.to_owned(),
        format: BackupFormat::JsonLines,
        epoch,
        rows: 0,
        data: Vec::new(),
    };
    for line in lines.drain(rest..).rev() {
        serde_json::to_writer(&mut part.data, &line).map_err(unreadable)?;
        part.data.push(b'\n');
        part.rows += 1;
    }
    Ok(part)
}

fn parse<L, T>(data: &[u8]) -> Result<Vec<T>, BridgeError>
where
    L: DeserializeOwned,
    T: TryFrom<L, Error: Display>,
{
    let read = |line: &[u8]| {
        let line: L = serde_json::from_slice(line).map_err(unreadable)?;
        T::try_from(line).map_err(unreadable)
    };
    data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(read).collect()
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
        self.settle_sums();
    }

    /// Brings sums of older versions into today's form, and gives every session with responses its marker.
    fn settle_sums(&mut self) {
        let stored: Vec<&ResponseUsage> = self.usage.values().map(|stored| &stored.row).collect();
        let intact = |row: &&&ResponseUsage| {
            is_old(row) && self.usage.get(&row.key).is_some_and(|stored| stored.version.verifies(row))
        };
        let mut rows: Vec<ResponseUsage> =
            stored.iter().filter(intact).flat_map(|row| upgraded(row)).collect();
        let responses: Vec<ResponseUsage> = stored.into_iter().cloned().collect();
        rows.extend(markers(&responses));
        for row in &rows {
            self.put(row, false);
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
