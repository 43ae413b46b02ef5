//! The schema and its migrations.

pub(crate) mod definition;
pub(crate) mod layout;
pub(crate) mod old_sums;
pub(crate) mod retention;
pub(crate) mod roles;
pub(crate) mod room;
pub(crate) mod tables;
pub(crate) mod topology;

use ::clickhouse::Row;
use bridge_core::{BridgeError, Epoch, StorageKind};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::clickhouse::checkpoint::catalog::DataTable;
use crate::clickhouse::checkpoint::recovery::finish_pending_rollbacks;
use crate::clickhouse::checkpoint::sweep;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::options::ClickHouseOptions;
use layout::Layout;
use old_sums::upgrade_sums;
use tables::Tables;
use topology::Topology;

/// A step of the schema. Its statements can be repeated, so that two programs may apply it at once.
struct Migration {
    number: u32,
    statements: &'static [&'static str],
}

/// All steps. A step that was released is never changed; a change is a new step.
const MIGRATIONS: [Migration; 6] =
    [FIRST, CHECKPOINTS, AUDIT, RULE_REVISIONS, ANALYSES, SATURATING_SUMMARIES];

/// The number of the last step.
pub(crate) const SCHEMA: u32 = SATURATING_SUMMARIES.number;

const FIRST: Migration = Migration {
    number: 1,
    statements: &[
        "CREATE TABLE IF NOT EXISTS token_usage (
            key UInt128,
            session_id String,
            time DateTime64(3, 'UTC'),
            model LowCardinality(String),
            project LowCardinality(String),
            host LowCardinality(String),
            agent String,
            service_tier LowCardinality(String),
            input_tokens UInt64,
            output_tokens UInt64,
            cache_creation_tokens UInt64,
            cache_read_tokens UInt64,
            cache_creation_5m_tokens UInt64,
            cache_creation_1h_tokens UInt64,
            finished Bool,
            sidechain Bool,
            nested Bool,
            forked Bool,
            origin Enum8('assistant' = 0, 'nested' = 1, 'iterations' = 2, 'advisor' = 3, 'summed' = 4),
            version UInt256,
            run_id UInt128,
            stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(version) ORDER BY key
        SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0",
        "CREATE TABLE IF NOT EXISTS source_files (
            host LowCardinality(String),
            path String,
            session_id String,
            project LowCardinality(String),
            size UInt64,
            modified DateTime64(3, 'UTC'),
            changed_nanos UInt64,
            identity UInt64,
            fingerprint UInt128,
            offset UInt64,
            line UInt64,
            carried_time Nullable(DateTime64(3, 'UTC')),
            carried_before UInt64,
            lines UInt64,
            bad_lines UInt64,
            bad_usage UInt64,
            oversize_lines UInt64,
            pending_lines UInt64,
            content_categories Map(LowCardinality(String), UInt64),
            snapshots UInt64,
            snapshot_tokens UInt64,
            first_time Nullable(DateTime64(3, 'UTC')),
            last_time Nullable(DateTime64(3, 'UTC')),
            analysis_version LowCardinality(String),
            read_at DateTime64(3, 'UTC'),
            version UInt128
        ) ENGINE = ReplacingMergeTree(version) ORDER BY (host, path, session_id)
        SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0",
        "CREATE VIEW IF NOT EXISTS enhanced_token_summaries AS
        SELECT
            u.session_id AS session_id,
            u.projects AS projects,
            u.models AS models,
            u.hosts AS hosts,
            u.first_time AS first_time,
            u.last_time AS last_time,
            u.reported_input_tokens AS reported_input_tokens,
            u.reported_output_tokens AS reported_output_tokens,
            u.reported_cache_creation_tokens AS reported_cache_creation_tokens,
            u.reported_cache_read_tokens AS reported_cache_read_tokens,
            u.reported_input_tokens + u.reported_output_tokens + u.reported_cache_creation_tokens
                + u.reported_cache_read_tokens AS calculated_total_tokens,
            u.responses AS responses,
            u.responses_worth_tokens AS responses_worth_tokens,
            u.finished_responses AS finished_responses,
            if(u.responses_worth_tokens = 0, 0,
                100 * (1 - u.finished_responses / u.responses_worth_tokens)) AS undercount_percentage,
            s.files AS files_processed,
            s.lines AS lines,
            s.bad_lines AS bad_lines,
            s.content_categories AS content_categories,
            s.snapshot_tokens AS snapshot_tokens,
            if(s.snapshot_tokens = 0, NULL, calculated_total_tokens / s.snapshot_tokens) AS accuracy_ratio,
            s.analysis_version AS analysis_version,
            s.last_sync AS last_sync
        FROM (
            SELECT
                session_id,
                arraySort(groupUniqArrayIf(toString(project), project != '')) AS projects,
                arraySort(groupUniqArrayIf(toString(model), model != '')) AS models,
                arraySort(groupUniqArrayIf(toString(host), host != '')) AS hosts,
                min(time) AS first_time,
                max(time) AS last_time,
                sum(input_tokens) AS reported_input_tokens,
                sum(output_tokens) AS reported_output_tokens,
                sum(cache_creation_tokens) AS reported_cache_creation_tokens,
                sum(cache_read_tokens) AS reported_cache_read_tokens,
                count() AS responses,
                countIf(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens > 0)
                    AS responses_worth_tokens,
                countIf(finished AND input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens > 0)
                    AS finished_responses
            FROM token_usage FINAL
            GROUP BY session_id
        ) AS u
        LEFT JOIN (
            SELECT
                session_id,
                countIf(snapshots > 0) AS files,
                sum(lines) AS lines,
                sum(bad_lines) AS bad_lines,
                CAST(sumMap(content_categories), 'Map(String, UInt64)') AS content_categories,
                sum(snapshot_tokens) AS snapshot_tokens,
                toString(argMax(analysis_version, (read_at, host, path))) AS analysis_version,
                max(read_at) AS last_sync
            FROM source_files FINAL
            GROUP BY session_id
        ) AS s ON s.session_id = u.session_id",
    ],
};

