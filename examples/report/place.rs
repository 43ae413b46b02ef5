//! The store or the transcripts that a report is of.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::analysis::SourceRoots;
use bridge::config::BridgeConfig;
use bridge::embedded::{EngineEvent, EngineOptions};
use bridge::pricing::Catalog;
use bridge::storage::{ClickHouseStore, InMemoryStore, TokenStore};
use bridge::{
    BackfillOptions, BridgeBuilder, Clock, EmbeddedDatabase, EnhancedTokenDatabaseBridge, Escaped,
    SystemClock,
};
use bridge_examples::interruption::blocking;
use bridge_examples::places::data_folder;

use crate::args::Place;

/// A bridge to what is reported on.
pub(crate) struct Opened {
    pub(crate) bridge: EnhancedTokenDatabaseBridge,
    /// For the head of the report.
    pub(crate) name: String,
    /// The folders and files of transcripts, if they are read directly.
    pub(crate) roots: Vec<PathBuf>,
}

impl Opened {
    fn of_store(bridge: EnhancedTokenDatabaseBridge, name: String) -> Self {
        Self { bridge, name, roots: Vec::new() }
    }

    /// Opens the place. Transcripts are analyzed into a store in memory.
    pub(crate) async fn new(place: &Place) -> Result<Self, Box<dyn Error>> {
        let config = place.config.as_ref().map(|file| -> Result<_, Box<dyn Error>> {
            Ok(BridgeConfig::from_yaml_file(file)?.with_process_env()?)
        });
        let config = config.transpose()?;
        if !place.source.is_empty() {
            return transcripts(&place.source, config.as_ref()).await;
        }
        if let Some(config) = config {
            return Ok(Self::of_store(config.build().await?, "the configured store".to_owned()));
        }
        if let Some(options) = place.server.options()? {
            let name = format!("ClickHouse at {}", options.host());
            return Ok(Self::of_store(bridge_to(ClickHouseStore::new(options)?), name));
        }
        if let Some(folder) = &place.data_dir {
            return embedded(folder).await;
        }
        match data_folder(false).ok().filter(|folder| folder.is_dir()) {
            Some(folder) => embedded(&folder).await,
            None => usual_transcripts().await,
        }
    }
}

fn bridge_to(store: ClickHouseStore) -> EnhancedTokenDatabaseBridge {
    EnhancedTokenDatabaseBridge::builder(Arc::new(store)).build()
}

async fn embedded(folder: &Path) -> Result<Opened, Box<dyn Error>> {
    let options = EngineOptions::at(folder);
    let show = |event: EngineEvent| eprintln!("{}", Escaped::text(&event.to_string()));
    let database = blocking(move || Ok(EmbeddedDatabase::start_with(&options, show)?)).await?;
    let store = ClickHouseStore::new(database.store_options()?)?;
    store.migrate().await?;
    use_shipped_prices(&store).await?;
    let name = format!("embedded ClickHouse, data in {}", Escaped::path(folder));
    Ok(Opened::of_store(bridge_to(store), name))
}

/// Puts the shipped prices in use, as a configured bridge does by itself.
async fn use_shipped_prices(store: &dyn TokenStore) -> Result<(), Box<dyn Error>> {
    let catalog = Catalog::shipped();
    let rows: Vec<_> = catalog.rows().collect();
    if let Some(prices) = store.prices() {
        prices.use_prices(&catalog.digest().to_string(), &rows, SystemClock.now()).await?;
    }
    Ok(())
}

async fn usual_transcripts() -> Result<Opened, Box<dyn Error>> {
    let roots = SourceRoots::usual(|name| std::env::var_os(name));
    if roots.folders().is_empty() {
        return Err(
            "no transcripts found in the default folders; name their folder with --source, or a store".into(),
        );
    }
    transcripts(roots.folders(), None).await
}

async fn transcripts(roots: &[PathBuf], config: Option<&BridgeConfig>) -> Result<Opened, Box<dyn Error>> {
    let store: Arc<dyn TokenStore> = Arc::new(InMemoryStore::default());
    use_shipped_prices(&*store).await?;
    let builder = |store| match config {
        Some(config) => config.builder_with(store),
        None => Ok(EnhancedTokenDatabaseBridge::builder(store)),
    };
    let roots: Vec<_> = SourceRoots::named(roots, |name| std::env::var_os(name)).folders().to_vec();
    let bridge = BridgeBuilder::sources(builder(store)?, &roots).build();
    let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    for error in &result.errors {
        eprintln!("error: {}", Escaped::text(error));
    }
    let folders: Vec<_> = roots.iter().map(|root| Escaped::path(root).to_string()).collect();
    let files = bridge_examples::number::number(result.analysis.files);
    let name = format!("{files} transcripts in {}", folders.join(", "));
    Ok(Opened { bridge, name, roots })
}
