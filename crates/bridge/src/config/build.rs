//! From the configuration to a bridge.

use std::path::Path;
use std::sync::Arc;

use bridge_analysis::{
    AnalyzerOptions, AssignmentRules, GitFolders, ProjectCatalog, ProjectKey, ProjectNames,
};
use bridge_core::{Assignment, AttributionValue, BridgeError, HostName, Labels, Timestamp};
use bridge_pricing::{Catalog, CustomPrices};
use bridge_storage::{
    AccessToken, ClickHouseOptions, ClickHouseStore, Dimension, PriceStore, ResponseFilter, TokenStore,
};

use super::BridgeConfig;
use super::error::{BuildError, ConfigError};
use super::sections::{ProcessingConfig, ProjectNameMode, ProjectsConfig};
use crate::builder::own_host;
use crate::ingest::projects::update_projects;
use crate::{BridgeBuilder, EnhancedTokenDatabaseBridge};

/// The developer that stands for the operating system's user.
const OWN_USER: &str = "user";
const USER_VARIABLES: [&str; 3] = ["USER", "LOGNAME", "USERNAME"];

impl BridgeConfig {
    /// Builds the bridge of this configuration, connects to its store (or starts its engine), creates its tables, and
    /// puts its [price list](Self::catalog) in use unless `pricing.enabled` is `false`. A user who may not write keeps
    /// the prices that are there. An entry of `pricing` for a model that no response has is logged as a warning.
    ///
    /// # Errors
    ///
    /// Keys that are missing or conflict; a file that cannot be read; a store that cannot be reached or rejects the
    /// user; an engine that cannot be fetched or started.
    pub async fn build(&self) -> Result<EnhancedTokenDatabaseBridge, BuildError> {
        let (store, builder) = self.store_and_builder().await?;
        let bridge = builder.build();
        bridge.token_store().migrate().await?;
        if self.pricing.enabled {
            self.use_prices(&store, bridge.ingest().clock.now()).await?;
        }
        if self.project_catalog().is_some() {
            update_projects(bridge.ingest()).await;
        }
        Ok(bridge)
    }

    /// Returns a builder with all settings of the configuration. The bridge that it builds [watches
    /// itself](BridgeBuilder::watch_itself) at the intervals of `monitoring`. It does not connect to a server yet, so
    /// a user who may only read can have a bridge.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store) and [`builder_with`](Self::builder_with).
    pub async fn builder(&self) -> Result<BridgeBuilder, BuildError> {
        Ok(self.store_and_builder().await?.1)
    }

    async fn store_and_builder(&self) -> Result<(Arc<ClickHouseStore>, BridgeBuilder), BuildError> {
        self.check()?;
        #[cfg(feature = "embedded")]
        if self.embedded.data_dir.is_some() {
            let database = self.embedded_database().await?;
            let store = Arc::new(ClickHouseStore::new(self.with_tables(database.store_options()?)?)?);
            let builder = self.builder_with(store.clone())?;
            return Ok((store, builder.audit(self.audit_options()).close_engine(database)));
        }
        let store = Arc::new(self.store().await?);
        let builder = self.builder_with(store.clone())?.audit(self.audit_options());
        Ok((store, builder))
    }

    /// Returns the store of the configuration, with its [pool](ClickHouseStore::pool), its
    /// [options](ClickHouseStore::options) and its [schema](ClickHouseStore::pending_schema). It is not connected yet;
    /// an embedded engine is started, and runs as long as the store.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    ///
    /// use bridge::config::BridgeConfig;
    ///
    /// let config = BridgeConfig::from_yaml_file("bridge_config.yaml")?;
    /// let store = Arc::new(config.store().await?);
    /// let pending = store.pending_schema().await?;
    /// if !pending.is_empty() {
    ///     return Err(format!("an administrator has to run: {}", pending.statements.join("; ")).into());
    /// }
    /// let bridge = config.builder_with(store.clone())?.build();
    /// println!("{} connections", store.pool().status().size);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Keys that are missing or conflict; a file that cannot be read; an engine that cannot be fetched or started.
    pub async fn store(&self) -> Result<ClickHouseStore, BuildError> {
        self.check()?;
        let options = match self.embedded.data_dir {
            Some(_) => self.embedded_options().await?,
            None => self.store_options()?,
        };
        let uses_ca = self.clickhouse.tls_ca_file.is_some();
        let key = if uses_ca { "clickhouse.tls_ca_file" } else { "clickhouse.url" };
        Ok(ClickHouseStore::new(options).map_err(|error| self.refused(key, error))?)
    }