/// A row says in which epoch the operation began that wrote it. A table that becomes live by a rollback refuses
/// those of older ones.
const CHECKPOINTS: Migration = Migration {
    number: 2,
    statements: &[
        "ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS epoch UInt32 DEFAULT 0 AFTER run_id",
        "ALTER TABLE source_files ADD COLUMN IF NOT EXISTS epoch UInt32 DEFAULT 0 AFTER version",
        "CREATE TABLE IF NOT EXISTS bridge_resumes (
            epoch UInt32,
            resumed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree ORDER BY epoch
        SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0",
    ],
};

/// What the bridge did, one row an operation.
const AUDIT: Migration = Migration {
    number: 3,
    statements: &["CREATE TABLE IF NOT EXISTS bridge_audit (
            id UInt128,
            time DateTime64(3, 'UTC'),
            correlation_id String,
            operation LowCardinality(String),
            session_id String,
            outcome LowCardinality(String),
            forced Bool,
            records_stored UInt64,
            new_responses UInt64,
            tokens UInt64,
            tokens_replaced UInt64,
            tokens_written UInt64,
            figures Map(LowCardinality(String), UInt64),
            duration_micros UInt64,
            error_kind LowCardinality(String),
            error String,
            host LowCardinality(String),
            version LowCardinality(String)
        ) ENGINE = ReplacingMergeTree ORDER BY (time, id)
        SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0"],
};

/// Rows and cursors carry the revision of the counting rule that made them; what is there already is of the first.
const RULE_REVISIONS: Migration = Migration {
    number: 4,
    statements: &[
        "ALTER TABLE token_usage MODIFY COLUMN origin Enum8('assistant' = 0, 'nested' = 1, 'iterations' = 2, 'advisor' = 3, 'summed' = 4,
                'compaction' = 5, 'declined' = 6, 'other' = 7, 'covered' = 8),
            ADD COLUMN IF NOT EXISTS weak_key Bool DEFAULT false AFTER origin,
            ADD COLUMN IF NOT EXISTS rule_revision UInt8 DEFAULT 1 AFTER weak_key",
        "ALTER TABLE source_files ADD COLUMN IF NOT EXISTS rule_revision UInt8 DEFAULT 1 AFTER analysis_version",
    ],
};

