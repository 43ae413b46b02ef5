//! The database connection for everything that is shown: by a user who may only read.

use std::sync::Arc;

use bridge::config::BridgeConfig;
use bridge::embedded::EngineOptions;
use bridge::storage::{ClickHouseStore, Locate, LocateFuture, Location};
use bridge::{AuditOptions, AuditedOperations, EmbeddedDatabase, EnhancedTokenDatabaseBridge};

use crate::settings::Reader;
use crate::start::Failure;

/// Returns a bridge of the reader, if there is one: that of the settings, or of the embedded engine.
///
/// # Errors
///
/// The settings of the database; the engine cannot be joined.
pub async fn reading_bridge(
    config: &BridgeConfig,
    reader: Option<&Reader>,
) -> Result<Option<EnhancedTokenDatabaseBridge>, Failure> {
    if let Some(folder) = config.embedded.data_dir.clone() {
        let mut options = EngineOptions::at(folder);
        if let Some(cache) = &config.embedded.cache_dir {
            options = options.cache_dir(cache);
        }
        let joining = move || EmbeddedDatabase::start_with(&options, |_| {});
        let database = tokio::task::spawn_blocking(joining).await.map_err(Failure::running)?;
        let database = database.map_err(Failure::running)?;
        let name = database.engine().endpoint().database.clone();
        let options = bridge::storage::ClickHouseOptions::located(Arc::new(AsReader(database)))
            .map_err(Failure::running)?
            .with_database(&name)
            .with_table_prefix(&config.clickhouse.table_prefix)
            .map_err(Failure::running)?;
        let store = ClickHouseStore::new(options).map_err(Failure::running)?;
        return bridge_of(config, store).map(Some);
    }
    let Some(reader) = reader else { return Ok(None) };
    let mut config = config.clone();
    config.clickhouse.user.clone_from(&reader.user);
    config.clickhouse.password = None;
    config.clickhouse.password_file.clone_from(&reader.password_file);
    let store = config.store().await.map_err(Failure::settings)?;
    bridge_of(&config, store).map(Some)
}

/// Returns a bridge that records nothing, because its user could not, and does not check its own health.
fn bridge_of(config: &BridgeConfig, store: ClickHouseStore) -> Result<EnhancedTokenDatabaseBridge, Failure> {
    let audit = AuditOptions::default().with_operations(AuditedOperations::Nothing);
    let builder = EnhancedTokenDatabaseBridge::builder(Arc::new(store))
        .sources(&config.sources.paths)
        .analyzer(config.analyzer_options().map_err(Failure::settings)?)
        .activity_pause(config.sources.activity_pause)
        .cache(config.caching)
        .monitoring(config.monitoring)
        .budgets(config.budgets.clone())
        .audit(audit);
    Ok(builder.build())
}

/// The embedded engine, as its user who may only read.
#[derive(Debug)]
struct AsReader(EmbeddedDatabase);

impl AsReader {
    fn with_reader(&self, location: &Location) -> Arc<Location> {
        let reader = self.0.engine().endpoint().reader.clone();
        Arc::new(Location { user: reader.user, password: reader.password, ..location.clone() })
    }
}

impl Locate for AsReader {
    fn current(&self) -> Arc<Location> {
        self.with_reader(&self.0.current())
    }

    fn locate(&self) -> LocateFuture<'_> {
        self.0.locate()
    }
}
