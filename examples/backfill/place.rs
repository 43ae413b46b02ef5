//! Where the transcripts come from and where the counts go.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use bridge::analysis::SourceRoots;
use bridge::embedded::{EngineEvent, EngineOptions};
use bridge::storage::{ClickHouseStore, TokenStore};
use bridge::{EmbeddedDatabase, Escaped};

use crate::args::Args;
use bridge_examples::interruption::blocking;

/// The transcripts to read.
pub(crate) struct Sources {
    pub(crate) roots: Vec<PathBuf>,
    /// Whether they are the history that comes with the project.
    pub(crate) sample: bool,
}

/// Returns the folders asked for, else the usual ones. The sample is for those who have nothing yet and named nothing:
/// where a database was named or transcripts are expected somewhere, it would only spoil the figures.
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
        return Err("there are no transcripts in the usual places; name their folder with --source".into());
    }
    eprintln!("No transcripts in the usual places; taking the sample history that comes with the project.");
    Ok(Sources { roots: vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/sample"))], sample: true })
}

/// Returns the folders in one line.
pub(crate) fn listed(roots: &[PathBuf]) -> String {
    let roots: Vec<_> = roots.iter().map(|root| Escaped::path(root).to_string()).collect();
    roots.join(", ")
}

/// A store, which keeps the engine that it needs.
pub(crate) struct Target {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) name: String,
}

/// Returns the server asked for, else the embedded engine.
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

/// The user's data folder. The sample has one of its own: it must not mix with real counts.
fn data_folder(sample: bool) -> Result<PathBuf, Box<dyn Error>> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    let home = home.ok_or("neither XDG_DATA_HOME nor HOME is set; give --data-dir")?;
    Ok(home.join("enhanced-token-bridge").join(if sample { "sample" } else { "data" }))
}