/// Rows that are no responses: markers over covered keys, and what analyses say besides their counters. The summaries
/// leave the former out and show the latter: of an analysis that is newer than the last reading of the sources, in
/// their place. What older versions stored of sessions' sums is brought into this form with it ([`upgrade_sums`]).
const ANALYSES: Migration = Migration {
    number: 5,
    statements: &[
        "ALTER TABLE token_usage MODIFY COLUMN origin Enum8('assistant' = 0, 'nested' = 1, 'iterations' = 2, 'advisor' = 3, 'summed' = 4,
                'compaction' = 5, 'declined' = 6, 'other' = 7, 'covered' = 8, 'analysis' = 9),
            ADD COLUMN IF NOT EXISTS analysis String DEFAULT '' AFTER rule_revision",
        "CREATE OR REPLACE VIEW enhanced_token_summaries AS
        SELECT
            u.session_id AS session_id,
            u.projects AS projects,
            u.models AS models,
            u.hosts AS hosts,
            u.first_time AS first_time,
            u.last_time AS last_time,
            u.reported_input_tokens AS reported_input_tokens,
            u.reported_output_tokens AS reported_output_tokens,
            u.reported_cache_creation_tokens AS reported_cache_creation_tokens,
            u.reported_cache_read_tokens AS reported_cache_read_tokens,
            u.reported_input_tokens + u.reported_output_tokens + u.reported_cache_creation_tokens
                + u.reported_cache_read_tokens AS calculated_total_tokens,
            u.responses AS responses,
            u.responses_worth_tokens AS responses_worth_tokens,
            u.finished_responses AS finished_responses,
            u.analysis != '' AND u.analyzed_at >= s.last_sync AS is_analyzed,
            multiIf(is_analyzed, JSONExtractFloat(u.analysis, 'undercount_percentage'),
                u.responses_worth_tokens = 0, 0,
                100 * (1 - u.finished_responses / u.responses_worth_tokens)) AS undercount_percentage,
            if(is_analyzed, JSONExtractUInt(u.analysis, 'files_processed'), s.files) AS files_processed,
            s.lines AS lines,
            s.bad_lines AS bad_lines,
            if(is_analyzed, JSONExtract(u.analysis, 'content_categories', 'Map(String, UInt64)'),
                s.content_categories) AS content_categories,
            s.snapshot_tokens AS snapshot_tokens,
            multiIf(is_analyzed, JSONExtractFloat(u.analysis, 'accuracy_ratio'), s.snapshot_tokens = 0, NULL,
                calculated_total_tokens / s.snapshot_tokens) AS accuracy_ratio,
            if(is_analyzed, JSONExtractString(u.analysis, 'analysis_version'), s.analysis_version)
                AS analysis_version,
            s.last_sync AS last_sync,
            JSONExtractString(u.analysis, 'analysis_id') AS analysis_id,
            if(u.analysis = '', NULL, u.analyzed_at) AS analyzed_at,
            JSONExtractUInt(u.analysis, 'processing_nanos') / 1000000000 AS processing_duration,
            JSONExtractFloat(u.analysis, 'memory_usage_mb') AS memory_usage_mb,
            u.analysis AS analysis
        FROM (
            SELECT
                session_id,
                arraySort(groupUniqArrayIf(toString(project), project != '')) AS projects,
                arraySort(groupUniqArrayIf(toString(model), model != '')) AS models,
                arraySort(groupUniqArrayIf(toString(host), host != '')) AS hosts,
                minIf(time, origin NOT IN ('covered', 'analysis')) AS first_time,
                maxIf(time, origin NOT IN ('covered', 'analysis')) AS last_time,
                sum(input_tokens) AS reported_input_tokens,
                sum(output_tokens) AS reported_output_tokens,
                sum(cache_creation_tokens) AS reported_cache_creation_tokens,
                sum(cache_read_tokens) AS reported_cache_read_tokens,
                countIf(origin NOT IN ('covered', 'analysis')) AS responses,
                countIf(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens > 0)
                    AS responses_worth_tokens,
                countIf(finished AND input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens > 0)
                    AS finished_responses,
                anyIf(token_usage.analysis, origin = 'analysis') AS analysis,
                maxIf(time, origin = 'analysis') AS analyzed_at
            FROM token_usage FINAL
            GROUP BY session_id
            HAVING responses > 0
        ) AS u
        LEFT JOIN (
            SELECT
                session_id,
                countIf(snapshots > 0) AS files,
                sum(lines) AS lines,
                sum(bad_lines) AS bad_lines,
                CAST(sumMap(content_categories), 'Map(String, UInt64)') AS content_categories,
                sum(snapshot_tokens) AS snapshot_tokens,
                toString(argMax(analysis_version, (read_at, host, path))) AS analysis_version,
                max(read_at) AS last_sync
            FROM source_files FINAL
            GROUP BY session_id
        ) AS s ON s.session_id = u.session_id",
    ],
};

