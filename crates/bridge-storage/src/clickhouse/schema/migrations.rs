//! The numbered migrations.

use xxhash_rust::xxh3::xxh3_64;

/// A numbered migration. Its statements can be repeated, so that two programs may apply it at once.
pub(crate) struct Migration {
    pub(crate) number: u32,
    /// The name of its file.
    pub(crate) name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($file:literal),+ $(,)?) => {
        /// All migrations, in order. A released one is never changed; a change of the schema is a new file.
        pub(crate) const MIGRATIONS: &[Migration] = &[$(Migration {
            number: number_of($file),
            name: $file,
            sql: include_str!(concat!("../../../sql/migrations/", $file, ".sql")),
        }),+];
    };
}

migrations![
    "0001_usage_and_sources",
    "0002_epochs",
    "0003_audit",
    "0004_rule_revisions",
    "0005_analyses",
    "0007_saturating_summaries",
    "0008_audit_actor",
    "0009_attribution",
    "0010_assignment",
    "0011_views_of_attribution",
    "0012_session_activity",
    "0014_projects_and_models",
    "0016_prices",
    "0018_project_names",
];

/// The number of the last migration.
pub(crate) const SCHEMA: u32 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// The migration after which sums of older versions are converted.
pub(crate) const ANALYSES: u32 = 5;

/// Returns the number that a file's name begins with.
const fn number_of(file: &str) -> u32 {
    let (file, mut number, mut place) = (file.as_bytes(), 0, 0);
    while file[place].is_ascii_digit() {
        number = 10 * number + (file[place] - b'0') as u32;
        place += 1;
    }
    number
}

impl Migration {
    /// Returns the checksum of the statements, which does not depend on white space.
    pub(crate) fn checksum(&self) -> u64 {
        let words = self.statements().flat_map(str::split_whitespace);
        xxh3_64(words.collect::<Vec<_>>().join(" ").as_bytes())
    }

    /// Returns the statements, without the comments before them.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.sql.split(";\n").map(without_comments).filter(|statement| !statement.is_empty())
    }
}

fn without_comments(mut sql: &str) -> &str {
    loop {
        sql = sql.trim();
        match sql.strip_prefix("--") {
            Some(comment) => sql = comment.split_once('\n').map_or("", |(_, rest)| rest),
            None => return sql,
        }
    }
}

/// The ledger of applied migrations.
pub(crate) const LEDGER_TABLE: &str = "bridge_migrations";

/// Creates the ledger.
pub(crate) const LEDGER: &str = "CREATE TABLE IF NOT EXISTS bridge_migrations (number UInt32, checksum UInt64, \
     applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')) \
     ENGINE = ReplacingMergeTree ORDER BY (number, checksum)";

/// All statements of the schema.
pub(crate) fn statements() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.iter().flat_map(Migration::statements).chain([LEDGER])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A released migration is never changed: databases hold its checksum.
    #[test]
    fn released_migrations_keep_their_checksums() {
        let checksums: Vec<_> = MIGRATIONS.iter().map(|step| (step.number, step.checksum())).collect();
        let released = [
            (1, 12_730_854_695_307_218_590),
            (2, 13_429_746_173_329_973_790),
            (3, 1_063_677_908_133_764_526),
            (4, 11_504_681_692_765_489_517),
            (5, 3_673_307_918_034_267_574),
            (7, 5_378_147_265_734_071_286),
        ];
        assert_eq!(checksums[..released.len()], released);
    }
}
