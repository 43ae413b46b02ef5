//! The two endpoints of a backfill: the transcripts to read and the store to write to.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use bridge::analysis::SourceRoots;
use bridge::embedded::{EngineEvent, EngineOptions};
use bridge::storage::{ClickHouseStore, TokenStore};
use bridge::{EmbeddedDatabase, Escaped};

use crate::args::Args;
use bridge_examples::interruption::blocking;
use bridge_examples::places::data_folder;

/// The transcripts to read.
pub(crate) struct Sources {
    pub(crate) roots: Vec<PathBuf>,
    /// `true` for the sample that comes with the project.
    pub(crate) sample: bool,
}

/// Returns the requested folders, or the client's default ones. Falls back to the sample only if nothing was requested
/// or configured: mixed into a database that the user chose, it would distort the totals.
pub(crate) fn sources(args: &Args) -> Result<Sources, Box<dyn Error>> {
    let variable = |name: &str| std::env::var_os(name);
    let roots = match &*args.source {
        [] => SourceRoots::usual(variable),
        named => SourceRoots::named(named, variable),
    };
    if roots.are_configured() || !roots.folders().is_empty() {
        return Ok(Sources { roots: roots.folders().to_vec(), sample: false });
    }
    if args.server.url.is_some() || args.data_dir.is_some() {
        return Err("no transcripts found in the default folders; name their folder with --source".into());
    }
    eprintln!("No transcripts found in the default folders; using the sample that comes with the project.");
    Ok(Sources { roots: vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/sample"))], sample: true })
}

/// Formats the folders as one line.
pub(crate) fn join_paths(roots: &[PathBuf]) -> String {
    let roots: Vec<_> = roots.iter().map(|root| Escaped::path(root).to_string()).collect();
    roots.join(", ")
}

/// A store with its display name. The store keeps its embedded engine alive.
pub(crate) struct Target {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) name: String,
}

/// Connects to the requested server, or starts the embedded engine.
pub(crate) async fn target(args: &Args, sample: bool) -> Result<Target, Box<dyn Error>> {
    if let Some(options) = args.server.options()? {
        let name = format!("ClickHouse at {}", Escaped::text(options.host()));
        return Ok(Target { store: Arc::new(ClickHouseStore::new(options)?), name });
    }
    let folder = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => data_folder(sample)?,
    };
    let options = EngineOptions::at(&folder);
    let show = |event: EngineEvent| eprintln!("{}", Escaped::text(&event.to_string()));
    let database = blocking(move || Ok(EmbeddedDatabase::start_with(&options, show)?)).await?;
    let options = database.store_options()?;
    let name = format!("embedded ClickHouse, data in {}", Escaped::path(&folder));
    Ok(Target { store: Arc::new(ClickHouseStore::new(options)?), name })
}