/// The sums of the summaries end at the greatest number of 64 bits, where they wrapped.
const SATURATING_SUMMARIES: Migration = Migration {
    number: 7,
    statements: &[
        "CREATE OR REPLACE VIEW enhanced_token_summaries AS
        SELECT
            u.session_id AS session_id,
            u.projects AS projects,
            u.models AS models,
            u.hosts AS hosts,
            u.first_time AS first_time,
            u.last_time AS last_time,
            u.reported_input_tokens AS reported_input_tokens,
            u.reported_output_tokens AS reported_output_tokens,
            u.reported_cache_creation_tokens AS reported_cache_creation_tokens,
            u.reported_cache_read_tokens AS reported_cache_read_tokens,
            toUInt64(least(toUInt128(u.reported_input_tokens) + u.reported_output_tokens + u.reported_cache_creation_tokens
                + u.reported_cache_read_tokens, toUInt128(18446744073709551615))) AS calculated_total_tokens,
            u.responses AS responses,
            u.responses_worth_tokens AS responses_worth_tokens,
            u.finished_responses AS finished_responses,
            u.analysis != '' AND u.analyzed_at >= s.last_sync AS is_analyzed,
            multiIf(is_analyzed, JSONExtractFloat(u.analysis, 'undercount_percentage'),
                u.responses_worth_tokens = 0, 0,
                100 * (1 - u.finished_responses / u.responses_worth_tokens)) AS undercount_percentage,
            if(is_analyzed, JSONExtractUInt(u.analysis, 'files_processed'), s.files) AS files_processed,
            s.lines AS lines,
            s.bad_lines AS bad_lines,
            if(is_analyzed, JSONExtract(u.analysis, 'content_categories', 'Map(String, UInt64)'),
                s.content_categories) AS content_categories,
            s.snapshot_tokens AS snapshot_tokens,
            multiIf(is_analyzed, JSONExtractFloat(u.analysis, 'accuracy_ratio'), s.snapshot_tokens = 0, NULL,
                calculated_total_tokens / s.snapshot_tokens) AS accuracy_ratio,
            if(is_analyzed, JSONExtractString(u.analysis, 'analysis_version'), s.analysis_version)
                AS analysis_version,
            s.last_sync AS last_sync,
            JSONExtractString(u.analysis, 'analysis_id') AS analysis_id,
            if(u.analysis = '', NULL, u.analyzed_at) AS analyzed_at,
            JSONExtractUInt(u.analysis, 'processing_nanos') / 1000000000 AS processing_duration,
            JSONExtractFloat(u.analysis, 'memory_usage_mb') AS memory_usage_mb,
            u.analysis AS analysis
        FROM (
            SELECT
                session_id,
                arraySort(groupUniqArrayIf(toString(project), project != '')) AS projects,
                arraySort(groupUniqArrayIf(toString(model), model != '')) AS models,
                arraySort(groupUniqArrayIf(toString(host), host != '')) AS hosts,
                minIf(time, origin NOT IN ('covered', 'analysis')) AS first_time,
                maxIf(time, origin NOT IN ('covered', 'analysis')) AS last_time,
                toUInt64(least(sum(toUInt128(input_tokens)), toUInt128(18446744073709551615))) AS reported_input_tokens,
                toUInt64(least(sum(toUInt128(output_tokens)), toUInt128(18446744073709551615))) AS reported_output_tokens,
                toUInt64(least(sum(toUInt128(cache_creation_tokens)), toUInt128(18446744073709551615))) AS reported_cache_creation_tokens,
                toUInt64(least(sum(toUInt128(cache_read_tokens)), toUInt128(18446744073709551615))) AS reported_cache_read_tokens,
                countIf(origin NOT IN ('covered', 'analysis')) AS responses,
                countIf(bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)) != 0)
                    AS responses_worth_tokens,
                countIf(finished AND bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)) != 0)
                    AS finished_responses,
                anyIf(token_usage.analysis, origin = 'analysis') AS analysis,
                maxIf(time, origin = 'analysis') AS analyzed_at
            FROM token_usage FINAL
            GROUP BY session_id
            HAVING responses > 0
        ) AS u
        LEFT JOIN (
            SELECT
                session_id,
                countIf(snapshots > 0) AS files,
                toUInt64(least(sum(toUInt128(lines)), toUInt128(18446744073709551615))) AS lines,
                toUInt64(least(sum(toUInt128(bad_lines)), toUInt128(18446744073709551615))) AS bad_lines,
                CAST(mapApply((k, v) -> (k, toUInt64(least(v, toUInt128(18446744073709551615)))),
                    sumMap(CAST(content_categories, 'Map(String, UInt128)'))), 'Map(String, UInt64)') AS content_categories,
                toUInt64(least(sum(toUInt128(snapshot_tokens)), toUInt128(18446744073709551615))) AS snapshot_tokens,
                toString(argMax(analysis_version, (read_at, host, path))) AS analysis_version,
                max(read_at) AS last_sync
            FROM source_files FINAL
            GROUP BY session_id
        ) AS s ON s.session_id = u.session_id",
    ],
};

