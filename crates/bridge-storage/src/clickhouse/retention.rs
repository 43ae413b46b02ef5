//! How long rows are kept.

use std::time::Duration;

use super::failure::TableError;
use super::tables::Tables;
use super::topology::Topology;

/// What stands in the definition of an engine before the age at which rows leave, and after it.
const TTL: &str = " TTL ";
const SETTINGS: &str = " SETTINGS ";

/// How long rows are kept: those of responses after the response, those of the audit after the operation. The
/// database removes what is older when it merges, within hours.
///
/// A response that is removed is counted no more; a transcript that still holds it is stored again by the next
/// backfill, and removed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// For ever.
    Forever,
    /// For this long, in whole seconds.
    For(Duration),
}

impl Retention {
    fn seconds(self) -> Option<u64> {
        match self {
            Self::Forever => None,
            Self::For(time) => Some(time.as_secs().max(1)),
        }
    }
}

/// Makes this table keep its rows so long. Nothing is sent where it does already: a change of it rewrites the table.
pub(super) async fn apply(
    tables: &Tables,
    topology: &Topology,
    table: &str,
    retention: Retention,
) -> Result<(), TableError> {
    let name = topology.local_name(table);
    let definition = tables
        .query("SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?")
        .bind(tables.name(&name))
        .fetch_one::<String>()
        .await?;
    let current = age_in(&definition);
    let wanted = retention.seconds().map(|seconds| format!("time + toIntervalSecond({seconds})"));
    let change = match (&wanted, current) {
        (None, None) => return Ok(()),
        (Some(wanted), Some(current)) if wanted == current => return Ok(()),
        (Some(wanted), _) => format!("MODIFY TTL {wanted}"),
        (None, Some(_)) => "REMOVE TTL".to_owned(),
    };
    let statement = format!("ALTER TABLE {name}{} {change}", topology.on_cluster());
    Ok(tables.query_raw(&statement).execute().await?)
}

/// The age at which rows leave a table of this engine.
pub(super) fn age_in(engine: &str) -> Option<&str> {
    let (_, rest) = engine.split_once(TTL)?;
    Some(rest.split_once(SETTINGS).map_or(rest, |(age, _)| age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_stands_in_the_engine() {
        let engine = "ReplacingMergeTree(version) ORDER BY key TTL time + toIntervalSecond(86400) SETTINGS a = 1, b = 2";
        assert_eq!(age_in(engine), Some("time + toIntervalSecond(86400)"));
        assert_eq!(age_in("MergeTree ORDER BY a TTL b"), Some("b"));
        assert_eq!(age_in("ReplacingMergeTree(version) ORDER BY key SETTINGS a = 1, b = 2"), None);
    }
}
