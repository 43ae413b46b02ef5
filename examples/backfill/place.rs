//! Where the transcripts come from and where the counts go.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::analysis::usual_roots;
use bridge::embedded::{Engine, EngineError, EngineOptions};
use bridge::storage::{ClickHouseOptions, ClickHouseStore, TokenStore, table_definition};

use crate::args::Args;

/// The transcripts to read.
pub(crate) struct Sources {
    pub(crate) roots: Vec<PathBuf>,
    /// Whether they are the history that comes with the project.
    pub(crate) sample: bool,
}

/// The folders asked for, else the usual ones, else the sample.
pub(crate) fn sources(args: &Args) -> Sources {
    if !args.source.is_empty() {
        return Sources { roots: args.source.clone(), sample: false };
    }
    let roots = usual_roots(|name| std::env::var(name).ok());
    if !roots.is_empty() {
        return Sources { roots, sample: false };
    }
    eprintln!("No transcripts in the usual places; taking the sample history that comes with the project.");
    Sources { roots: vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/sample"))], sample: true }
}

/// The folders in one line.
pub(crate) fn listed(roots: &[PathBuf]) -> String {
    let roots: Vec<_> = roots.iter().map(|root| root.display().to_string()).collect();
    roots.join(", ")
}

/// A store, and the engine that must live as long as it is used.
pub(crate) struct Target {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) name: String,
    _engine: Option<Engine>,
}

/// The server asked for, else the embedded engine.
pub(crate) fn target(args: &Args, sample: bool) -> Result<Target, Box<dyn Error>> {
    if let Some(url) = &args.url {
        let options = ClickHouseOptions::from_url(url)?;
        let name = format!("ClickHouse at {}", options.host());
        return Ok(Target { store: Arc::new(ClickHouseStore::new(options)?), name, _engine: None });
    }
    let folder = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => data_folder(sample)?,
    };
    let engine = start(&folder)?;
    let endpoint = engine.endpoint();
    let options = ClickHouseOptions::from_url(&endpoint.url)?
        .with_database(&endpoint.database)
        .with_user(&endpoint.writer.user, &endpoint.writer.password);
    let name = format!("embedded ClickHouse, data in {}", folder.display());
    Ok(Target { store: Arc::new(ClickHouseStore::new(options)?), name, _engine: Some(engine) })
}

fn start(folder: &Path) -> Result<Engine, EngineError> {
    let options = EngineOptions::at(folder).table_definitions(table_definition);
    Engine::start_with(&options, |event| eprintln!("{event}"))
}

/// The user's data folder. The sample has one of its own: it must not mix with real counts.
fn data_folder(sample: bool) -> Result<PathBuf, Box<dyn Error>> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    let home = home.ok_or("neither XDG_DATA_HOME nor HOME is set; give --data-dir")?;
    Ok(home.join("enhanced-token-bridge").join(if sample { "sample" } else { "data" }))
}