    /// Returns a builder with all settings of the configuration, on a store of your own. Its audit has a spool only in
    /// the folder of `audit.spool_dir`, which then belongs to this store.
    ///
    /// # Errors
    ///
    /// Keys that conflict; the project key's file cannot be read.
    pub fn builder_with(&self, store: Arc<dyn TokenStore>) -> Result<BridgeBuilder, ConfigError> {
        let builder = EnhancedTokenDatabaseBridge::builder(store)
            .sources(&self.sources.paths)
            .analyzer(self.analyzer_options()?)
            .batch_size(self.processing.batch_size)
            .parallel_limit(self.processing.parallel_limit)
            .activity_pause(self.sources.activity_pause)
            .cache(self.caching)
            .audit(self.audit.clone())
            .monitoring(self.monitoring)
            .budgets(self.budgets.clone())
            .watch_itself();
        let builder = match self.project_catalog() {
            Some(catalog) => builder.projects(catalog),
            None => builder,
        };
        let builder = match self.projects.git_worktrees {
            true => builder.git_folders(GitFolders::of_this_host()),
            false => builder,
        };
        Ok(if self.processing.validation { builder } else { builder.without_validation() })
    }

    /// Returns the options of the analyzer. The number of threads is limited so that each has room for the longest
    /// line in `max_memory_mb`.
    ///
    /// # Errors
    ///
    /// Keys that conflict; the project key's file cannot be read.
    pub fn analyzer_options(&self) -> Result<AnalyzerOptions, ConfigError> {
        self.check()?;
        let ProcessingConfig { analyzer, memory_bytes_max, .. } = &self.processing;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if analyzer.threads == 0 { cores() } else { analyzer.threads };
        let mut options = analyzer.clone();
        options.host = self.host();
        options.project_names = self.project_names()?;
        options.assignments = self.assignment_rules(|name| std::env::var(name).ok())?;
        options.threads = threads.min(memory_bytes_max / analyzer.line_bytes_max.max(1)).max(1);
        Ok(options)
    }

    /// Returns whom and what stored responses are assigned to. `variable` is the environment, in which `USER`,
    /// `LOGNAME` or `USERNAME` names the operating system's user, for `developer: user`.
    ///
    /// # Errors
    ///
    /// More than 16 labels; the environment names no user.
    pub fn assignment_rules(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<AssignmentRules, ConfigError> {
        let config = &self.sources;
        let user =
            || USER_VARIABLES.into_iter().find_map(|name| variable(name).filter(|user| !user.is_empty()));
        let developer = match config.developer.as_deref() {
            Some(OWN_USER) => {
                let unknown = || format!("the environment names no user in {}", USER_VARIABLES.join(", "));
                let user = user().ok_or_else(unknown);
                Some(user.map_err(|why| ConfigError::new(vec![self.problem("sources.developer", why)]))?)
            }
            named => named.map(str::to_owned),
        };
        let name = |key: &'static str, text: &Option<String>| match text {
            Some(text) => AttributionValue::new(text).map(Some).map_err(|error| self.invalid(key, &error)),
            None => Ok(None),
        };
        let defaults = Assignment {
            developer: name("sources.developer", &developer)?,
            team: name("sources.team", &config.team)?,
            labels: Labels::new(&config.labels).map_err(|error| self.invalid("sources.labels", &error))?,
        };
        Ok(AssignmentRules::new(defaults, config.assignments.iter().cloned()))
    }

