//! Prints the schema and the roles as SQL, for database administrators.
//!
//! `cargo run --example schema -- --help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

#[path = "../backfill/server.rs"]
mod server;
#[path = "../backfill/usage_error.rs"]
mod usage_error;

use std::error::Error;
use std::process::ExitCode;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, Schema};
use bridge_examples::failure;
use clap::Parser;

use crate::server::Server;

/// Prints the SQL that creates or upgrades the bridge's tables, for clickhouse-client --queries-file.
///
/// Without --url, connects to nothing. With --url, prints only the missing parts of that database, and changes nothing.
///
/// Exit codes: 0 success, 1 failure, 2 usage error.
#[derive(Parser)]
#[command(name = "schema")]
struct Arguments {
    /// Database of the tables
    #[arg(long, value_name = "NAME", default_value = ClickHouseOptions::DATABASE, conflicts_with = "url")]
    database: String,

    /// Prefix of all table names
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,

    /// Cluster for the tables
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Version of the schema that the database has; 0 if it has none
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "url")]
    from: u32,

    /// Print the roles, too
    #[arg(long)]
    roles: bool,

    #[command(flatten)]
    server: Server,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage_error::report(error),
    };
    match sql(&arguments) {
        Ok(sql) => {
            print!("{sql}");
            ExitCode::SUCCESS
        }
        Err(error) => failure::report(&*error),
    }
}

fn sql(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    let options = match arguments.server.options()? {
        Some(options) => options,
        None => ClickHouseOptions::from_url("http://localhost")?.with_database(&arguments.database),
    };
    arguments.server.warn_of_visible_password();
    let options = match &arguments.prefix {
        Some(prefix) => options.with_table_prefix(prefix)?,
        None => options,
    };
    let options = match &arguments.cluster {
        Some(cluster) => options.with_cluster(cluster)?,
        None => options,
    };
    let schema = options.schema();
    let mut sql = match &arguments.server.url {
        Some(_) => pending(options)?,
        None => schema.script(arguments.from),
    };
    if arguments.roles {
        sql.push_str("\n-- Roles, to be granted to users.\n");
        sql.extend(schema.role_statements().iter().map(|statement| format!("{statement};\n")));
    }
    Ok(sql)
}

/// Returns what this database lacks.
fn pending(options: ClickHouseOptions) -> Result<String, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pending = runtime.block_on(ClickHouseStore::new(options)?.pending_schema())?;
    if pending.is_empty() {
        return Ok(format!("-- Nothing is missing: the schema has version {}.\n", pending.version));
    }
    let (version, script) = (pending.version, pending.script());
    let mut sql = format!("-- Missing from version {version} to {}.\n{script}", Schema::VERSION);
    if pending.converts_rows {
        sql.push_str("-- Stored rows must be converted too: start a bridge once as bridge_administrator.\n");
    }
    Ok(sql)
}
