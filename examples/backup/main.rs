//! Exports a store to a folder and imports it into the same or another store.
//!
//! `cargo run --release --example backup -- --help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

#[path = "../backfill/audit_flush.rs"]
mod audit_flush;
#[path = "../backfill/server.rs"]
mod server;
#[path = "../backfill/usage_error.rs"]
mod usage_error;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bridge::embedded::{EngineEvent, EngineOptions};
use bridge::storage::{BackupFormat, ClickHouseStore, ExportSummary, ServerPlace, StoreTotals, TokenStore};
use bridge::{
    EmbeddedDatabase, EnhancedTokenDatabaseBridge, Escaped,
    backup::{BackupPlace, ExportOptions},
};
use bridge_examples::interruption::{Signals, blocking};
use bridge_examples::{failure, interruption};
use clap::{Args, Parser, Subcommand};
use indicatif::{HumanBytes, HumanCount};

use crate::server::Server;

/// Exports and imports everything that the bridge has stored.
///
/// An import merges: an empty store becomes a copy of the exported one, any other store gains the missing data.
/// Importing twice is harmless.
///
/// Exit codes: 0 success, 1 failure, 2 usage error, 130 interrupted, 143 terminated (SIGTERM).
#[derive(Parser)]
#[command(name = "backup")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write a consistent snapshot of the whole store to a new folder
    Export {
        /// Folder to create; with --server, a name below the server's `backups.allowed_path`
        #[arg(value_parser = usage_error::path_parser())]
        folder: PathBuf,
        /// Write JSON lines instead of Parquet
        #[arg(long, conflicts_with = "server")]
        json: bool,
        #[command(flatten)]
        store: Store,
    },
    /// Merge an exported folder into the store
    Import {
        /// Exported folder; with --server, a name below the server's `backups.allowed_path`
        #[arg(value_parser = usage_error::path_parser())]
        folder: PathBuf,
        #[command(flatten)]
        store: Store,
    },
}

#[derive(Args)]
struct Store {
    /// Use the embedded ClickHouse with its data in this folder
    #[arg(long, value_name = "DIR", required_unless_present = "url", conflicts_with = "url", value_parser = usage_error::path_parser())]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    clickhouse: Server,
    /// Let the server itself write and read the backup
    #[arg(long)]
    server: bool,
}

fn main() -> ExitCode {
    let task = match Arguments::try_parse() {
        Ok(arguments) => arguments.task,
        Err(error) => return usage_error::report(error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error),
    };
    let outcome = runtime.block_on(run(task));
    interruption::end(runtime, Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&*error),
    }
}

async fn run(task: Task) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::listen()?;
    let (Task::Export { store, .. } | Task::Import { store, .. }) = &task;
    let bridge = signals.during(store.bridge()).await?;
    let outcome = signals.during(execute(&task, &bridge)).await;
    audit_flush::flush_before_exit(&bridge).await;
    outcome
}

async fn execute(task: &Task, bridge: &EnhancedTokenDatabaseBridge) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Export { folder, json, store } => {
            let mut options = ExportOptions::to(store.place(folder)?);
            if *json {
                options = options.with_format(BackupFormat::JsonLines);
            }
            let export = bridge.export_store(options).await?;
            println!("exported {}", describe_transfer(&export.summary, export.bytes, export.duration));
            println!("  {}", describe_totals(&export.summary.totals));
        }
        Task::Import { folder, store } => {
            let import = bridge.import_store(store.place(folder)?).await?;
            println!("imported {}", describe_transfer(&import.summary, import.bytes, import.duration));
            println!("  backup  {}", describe_totals(&import.summary.totals));
            println!("  before  {}", describe_totals(&import.before));
            println!("  after   {}", describe_totals(&import.after));
            println!(
                "{}",
                if import.equals_backup() {
                    "The store's totals equal the backup's."
                } else {
                    "The store now contains its previous content and the backup's, each response once."
                }
            );
        }
    }
    Ok(())
}

impl Store {
    fn place(&self, folder: &Path) -> Result<BackupPlace, Box<dyn Error>> {
        if !self.server {
            return Ok(BackupPlace::Folder(folder.to_owned()));
        }
        let name = folder.to_str().ok_or("the name of a server-side backup must be valid UTF-8")?;
        Ok(BackupPlace::Server(ServerPlace::File(name.to_owned())))
    }

    /// Opens a bridge to the store. The bridge keeps its embedded engine alive.
    async fn bridge(&self) -> Result<EnhancedTokenDatabaseBridge, Box<dyn Error>> {
        let options = match (self.clickhouse.options()?, &self.data_dir) {
            (Some(options), _) => options,
            (None, folder) => {
                let folder = folder.as_ref().ok_or("either --data-dir or --url is required")?;
                let options = EngineOptions::at(folder);
                let show = |event: EngineEvent| eprintln!("{}", Escaped::text(&event.to_string()));
                let start = move || Ok(EmbeddedDatabase::start_with(&options, show)?);
                blocking(start).await?.store_options()?
            }
        };
        self.clickhouse.warn_of_visible_password();
        let store: Arc<dyn TokenStore> = Arc::new(ClickHouseStore::new(options)?);
        store.migrate().await?;
        Ok(EnhancedTokenDatabaseBridge::builder(store).build())
    }
}

fn describe_transfer(summary: &ExportSummary, bytes: u64, elapsed: Duration) -> String {
    let rows = summary.rows();
    let tables: Vec<_> =
        summary.tables.iter().map(|table| format!("{} {}", HumanCount(table.rows), table.table)).collect();
    let rate = (rows as f64 / elapsed.as_secs_f64().max(0.001)).round();
    let size = if bytes > 0 { format!("{}, ", HumanBytes(bytes)) } else { String::new() };
    format!(
        "{} rows ({size}{:.2} s, {rate} rows/s): {}",
        HumanCount(rows),
        elapsed.as_secs_f64(),
        tables.join(", ")
    )
}

fn describe_totals(totals: &StoreTotals) -> String {
    format!(
        "{} tokens, {} responses, {} sessions",
        HumanCount(totals.counts.total()),
        HumanCount(totals.responses),
        HumanCount(totals.sessions)
    )
}
