//! The database connection for everything that is shown: by a user who may only read.

use std::sync::Arc;

use bridge::config::BridgeConfig;
use bridge::embedded::EngineOptions;
use bridge::storage::{ClickHouseOptions, ClickHouseStore, HookFuture, Locate, Location, PriceStore as _};
use bridge::{
    AuditOptions, AuditedOperations, BridgeBuilder, BridgeError, EmbeddedDatabase,
    EnhancedTokenDatabaseBridge,
};

use crate::failure::Failure;
use crate::settings::Reader;

/// Returns the connection of the settings' reader to a server.
///
/// # Errors
///
/// An embedded engine in place of a server; a file of the reader that cannot be read.
pub fn server_options(config: &BridgeConfig, reader: &Reader) -> Result<ClickHouseOptions, Failure> {
    if config.embedded.data_dir.is_some() {
        return Err(Failure::settings(
            "[reader] applies to a server only; the embedded engine has its own read-only user",
        ));
    }
    // Each of these replaces all credentials of the writer.
    let options = config.store_options().map_err(Failure::settings)?;
    if let Some(file) = &reader.access_token_file {
        return options.with_access_token_file(file).map_err(unreadable("reader.access_token_file"));
    }
    let options = options.with_user(reader.user.as_deref().unwrap_or(ClickHouseOptions::USER), "");
    match &reader.password_file {
        Some(file) => options.with_password_file(file).map_err(unreadable("reader.password_file")),
        None => Ok(options),
    }
}

fn unreadable(key: &str) -> impl Fn(BridgeError) -> Failure {
    move |error| Failure::settings(error).about(key)
}

/// Returns a bridge of the reader, if there is one: that of the settings, or of the embedded engine.
///
/// # Errors
///
/// The settings of the database; the engine cannot be joined, or the server's user cannot read.
pub async fn reading_bridge(
    config: &BridgeConfig,
    reader: Option<ClickHouseOptions>,
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
        let options = ClickHouseOptions::located(Arc::new(AsReader(database.clone())))
            .map_err(Failure::running)?
            .with_database(&name)
            .with_table_prefix(&config.clickhouse.table_prefix)
            .map_err(Failure::running)?;
        let store = ClickHouseStore::new(options).map_err(Failure::running)?;
        return Ok(Some(bridge_of(config, store)?.close_engine(database).build()));
    }
    let Some(options) = reader else {
        tracing::warn!(
            "the page queries the database with the writing user; set [reader] to a read-only one"
        );
        return Ok(None);
    };
    let store = ClickHouseStore::new(options).map_err(Failure::running)?;
    // Now, and not with the first page: the user may be unknown, or lack the role.
    let read = store.prices_in_use().await;
    read.map_err(|error| Failure::running(error).about("[reader] cannot read the database"))?;
    Ok(Some(bridge_of(config, store)?.build()))
}

/// Returns a bridge that records nothing, because its user could not. Health, budgets and sources are those of the bridge
/// that writes.
fn bridge_of(config: &BridgeConfig, store: ClickHouseStore) -> Result<BridgeBuilder, Failure> {
    let audit = AuditOptions::default().with_operations(AuditedOperations::Nothing);
    Ok(EnhancedTokenDatabaseBridge::builder(Arc::new(store))
        .analyzer(config.analyzer_options().map_err(Failure::settings)?)
        .activity_pause(config.sources.activity_pause)
        .cache(config.caching)
        .audit(audit))
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

    fn locate(&self) -> HookFuture<'_> {
        self.0.locate()
    }
}
