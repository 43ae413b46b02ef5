//! Gives out everything that the bridge has stored, and takes it in again, here or elsewhere.
//!
//! `cargo run --release --example backup -- --help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

#[path = "../backfill/credentials.rs"]
mod credentials;
#[path = "../backfill/failure.rs"]
mod failure;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bridge::embedded::{Engine, EngineOptions};
use bridge::storage::{
    BackupFormat, ClickHouseOptions, ClickHouseStore, ExportFigures, ServerPlace, StoreTotals, TokenStore,
};
use bridge::{BackupPlace, EnhancedTokenDatabaseBridge, ExportOptions};
use clap::{Args, Parser, Subcommand};
use indicatif::{HumanBytes, HumanCount};

/// Gives out everything that the bridge has stored, and takes it in again.
///
/// Taking in is a join: into an empty store it brings the same store back, into a filled one what is missing there.
/// It may be repeated.
#[derive(Debug, Parser)]
#[command(name = "backup")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Writes the whole store, as it is at one moment, to a folder that is not there yet
    Export {
        /// The folder; with --server a name below the server's `backups.allowed_path`
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
        folder: PathBuf,
        #[command(flatten)]
        store: Store,
    },
}

#[derive(Debug, Args)]
struct Store {
    /// The embedded ClickHouse with its data in this folder
    #[arg(long, value_name = "DIR", required_unless_present = "url", conflicts_with = "url")]
    data_dir: Option<PathBuf>,
    /// A ClickHouse server: http://USER:PASSWORD@HOST:8123/DATABASE
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The server itself writes and reads the backup
    #[arg(long)]
    server: bool,
}

fn main() -> ExitCode {
    let task = match Arguments::try_parse() {
        Ok(arguments) => arguments.task,
        Err(error) => return refusal(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                outcome = run(task) => outcome,
                _ = tokio::signal::ctrl_c() => Err("interrupted; it can be done again".into()),
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell(&*error),
    }
}

/// What clap says; it quotes a URL that stands in the wrong place.
fn refusal(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        eprint!("{}", credentials::without_credentials(&error.to_string()));
    } else {
        // Help that nobody reads to its end is no error.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

async fn run(task: Task) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Export { folder, json, store } => {
            let (place, bridge) = (store.place(folder)?, store.bridge().await?);
            let mut options = ExportOptions::to(place);
            if json {
                options = options.with_format(BackupFormat::JsonLines);
            }
            let export = bridge.export_store(&options).await?;
            println!("exported {}", told(&export.figures, export.bytes, export.duration));
            println!("  {}", sums(&export.figures.totals));
        }
        Task::Import { folder, store } => {
            let (place, bridge) = (store.place(folder)?, store.bridge().await?);
            let import = bridge.import_store(&place).await?;
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
    fn place(&self, folder: PathBuf) -> Result<BackupPlace, Box<dyn Error>> {
        if !self.server {
            return Ok(BackupPlace::Folder(folder));
        }
        let name = folder.to_str().ok_or("the name of a backup of the server's is UTF-8")?;
        Ok(BackupPlace::Server(ServerPlace::File(name.to_owned())))
    }

    /// A bridge to the store, that keeps the engine that it needs.
    async fn bridge(&self) -> Result<EnhancedTokenDatabaseBridge, Box<dyn Error>> {
        let (options, engine) = match (&self.url, &self.data_dir) {
            (Some(url), _) => (ClickHouseOptions::from_url(url)?, None),
            (None, folder) => {
                let folder = folder.as_ref().ok_or("either --data-dir or --url is needed")?;
                let engine = Engine::start_with(&EngineOptions::at(folder).table_definitions(bridge::storage::table_definition), |event| eprintln!("{event}"))?;
                let endpoint = engine.endpoint();
                let options = ClickHouseOptions::from_url(&endpoint.url)?
                    .with_database(&endpoint.database)
                    .with_user(&endpoint.writer.user, &endpoint.writer.password);
                (options, Some(engine))
            }
        };
        let store: Arc<dyn TokenStore> = Arc::new(ClickHouseStore::new(options)?);
        store.migrate().await?;
        Ok(EnhancedTokenDatabaseBridge::builder(store).keep(engine).build())
    }
}

fn told(figures: &ExportFigures, bytes: u64, took: Duration) -> String {
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
