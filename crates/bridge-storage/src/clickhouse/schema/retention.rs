//! Retention: the age at which rows are deleted.

use std::time::Duration;

use ::clickhouse::error::Result;
use bridge_core::Timestamp;

use super::script::Schema;
use super::tables::Tables;
use super::topology::Topology;
use crate::clickhouse::connection::errors::TableError;

/// The clauses before and after the age of deletion in the definition of an engine.
const TTL: &str = " TTL ";
const SETTINGS: &str = " SETTINGS ";

/// The longest age, a hundred years.
const LONGEST: Duration = Duration::from_hours(24 * 36_500);

/// The time that rows are kept: responses after their time, audit records after the operation. The database deletes
/// older ones when it merges, within hours.
///
/// A deleted response no longer counts. If a transcript still contains it, the next backfill stores it again, and it is
/// deleted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Without a limit.
    Forever,
    /// This long, in whole seconds, up to a hundred years.
    For(Duration),
}

impl Retention {
    fn seconds(self) -> Option<u64> {
        match self {
            Self::Forever => None,
            // The database's intervals are signed: a longer one would turn negative, and delete every row.
            Self::For(time) => Some(time.as_secs().clamp(1, LONGEST.as_secs())),
        }
    }
}

/// Sets the retention of this table. Sends nothing if it is set already, because a change rewrites the table.
pub(crate) async fn apply(
    tables: &Tables,
    schema: &Schema,
    table: &str,
    retention: Retention,
) -> std::result::Result<(), TableError> {
    let engine = engine_of(tables, &schema.topology, table).await?;
    let Some(statement) = change(schema, table, engine.as_deref(), retention) else { return Ok(()) };
    crate::clickhouse::schema::room::check(tables, "set the retention").await?;
    Ok(tables.query_raw(&statement).execute().await?)
}

/// Returns the statement that sets this retention of a table with this engine; `None` if it is set already.
pub(crate) fn change(
    schema: &Schema,
    table: &str,
    engine: Option<&str>,
    retention: Retention,
) -> Option<String> {
    let current = engine.and_then(age_in);
    let wanted = retention.seconds().map(age);
    if wanted.as_deref() == current {
        return None;
    }
    let change = wanted.map_or("REMOVE TTL".to_owned(), |wanted| format!("MODIFY TTL {wanted}"));
    let (name, everywhere) = (schema.topology.local_name(table), schema.topology.on_cluster());
    Some(schema.prefix.sql(&format!("ALTER TABLE {name}{everywhere} {change}")).into_owned())
}

/// Returns the age of deletion in a table with this engine.
pub(crate) fn age_in(engine: &str) -> Option<&str> {
    let (_, rest) = engine.split_once(TTL)?;
    Some(rest.split_once(SETTINGS).map_or(rest, |(age, _)| age))
}

/// Returns the time since which this table keeps its rows; `None` if it keeps all, or its TTL has another form.
pub(crate) async fn retention_cutoff(
    tables: &Tables,
    topology: &Topology,
    table: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let engine = engine_of(tables, topology, table).await?;
    let seconds = engine
        .as_deref()
        .and_then(age_in)
        .and_then(seconds_in)
        .and_then(|seconds| i64::try_from(seconds).ok());
    Ok(seconds.map(|seconds| {
        Timestamp::from_millis(now.as_millis().saturating_sub(seconds.saturating_mul(1000)))
            .unwrap_or(Timestamp::MIN)
    }))
}

/// Returns the age of deletion of this table, as the database states it. Not part of the catalog, because the database
/// reads the table's definition from disk for it.
pub(crate) async fn age_of_rows(tables: &Tables, topology: &Topology, table: &str) -> Result<Option<String>> {
    let engine = engine_of(tables, topology, table).await?;
    Ok(engine.as_deref().and_then(age_in).map(str::to_owned))
}

/// Returns the TTL expression for this many seconds.
fn age(seconds: u64) -> String {
    format!("time + toIntervalSecond({seconds})")
}

fn seconds_in(age: &str) -> Option<u64> {
    age.strip_prefix("time + toIntervalSecond(")?.strip_suffix(')')?.parse().ok()
}

/// Returns the engine of the table that holds the rows, by its definition.
pub(crate) async fn engine_of(tables: &Tables, topology: &Topology, table: &str) -> Result<Option<String>> {
    let query = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?";
    let name = tables.name(&topology.local_name(table));
    tables.query(query).bind(name).fetch_optional().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_stands_in_the_engine() {
        let engine = "ReplacingMergeTree(version) ORDER BY key TTL time + toIntervalSecond(86400) SETTINGS a = 1, b = 2";
        assert_eq!(age_in(engine), Some("time + toIntervalSecond(86400)"));
        assert_eq!(seconds_in(&age(86400)), Some(86400));
        assert_eq!(seconds_in("time + toIntervalDay(1)"), None);
        assert_eq!(age_in("MergeTree ORDER BY a TTL b"), Some("b"));
        assert_eq!(age_in("ReplacingMergeTree(version) ORDER BY key SETTINGS a = 1, b = 2"), None);
    }
}