    /// Returns the catalog of projects, if one is given: an empty one, too, takes back what another one said.
    fn project_catalog(&self) -> Option<ProjectCatalog> {
        let ProjectsConfig { names, groups, .. } = &self.projects;
        let is_given = ["projects.names", "projects.groups"].iter().any(|key| self.given.contains_key(key));
        let rules = ProjectCatalog::new(names.iter().cloned(), groups.iter().cloned());
        (is_given || rules != ProjectCatalog::default()).then_some(rules)
    }

    fn host(&self) -> Option<HostName> {
        match &self.sources.host_name {
            Some(name) => HostName::new(name).ok(),
            None => Some(own_host()),
        }
    }

    fn project_names(&self) -> Result<ProjectNames, ConfigError> {
        match self.sources.project_names {
            ProjectNameMode::Full => Ok(ProjectNames::Full),
            ProjectNameMode::LastComponent => Ok(ProjectNames::LastComponent),
            ProjectNameMode::None => Ok(ProjectNames::Omitted),
            ProjectNameMode::KeyedHash => self.project_key().map(ProjectNames::KeyedHash),
        }
    }

    fn project_key(&self) -> Result<ProjectKey, ConfigError> {
        let (name, text) = match (&self.sources.project_key, &self.sources.project_key_file) {
            (Some(key), _) => ("sources.project_key", key.expose().to_owned()),
            (None, Some(file)) => ("sources.project_key_file", self.read("sources.project_key_file", file)?),
            (None, None) => ("sources.project_names", String::new()),
        };
        ProjectKey::from_hex(text.trim_end()).map_err(|error| self.invalid(name, &error))
    }

    fn invalid(&self, key: &str, why: &dyn std::error::Error) -> ConfigError {
        ConfigError::new(vec![self.problem(key, why.to_string())])
    }

    /// Returns the problem of a key whose value an option of the store refuses.
    fn refused(&self, key: &str, error: BridgeError) -> ConfigError {
        match std::error::Error::source(&error) {
            Some(why) => self.invalid(key, why),
            None => self.invalid(key, &error),
        }
    }

    fn read(&self, key: &str, file: &Path) -> Result<String, ConfigError> {
        std::fs::read_to_string(file).map_err(|source| {
            let problem = self.problem(key, String::new());
            ConfigError::unreadable(problem.origin, &format!("{} ({})", problem.key, file.display()), source)
        })
    }

    /// Returns the options of the store on a server: [`ClickHouseOptions::schema`] has its tables and its roles as SQL.
    ///
    /// # Errors
    ///
    /// Keys that are missing or do not go together, and those of an embedded engine, whose address is known when it has
    /// [started](Self::store); a file that cannot be read.
    pub fn store_options(&self) -> Result<ClickHouseOptions, BuildError> {
        self.check()?;
        let config = &self.clickhouse;
        let Some(url) = &config.url else {
            let needed = "is missing; set it, or embedded.data_dir for the embedded engine";
            return Err(ConfigError::new(vec![self.problem("clickhouse.url", needed.to_owned())]).into());
        };
        let password = config.password.as_ref().map_or("", |password| password.expose());
        let refused = |key| move |error| self.refused(key, error);
        let options = ClickHouseOptions::from_url(url).map_err(refused("clickhouse.url"))?;
        let mut options = options.with_user(&config.user, password);
        if let Some(file) = &config.password_file {
            options = options.with_password_file(file).map_err(refused("clickhouse.password_file"))?;
        }
        if let Some(token) = &config.access_token {
            let token = AccessToken::new(token.expose());
            let token = token.map_err(|error| self.invalid("clickhouse.access_token", &error))?;
            options = options.with_access_token(token);
        }
        if let Some(file) = &config.access_token_file {
            options =
                options.with_access_token_file(file).map_err(refused("clickhouse.access_token_file"))?;
        }
        for (name, value) in &config.headers {
            options = options.with_header(name, value.expose()).map_err(refused("clickhouse.headers"))?;
        }
        if let Some(file) = &config.tls_ca_file {
            options = options.with_ca_file(file);
        }
        if let Some(cluster) = &config.cluster {
            options = options.with_cluster(cluster).map_err(refused("clickhouse.cluster"))?;
        }
        self.with_tables(options)
    }

