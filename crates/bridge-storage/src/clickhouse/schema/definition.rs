//! The definitions of the bridge's tables by the schema, for tables whose own definition is lost.

use super::migrations::statements;
use crate::clickhouse::checkpoint::catalog::BRANCHES;
use crate::clickhouse::checkpoint::metadata::TableMetadata;

/// The end of a table's definition whose metadata is unknown.
const NO_METADATA: &str = "COMMENT";

/// Returns the definition of the bridge's table of this name, as it follows `ATTACH TABLE name`: columns, engine and
/// a comment which states that it was repaired. Works for any prefix, for copies and for checkpoints. `None` for
/// views and for other programs' tables.
///
/// For [`EngineOptions::table_definitions`] of the embedded engine, which does not start if a definition is truncated.
///
/// [`EngineOptions::table_definitions`]: https://docs.rs/bridge-embedded
#[must_use]
pub fn table_definition(name: &str) -> Option<String> {
    let table = table_of(name)?;
    let created = statements().find_map(|statement| {
        let rest = statement.strip_prefix("CREATE TABLE IF NOT EXISTS ")?.strip_prefix(table)?;
        rest.starts_with(' ').then(|| rest.trim())
    })?;
    let (columns, engine) = split_columns(created)?;
    let mut columns: Vec<String> = split_at_commas(columns).map(|column| column.trim().to_owned()).collect();
    for statement in statements() {
        let Some(change) = statement.strip_prefix(&format!("ALTER TABLE {table} ")) else { continue };
        split_at_commas(change).for_each(|change| apply(change.trim(), &mut columns));
    }
    let metadata = TableMetadata { is_repaired: true, ..TableMetadata::default() };
    Some(format!("({})\n{engine}\n{NO_METADATA} '{metadata}'", columns.join(", ")))
}

/// Returns the table of the schema that a table of this name is, or is a copy of.
fn table_of(name: &str) -> Option<&'static str> {
    let names = statements().filter_map(|statement| {
        statement.strip_prefix("CREATE TABLE IF NOT EXISTS ")?.split_whitespace().next()
    });
    let ends_so = |table: &&str| name.ends_with(*table);
    let branches_off =
        |table: &&str| BRANCHES.iter().any(|branch| name.contains(&format!("{table}{branch}")));
    names.filter(|table| ends_so(table) || branches_off(table)).max_by_key(|table| table.len())
}

/// Returns the text in the first parentheses, and the text after them.
fn split_columns(created: &str) -> Option<(&str, &str)> {
    let inside = created.strip_prefix('(')?;
    let end = ends(inside).find(|(_, byte, depth)| *byte == b')' && *depth < 0)?.0;
    Some((&inside[..end], inside[end + 1..].trim()))
}

fn split_at_commas(text: &str) -> impl Iterator<Item = &str> {
    let mut commas: Vec<usize> =
        ends(text).filter(|(_, byte, depth)| *byte == b',' && *depth == 0).map(|(place, ..)| place).collect();
    commas.push(text.len());
    let mut start = 0;
    commas.into_iter().map(move |end| {
        let piece = &text[start..end];
        start = end + 1;
        piece
    })
}

/// Returns each byte outside of literals, with its position and the depth of parentheses after it.
fn ends(text: &str) -> impl Iterator<Item = (usize, u8, i32)> {
    let (mut depth, mut is_literal) = (0, false);
    text.bytes().enumerate().filter_map(move |(place, byte)| {
        match byte {
            b'\'' => is_literal = !is_literal,
            b'(' if !is_literal => depth += 1,
            b')' if !is_literal => depth -= 1,
            _ => {}
        }
        (!is_literal).then_some((place, byte, depth))
    })
}

/// Applies one command of an `ALTER` to the columns. Commands that change no columns change nothing here.
fn apply(change: &str, columns: &mut Vec<String>) {
    let name_of = |column: &str| column.split_whitespace().next().unwrap_or_default().to_owned();
    if let Some(added) = change.strip_prefix("ADD COLUMN IF NOT EXISTS ") {
        let (column, after) = added.split_once(" AFTER ").unwrap_or((added, ""));
        let place = columns.iter().position(|known| name_of(known) == after.trim());
        columns.insert(place.map_or(columns.len(), |place| place + 1), column.to_owned());
    } else if let Some(modified) = change.strip_prefix("MODIFY COLUMN ")
        && let Some(column) = columns.iter_mut().find(|known| name_of(known) == name_of(modified))
    {
        modified.clone_into(column);
    }
}
