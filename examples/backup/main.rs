//! Gives out everything that the bridge has stored, and takes it in again, here or elsewhere.
//!
//! `cargo run --release --example backup -- --help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

#[path = "../backfill/farewell.rs"]
mod farewell;
#[path = "../backfill/refusal.rs"]
mod refusal;
#[path = "../backfill/server.rs"]
mod server;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bridge::embedded::{EngineEvent, EngineOptions};
use bridge::storage::{BackupFormat, ClickHouseStore, ExportSummary, ServerPlace, StoreTotals, TokenStore};
use bridge::{BackupPlace, EmbeddedDatabase, EnhancedTokenDatabaseBridge, Escaped, ExportOptions};
use bridge_examples::interruption::{Signals, blocking};
use bridge_examples::{failure, interruption};
use clap::{Args, Parser, Subcommand};
use indicatif::{HumanBytes, HumanCount};

use crate::server::Server;

/// Gives out everything that the bridge has stored, and takes it in again.
///
/// Taking in is a join: into an empty store it brings the same store back, into a filled one what is missing there.
/// It may be repeated.
///
/// Exit codes: 0 done, 1 failed, 2 not understood, 130 interrupted, 143 terminated (SIGTERM).
#[derive(Parser)]
#[command(name = "backup")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Writes the whole store, as it is at one moment, to a folder that is not there yet
    Export {
        /// The folder; with --server a name below the server's `backups.allowed_path`
        #[arg(value_parser = refusal::path())]
        folder: PathBuf,
        /// Lines of JSON in place of Parquet
        #[arg(long, conflicts_with = "server")]
        json: bool,
        #[command(flatten)]
        store: Store,
    },
    /// Joins such a folder into the store
    Import {
        /// The folder; with --server a name below the server's `backups.allowed_path`
        #[arg(value_parser = refusal::path())]
        folder: PathBuf,
        #[command(flatten)]
        store: Store,
    },
}

#[derive(Args)]
struct Store {
    /// The embedded ClickHouse with its data in this folder
    #[arg(long, value_name = "DIR", required_unless_present = "url", value_parser = refusal::path())]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    clickhouse: Server,
    /// The server itself writes and reads the backup
    #[arg(long)]
    server: bool,
}

fn main() -> ExitCode {
    let task = match Arguments::try_parse() {
        Ok(arguments) => arguments.task,
        Err(error) => return refusal::refuse(error),
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
    let outcome = signals.during(carry_out(&task, &bridge)).await;
    farewell::say_goodbye(&bridge).await;
    outcome
}

async fn carry_out(task: &Task, bridge: &EnhancedTokenDatabaseBridge) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Export { folder, json, store } => {
            let mut options = ExportOptions::to(store.place(folder)?);
            if *json {
                options = options.with_format(BackupFormat::JsonLines);
            }
            let export = bridge.export_store(options).await?;
            println!("exported {}", told(&export.figures, export.bytes, export.duration));
            println!("  {}", sums(&export.figures.totals));
        }
        Task::Import { folder, store } => {
            let import = bridge.import_store(store.place(folder)?).await?;
            println!("imported {}", told(&import.figures, import.bytes, import.duration));
            println!("  backup  {}", sums(&import.figures.totals));
            println!("  before  {}", sums(&import.before));
            println!("  now     {}", sums(&import.after));
            println!(
                "{}",
                if import.equals_backup() {
                    "The store's totals equal the backup's."
                } else {
                    "The store holds what it held and what the backup holds, each response once."
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
        let name = folder.to_str().ok_or("the name of a backup of the server's is UTF-8")?;
        Ok(BackupPlace::Server(ServerPlace::File(name.to_owned())))
    }

    /// A bridge to the store, that keeps the engine that it needs.
    async fn bridge(&self) -> Result<EnhancedTokenDatabaseBridge, Box<dyn Error>> {
        let options = match (self.clickhouse.options()?, &self.data_dir) {
            (Some(options), _) => options,
            (None, folder) => {
                let folder = folder.as_ref().ok_or("either --data-dir or --url is needed")?;
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

fn told(figures: &ExportSummary, bytes: u64, took: Duration) -> String {
    let rows = figures.rows();
    let tables: Vec<_> =
        figures.tables.iter().map(|table| format!("{} {}", HumanCount(table.rows), table.table)).collect();
    let speed = (rows as f64 / took.as_secs_f64().max(0.001)).round();
    let size = if bytes > 0 { format!("{}, ", HumanBytes(bytes)) } else { String::new() };
    format!(
        "{} rows ({size}{:.2} s, {speed} rows/s): {}",
        HumanCount(rows),
        took.as_secs_f64(),
        tables.join(", ")
    )
}

fn sums(totals: &StoreTotals) -> String {
    format!(
        "{} tokens, {} responses, {} sessions",
        HumanCount(totals.counts.total()),
        HumanCount(totals.responses),
        HumanCount(totals.sessions)
    )
}
