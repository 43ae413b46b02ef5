//! Expressions for the columns of imported rows.

use ::clickhouse::Row;
use bridge_core::Epoch;
use serde::Deserialize;

/// A column of a table.
#[derive(Debug, Row, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    r#type: String,
}

/// Returns the names of columns, as a list.
pub(crate) fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Returns the columns in the form of the database's function `input`.
pub(crate) fn structure(columns: &[Column]) -> String {
    let columns: Vec<_> = columns.iter().map(|column| format!("{} {}", column.name, column.r#type)).collect();
    columns.join(", ").replace('\\', "\\\\").replace('\'', "\\'")
}

/// The epochs of the exporting and the importing store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values {
    pub(crate) exported: Epoch,
    pub(crate) begun_in: Epoch,
}

impl Values {
    /// Returns the expressions for these columns, in order.
    pub(crate) fn expressions(self, table: &str, columns: &[Column]) -> String {
        columns.iter().map(|column| self.value(table, &column.name)).collect::<Vec<_>>().join(", ")
    }

    fn value(self, table: &str, column: &str) -> String {
        let Self { exported, begun_in } = self;
        // Rows that a rollback removed may still have a cursor. It stays void: with no revision, and with the oldest
        // possible modification time.
        let or = |otherwise: &str| format!("if(epoch = {exported}, {column}, {otherwise})");
        match (table, column) {
            (_, "epoch") => format!("toUInt32({begun_in})"),
            // Backups from before revisions were recorded hold what the first one made.
            ("token_usage", "rule_revision") => "greatest(rule_revision, toUInt8(1))".to_owned(),
            ("source_files", "rule_revision") => {
                format!("if(epoch = {exported}, greatest(rule_revision, toUInt8(1)), toUInt8(0))")
            }
            ("source_files", "changed_nanos") => or("0"),
            ("source_files", "version") => {
                let whole = "bitAnd(version, bitNot(bitShiftLeft(toUInt128(65535), 104)))";
                let offset = "bitAnd(version, bitShiftRight(bitNot(toUInt128(0)), 88))";
                let file = format!("if(epoch = {exported}, {whole}, {offset})");
                format!("bitOr(bitShiftLeft(toUInt128({begun_in}), 104), {file})")
            }
            _ => column.to_owned(),
        }
    }
}