#[derive(Row, Serialize, Deserialize)]
struct Applied {
    number: u32,
    checksum: u64,
}

const SUMMARIES: &str = "enhanced_token_summaries";

/// What was applied. One row a step.
const LEDGER: &str = "CREATE TABLE IF NOT EXISTS bridge_migrations (number UInt32, checksum UInt64, \
     applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')) \
     ENGINE = ReplacingMergeTree ORDER BY (number, checksum)";

/// Brings the database to this version's schema, and its tables to these options. Where they are there already it
/// only reads.
pub(crate) async fn migrate(tables: &Tables, options: &ClickHouseOptions) -> Result<(), TableError> {
    create_database(tables, options).await?;
    refuse_foreign_tables(tables, &options.topology).await?;
    check_topology(tables, &options.topology).await?;
    // Who may create nothing can still find that there is nothing to create.
    if !exists(tables, "bridge_migrations").await? {
        create(tables, options, LEDGER).await?;
    }
    let applied: Vec<Applied> =
        tables.query("SELECT number, checksum FROM bridge_migrations FINAL").fetch_all().await?;
    check(&applied).map_err(TableError::Bridge)?;
    // Before the schema changes under it.
    let catalog = finish_pending_rollbacks(tables, &options.topology).await?;
    sweep(tables, &options.topology, &catalog).await?;
    let layout = Layout::read(tables).await?;
    for migration in &MIGRATIONS {
        let is_booked = applied.iter().any(|known| known.number == migration.number);
        // A step that was booked without its changes, by whatever fault, is repeated.
        let is_made = || migration.statements.iter().all(|made| layout.missing(made, tables).is_none());
        if !is_booked || !is_made() {
            apply(tables, options, migration, catalog.live(DataTable::Usage).epoch).await?;
        }
    }
    // A view whose definition was lost holds no rows and is set aside.
    if !exists(tables, SUMMARIES).await? {
        let view = format!("CREATE VIEW IF NOT EXISTS {SUMMARIES} ");
        for statement in statements().filter(|statement| statement.starts_with(&view)) {
            create(tables, options, statement).await?;
        }
    }
    for (table, kept) in [("token_usage", options.retention), ("bridge_audit", options.audit_retention)] {
        if let Some(retention) = kept {
            retention::apply(tables, &options.topology, table, retention).await?;
        }
    }
    Ok(())
}

