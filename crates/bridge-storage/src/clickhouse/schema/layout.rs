//! Compares the tables of the database with those that the schema's statements create.

use std::collections::{BTreeMap, BTreeSet};

use super::tables::Tables;
use super::topology::{Topology, subject};
use crate::clickhouse::connection::errors::TableError;

/// The object that a statement of the schema creates: a table with columns, columns of a table, or a view.
#[derive(Debug, PartialEq, Eq)]
struct Made<'a> {
    kind: &'a str,
    table: &'a str,
    columns: Vec<&'a str>,
}

impl<'a> Made<'a> {
    fn by(statement: &'a str) -> Self {
        let (kind, table) = subject(statement);
        let columns = match kind {
            "VIEW" => Vec::new(),
            _ if statement.trim_start().starts_with("ALTER") => added_columns(statement),
            _ => defined_columns(statement),
        };
        Self { kind, table, columns }
    }
}

fn added_columns(statement: &str) -> Vec<&str> {
    let clauses = statement.split("ADD COLUMN IF NOT EXISTS ").skip(1);
    clauses.filter_map(|clause| clause.split_whitespace().next()).collect()
}

/// Returns the first word of each definition in the statement's outermost parentheses.
fn defined_columns(statement: &str) -> Vec<&str> {
    let Some(start) = statement.find('(') else { return Vec::new() };
    let (mut columns, mut depth, mut definition) = (Vec::new(), 0_usize, start + 1);
    for (place, byte) in statement.bytes().enumerate().skip(start) {
        let ends = match byte {
            b'(' => {
                depth += 1;
                false
            }
            b')' => {
                depth -= 1;
                depth == 0
            }
            b',' => depth == 1,
            _ => false,
        };
        if ends {
            columns.extend(statement[definition..place].split_whitespace().next());
            definition = place + 1;
        }
        if depth == 0 {
            break;
        }
    }
    columns
}

/// The tables of a database with their columns, and the views.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    engines: BTreeMap<String, String>,
    columns: BTreeMap<String, BTreeSet<String>>,
}

impl Layout {
    /// Reads the layout of the whole database.
    pub(crate) async fn read(tables: &Tables) -> Result<Self, TableError> {
        let query = "SELECT name, engine FROM system.tables WHERE database = currentDatabase()";
        let engines: Vec<(String, String)> = tables.query(query).fetch_all().await?;
        let query = "SELECT table, name FROM system.columns WHERE database = currentDatabase()";
        let named: Vec<(String, String)> = tables.query(query).fetch_all().await?;
        let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (table, column) in named {
            columns.entry(table).or_default().insert(column);
        }
        Ok(Self { engines: engines.into_iter().collect(), columns })
    }

    /// Returns whether there are no tables.
    pub(crate) fn is_empty(&self) -> bool {
        self.engines.is_empty()
    }

    /// Describes what is missing of the object that the statement creates.
    pub(crate) fn missing(&self, statement: &str, tables: &Tables) -> Option<String> {
        let made = Made::by(statement);
        let name = tables.name(made.table);
        if !self.engines.contains_key(&name) {
            return Some(format!("`{name}` is missing"));
        }
        let missing = self.missing_columns(&name, &made);
        (!missing.is_empty()).then(|| format!("`{name}` lacks {}", listed(&missing)))
    }

    /// Describes an object of another kind under the name that a `CREATE` statement uses.
    pub(crate) fn foreign(&self, statement: &str, tables: &Tables, topology: &Topology) -> Option<String> {
        let made = Made::by(statement);
        if !statement.trim_start().starts_with("CREATE") {
            return None;
        }
        let names = match made.kind {
            "TABLE" => vec![made.table.to_owned(), topology.local_name(made.table)],
            _ => vec![made.table.to_owned()],
        };
        names.iter().map(|name| tables.name(name)).find_map(|name| self.foreign_at(&name, &made))
    }

    fn foreign_at(&self, name: &str, made: &Made<'_>) -> Option<String> {
        let engine = self.engines.get(name)?;
        let is_view = engine.ends_with("View");
        if is_view != (made.kind == "VIEW") {
            return Some(format!("`{name}` is not the bridge's: its engine is {engine}"));
        }
        let missing = self.missing_columns(name, made);
        (!missing.is_empty()).then(|| format!("`{name}` is not the bridge's: it lacks {}", listed(&missing)))
    }

    fn missing_columns<'a>(&self, name: &str, made: &Made<'a>) -> Vec<&'a str> {
        let present = self.columns.get(name);
        let is_present = |column: &str| present.is_some_and(|present| present.contains(column));
        made.columns.iter().copied().filter(|column| !is_present(column)).collect()
    }
}

/// Lists the first columns and the number of the rest.
fn listed(columns: &[&str]) -> String {
    const NAMED_MAX: usize = 4;
    let named =
        columns.iter().take(NAMED_MAX).map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
    let noun = if columns.len() == 1 { "the column" } else { "the columns" };
    match columns.len().saturating_sub(NAMED_MAX) {
        0 => format!("{noun} {named}"),
        more => format!("{noun} {named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_what_it_makes() {
        let create = "CREATE TABLE IF NOT EXISTS t (a Enum8('x' = 0, 'y' = 1), b DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = MergeTree ORDER BY (a, b)";
        assert_eq!(Made::by(create), Made { kind: "TABLE", table: "t", columns: vec!["a", "b"] });
        let alter =
            "ALTER TABLE t ADD COLUMN IF NOT EXISTS c UInt32, ADD COLUMN IF NOT EXISTS d String AFTER c";
        assert_eq!(Made::by(alter), Made { kind: "TABLE", table: "t", columns: vec!["c", "d"] });
        let view = "CREATE VIEW IF NOT EXISTS v AS SELECT (1)";
        assert_eq!(Made::by(view), Made { kind: "VIEW", table: "v", columns: vec![] });
    }

    #[test]
    fn every_statement_of_the_schema_can_be_verified() {
        for statement in crate::clickhouse::schema::statements() {
            let made = Made::by(statement);
            let verifiable = made.kind == "VIEW" || statement.contains("MODIFY") || !made.columns.is_empty();
            assert!(verifiable, "{statement}");
            assert!(
                made.columns.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            );
        }
    }
}