    /// Adds the options that a server and the embedded engine share.
    fn with_tables(&self, options: ClickHouseOptions) -> Result<ClickHouseOptions, BuildError> {
        let config = &self.clickhouse;
        let mut limits = config.limits;
        limits.acquire_timeout = limits.connect_timeout;
        let options = options
            .with_database(&config.database)
            .with_table_prefix(&config.table_prefix)
            .map_err(|error| self.refused("clickhouse.table_prefix", error))?
            .with_limits(limits);
        let settings = &mut config.settings.iter();
        let options = settings
            .try_fold(options, |options, (name, value)| options.with_setting(name, value))
            .map_err(|error| self.refused("clickhouse.settings", error))?;
        let options = match config.retention {
            Some(retention) => options.with_retention(retention),
            None => options,
        };
        Ok(match config.audit_retention {
            Some(retention) => options.with_audit_retention(retention),
            None => options,
        })
    }

    #[cfg(not(feature = "embedded"))]
    async fn embedded_options(&self) -> Result<ClickHouseOptions, BuildError> {
        let missing = "needs the feature `embedded` of the crate `bridge`";
        Err(ConfigError::new(vec![self.problem("embedded.data_dir", missing.to_owned())]).into())
    }

    #[cfg(feature = "embedded")]
    async fn embedded_options(&self) -> Result<ClickHouseOptions, BuildError> {
        self.with_tables(self.embedded_database().await?.store_options()?)
    }

    #[cfg(feature = "embedded")]
    async fn embedded_database(&self) -> Result<crate::EmbeddedDatabase, BuildError> {
        use bridge_embedded::EngineOptions;

        use crate::EmbeddedDatabase;

        let folder = self.embedded.data_dir.clone().unwrap_or_default();
        let mut options = EngineOptions::at(folder)
            .memory_bytes_max(self.embedded.memory_bytes_max)
            .table_definitions(bridge_storage::table_definition);
        if let Some(folder) = &self.embedded.cache_dir {
            options = options.cache_dir(folder);
        }
        // The first fetch takes a minute, so its progress is printed if no subscriber logs it.
        let options = options.show_fetch(!tracing::enabled!(tracing::Level::INFO));
        let starting = tokio::task::spawn_blocking(move || {
            EmbeddedDatabase::start_with(&options, |event| tracing::info!(%event, "embedded engine"))
        });
        match starting.await {
            Ok(database) => Ok(database?),
            Err(died) => std::panic::resume_unwind(died.into_panic()),
        }
    }
}

impl BridgeConfig {
    /// Puts the price list in use. That it cannot be stored is no reason not to start: tokens are counted without it.
    async fn use_prices(&self, store: &ClickHouseStore, now: Timestamp) -> Result<(), ConfigError> {
        let catalog = self.catalog()?;
        let rows: Vec<_> = catalog.rows().collect();
        if let Err(error) = store.use_prices(&catalog.digest().to_string(), &rows, now).await {
            tracing::warn!(%error, kind = error.kind(), "cannot store the price list; costs use the list in the database");
        }
        let custom = self.pricing.custom();
        if custom == CustomPrices::default() {
            return Ok(());
        }
        for problem in custom.lacking(Catalog::shipped()) {
            tracing::warn!(%problem, "a price entry leaves responses without a price");
        }
        match store.breakdown(Dimension::Model, &ResponseFilter::default(), None).await {
            Ok(models) => {
                let models = models.iter().map(|row| &*row.name).collect();
                for problem in custom.unused(&catalog, &models) {
                    tracing::warn!(%problem, "a price entry has no effect: no response uses its model");
                }
            }
            Err(error) => {
                tracing::warn!(%error, kind = error.kind(), "cannot check for unused price entries")
            }
        }
        Ok(())
    }
}