/// Makes the changes of a step, verifies that they are there, and books it.
async fn apply(
    tables: &Tables,
    options: &ClickHouseOptions,
    migration: &Migration,
    epoch: Epoch,
) -> Result<(), TableError> {
    for statement in migration.statements {
        create(tables, options, statement).await?;
    }
    let layout = Layout::read(tables).await?;
    if let Some(missing) = migration.statements.iter().find_map(|made| layout.missing(made, tables)) {
        let message = format!("migration {} was acknowledged, and yet {missing}", migration.number);
        return Err(TableError::Bridge(refusal(message)));
    }
    if migration.number == ANALYSES.number {
        upgrade_sums(tables, DataTable::Usage.live(), epoch).await?;
    }
    let mut insert = tables.insert::<Applied>("bridge_migrations", 1).await?;
    insert.write(&Applied { number: migration.number, checksum: checksum(migration) }).await?;
    insert.end().await?;
    Ok(())
}

/// Refuses a database where something else bears the name of one of the bridge's tables, before anything is made.
async fn refuse_foreign_tables(tables: &Tables, topology: &Topology) -> Result<(), TableError> {
    let layout = Layout::read(tables).await?;
    let created = MIGRATIONS.iter().flat_map(|step| step.statements).copied().chain([LEDGER]);
    for statement in created {
        if let Some(foreign) = layout.foreign(statement, tables, topology) {
            let message = format!(
                "{foreign}; nothing was changed: set clickhouse.table_prefix to give the bridge's tables names \
                 of their own, or name another database"
            );
            return Err(TableError::Bridge(refusal(message)));
        }
    }
    Ok(())
}

async fn create_database(tables: &Tables, options: &ClickHouseOptions) -> Result<(), TableError> {
    let server = tables.server();
    let exists = server
        .query("SELECT count() FROM system.databases WHERE name = ?")
        .bind(&options.database)
        .fetch_one::<u64>()
        .await?;
    if exists > 0 {
        return Ok(());
    }
    let quoted = options.database.replace('\\', "\\\\").replace('`', "\\`");
    let everywhere = options.topology.on_cluster();
    server.query_raw(&format!("CREATE DATABASE IF NOT EXISTS `{quoted}`{everywhere}")).execute().await?;
    Ok(())
}

async fn exists(tables: &Tables, table: &str) -> Result<bool, TableError> {
    let query = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = ?";
    Ok(tables.query(query).bind(tables.name(table)).fetch_one::<u64>().await? > 0)
}

async fn create(tables: &Tables, options: &ClickHouseOptions, statement: &str) -> Result<(), TableError> {
    room::check(tables, "migrate").await?;
    for statement in options.topology.statements(statement, &options.database) {
        tables.query_raw(&statement).execute().await?;
    }
    Ok(())
}

/// Tables of one server cannot become those of a cluster by themselves, nor the other way round.
async fn check_topology(tables: &Tables, topology: &Topology) -> Result<(), TableError> {
    let engines: Vec<String> = tables
        .query("SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = ?")
        .bind(tables.name("token_usage"))
        .fetch_all()
        .await?;
    let message = match (engines.first().map(|engine| engine == "Distributed"), topology) {
        (Some(false), Topology::Cluster(_)) => "the tables were made without a cluster, and one is asked for",
        (Some(true), Topology::OneServer) => "the tables are spread over a cluster, and none is asked for",
        _ => return Ok(()),
    };
    Err(TableError::Bridge(refusal(message.to_owned())))
}

/// Refuses a schema that this version did not write.
fn check(applied: &[Applied]) -> Result<(), BridgeError> {
    for known in applied {
        match MIGRATIONS.iter().find(|step| step.number == known.number) {
            None => {
                let message = format!("migration {} is from a newer version of the bridge", known.number);
                return Err(refusal(message));
            }
            Some(step) if checksum(step) != known.checksum => {
                return Err(refusal(format!("migration {} was applied in another form", known.number)));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn refusal(message: String) -> BridgeError {
    let (kind, context) = (StorageKind::Schema, Box::default());
    BridgeError::Storage { operation: "migrate", kind, message, context, source: None }
}

/// White space is left out: a statement that is indented anew is the same statement.
fn checksum(migration: &Migration) -> u64 {
    let words = migration.statements.iter().flat_map(|statement| statement.split_whitespace());
    xxh3_64(words.collect::<Vec<_>>().join(" ").as_bytes())
}

/// All statements of the schema.
pub(crate) fn statements() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.iter().flat_map(|migration| migration.statements).copied().chain([LEDGER])
}
