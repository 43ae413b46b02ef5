//! The store or the transcripts that a report is of.

use std::borrow::Cow;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::analysis::SourceRoots;
use bridge::config::BridgeConfig;
use bridge::embedded::{EngineEvent, EngineOptions};
use bridge::pricing::Catalog;
use bridge::storage::{ClickHouseStore, InMemoryStore, TokenStore};
use bridge::{BackfillOptions, BridgeBuilder, EmbeddedDatabase, EnhancedTokenDatabaseBridge, Escaped};
use bridge_examples::interruption::blocking;
use bridge_examples::number::counted;
use bridge_examples::places::data_folder;

use crate::args::ReportSource;

/// A bridge to what is reported on.
pub(crate) struct Opened {
    pub(crate) bridge: EnhancedTokenDatabaseBridge,
    /// For the head of the report.
    pub(crate) name: String,
    /// The folders and files of transcripts, if they are read directly.
    pub(crate) roots: Vec<PathBuf>,
    /// The prices of transcripts that are read directly. A store has its own.
    pub(crate) catalog: Cow<'static, Catalog>,
    /// True if some of the transcripts could not be read to their end.
    pub(crate) is_incomplete: bool,
}

impl Opened {
    fn of_store(bridge: EnhancedTokenDatabaseBridge, name: String) -> Self {
        let catalog = Cow::Borrowed(Catalog::shipped());
        Self { bridge, name, roots: Vec::new(), catalog, is_incomplete: false }
    }

    /// Opens the source. Transcripts are analyzed into a store in memory.
    pub(crate) async fn new(from: &ReportSource) -> Result<Self, Box<dyn Error>> {
        let config = from.config.as_ref().map(|file| -> Result<_, Box<dyn Error>> {
            Ok(BridgeConfig::from_yaml_file(file)?.with_process_env()?)
        });
        let config = config.transpose()?;
        if !from.source.is_empty() {
            return transcripts(&from.source, config.as_ref()).await;
        }
        if let Some(config) = config {
            return Ok(Self::of_store(config.build().await?, "the configured store".to_owned()));
        }
        if let Some(options) = from.server.options()? {
            let name = format!("ClickHouse at {}", options.host());
            return Ok(Self::of_store(bridge_to(ClickHouseStore::new(options)?), name));
        }
        if let Some(folder) = &from.data_dir {
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
    let bridge = bridge_to(store);
    use_shipped_prices_if_none(&bridge).await?;
    let name = format!("embedded ClickHouse, data in {}", Escaped::path(folder));
    Ok(Opened::of_store(bridge, name))
}

/// Puts the shipped prices in use where none are. A service that shares the store may have put its own in use.
async fn use_shipped_prices_if_none(bridge: &EnhancedTokenDatabaseBridge) -> Result<(), Box<dyn Error>> {
    let Some(prices) = bridge.token_store().prices() else { return Ok(()) };
    if prices.prices_in_use().await?.is_none() {
        bridge.dashboard().use_prices(Catalog::shipped()).await?;
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
    let builder = match config {
        Some(config) => config.builder_with(store)?,
        None => EnhancedTokenDatabaseBridge::builder(store),
    };
    let roots: Vec<_> = SourceRoots::named(roots, |name| std::env::var_os(name)).folders().to_vec();
    let bridge = BridgeBuilder::sources(builder, &roots).build();
    let catalog = match config {
        Some(config) => Cow::Owned(config.catalog()?),
        None => Cow::Borrowed(Catalog::shipped()),
    };
    if config.is_none_or(|config| config.pricing.enabled) {
        bridge.dashboard().use_prices(&catalog).await?;
    }
    let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    for error in &result.errors {
        eprintln!("error: {}", Escaped::text(error));
    }
    let folders: Vec<_> = roots.iter().map(|root| Escaped::path(root).to_string()).collect();
    let files = counted(result.analysis.files, "transcript", "transcripts");
    let name = format!("{files} in {}", folders.join(", "));
    Ok(Opened { bridge, name, roots, catalog, is_incomplete: !result.success })
}

#[cfg(test)]
mod tests {
    use bridge::{DashboardQuery, TimeRange, UsageSums};
    use tempfile::TempDir;

    use super::*;

    /// Returns a folder with a transcript of one response, which costs $25 at list prices.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let line = serde_json::json!({
            "type": "assistant", "sessionId": "s", "timestamp": "2026-01-31T12:00:00Z", "requestId": "req_1",
            "message": {"id": "msg_01ABCDEFGHIJKLMNOPQRSTUV", "model": "claude-opus-4-5", "stop_reason": "end_turn",
                "usage": {"input_tokens": 0, "output_tokens": 1_000_000}},
        });
        std::fs::write(folder.path().join("s.jsonl"), format!("{line}\n")).unwrap();
        folder
    }

    fn opened(folder: &TempDir, config: Option<&str>) -> (Opened, UsageSums) {
        let config = config.map(|pricing| format!("enhanced_token_bridge:\n  pricing:\n    {pricing}\n"));
        let config = config.map(|text| BridgeConfig::from_yaml_str(&text).unwrap());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let opened = transcripts(&[folder.path().to_owned()], config.as_ref()).await.unwrap();
            let query = DashboardQuery::new(TimeRange::ALL).with_cost();
            let metrics = opened.bridge.dashboard().get_dashboard_token_metrics(query).await.unwrap();
            (opened, metrics.totals)
        })
    }

    /// Returns the digest of the prices in use after a report, in a store with these prices before.
    fn prices_after(before: Option<&Catalog>) -> Option<String> {
        let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            if let Some(catalog) = before {
                bridge.dashboard().use_prices(catalog).await.unwrap();
            }
            use_shipped_prices_if_none(&bridge).await.unwrap();
            bridge.token_store().prices().unwrap().prices_in_use().await.unwrap()
        })
    }

    #[test]
    fn a_store_keeps_the_prices_that_it_has() {
        assert_eq!(prices_after(None), Some(Catalog::shipped().digest().to_string()));
        let own = Catalog::new(Catalog::shipped().entries()[..1].to_vec()).unwrap();
        assert_eq!(prices_after(Some(&own)), Some(own.digest().to_string()));
    }

    #[test]
    fn transcripts_cost_what_the_configuration_says() {
        let folder = folder();
        let amount = |config| opened(&folder, config).1.cost.map(|cost| cost.amount.exact());
        assert_eq!(amount(None).as_deref(), Some("25"));
        assert_eq!(amount(Some("discounts: [{provider: anthropic, percent: 20}]")).as_deref(), Some("20"));
        assert_eq!(amount(Some("enabled: false")), None);
    }

    #[test]
    fn a_transcript_that_cannot_be_read_makes_the_report_incomplete() {
        let folder = folder();
        assert!(!opened(&folder, None).0.is_incomplete);
        let broken = folder.path().join("broken.jsonl");
        std::os::unix::fs::symlink(&broken, &broken).unwrap();
        assert!(opened(&folder, None).0.is_incomplete);
    }
}
