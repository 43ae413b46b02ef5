//! Builds bridges.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bridge_analysis::platform::managed_settings;
use bridge_analysis::{AnalyzerOptions, AssignmentRules, GitFolders, ProjectCatalog, SeenProjects};
use bridge_cache::{BridgeCache, CacheOptions};
use bridge_core::{
    ActivityFacts, AnalysisValidator, Clock, CorrelationId, HostName, SharedAssignment, SystemClock,
    ValidatorOptions,
};
use bridge_storage::TokenStore;
use tokio_util::sync::CancellationToken;

use crate::budgets::Budgets;
use crate::dashboard::DashboardBridgeAdapter;
use crate::handle::{EnhancedTokenDatabaseBridge, Parts};
use crate::ingest::Ingest;
use crate::ingest::projects::ProjectRules;
use crate::ingest::stream::StreamTurns;
use crate::invalidating_store::Invalidating;
use crate::layered_store::Layered;
use crate::operations::background::Background;
use crate::operations::fallback::Fallback;
use crate::operations::health::HealthChecks;
use crate::operations::lifetime::Lifetime;
use crate::operations::monitor::{Monitoring, MonitoringOptions};
use crate::operations::shutdown::StoreEngine;
use crate::operations::single_flight::SingleFlight;
use crate::telemetry::Heartbeat;
use crate::telemetry::Telemetry;
use crate::telemetry::audit::{AuditOptions, AuditTrail};
use crate::telemetry::correlation::CorrelationIds;
use crate::telemetry::error_rate::ErrorRate;
use crate::telemetry::metrics::Instruments;
use crate::telemetry::observed_store::{Kept, Observed};
use crate::telemetry::panics::Panics;
use crate::telemetry::run::OperationRunner;

/// Defaults of operations, those of the specification.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Number of rows of one insert of a batch of analyses.
    pub(crate) batch_size: usize,
    /// Number of batches stored or files read at once.
    pub(crate) parallel: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch_size: 1000, parallel: 5 }
    }
}

/// Returns the name of this machine. Its transcripts are recorded under it, because two machines may have the same
/// paths.
pub(crate) fn own_host() -> HostName {
    let name = HostName::new(gethostname::gethostname().to_string_lossy());
    name.unwrap_or_else(|_| HostName::new("unknown").expect("a constant is a name"))
}

impl EnhancedTokenDatabaseBridge {
    /// Returns a builder of a bridge to this store. Await [`migrate`](TokenStore::migrate) of the store before:
    /// building neither connects nor creates tables. [`watch_itself`](BridgeBuilder::watch_itself) and a
    /// [spool](crate::AuditOptions::with_spool_dir) for the audit, which a configuration brings, are off by default.
    pub fn builder(store: Arc<dyn TokenStore>) -> BridgeBuilder {
        BridgeBuilder {
            store,
            sources: Vec::new(),
            managed_settings: managed_settings(),
            analyzer: AnalyzerOptions::default(),
            projects: ProjectRules::default(),
            activity_pause: ActivityFacts::PAUSE,
            validation: true,
            validator: ValidatorOptions::default(),
            cache: CacheOptions::default(),
            shared_cache: None,
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            monitoring: MonitoringOptions::default(),
            budgets: Budgets::default(),
            watches_itself: false,
            audit: AuditOptions::default(),
            correlation_ids: CorrelationIds::default(),
            kept: None,
            engine: None,
            cancellation: CancellationToken::new(),
            store_deadline: STORE_DEADLINE,
            live_deadline: LIVE_DEADLINE,
        }
    }
}

/// Builds an [`EnhancedTokenDatabaseBridge`].
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use bridge::storage::InMemoryStore;
/// use bridge::{
///     AnalyzerOptions, AuditOptions, CacheOptions, EnhancedTokenDatabaseBridge, ManualClock, MonitoringOptions,
///     Timestamp, ValidatorOptions,
/// };
///
/// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
///     .sources(["transcripts"])
///     .analyzer(AnalyzerOptions::default())
///     .validator_options(ValidatorOptions::default())
///     .cache(CacheOptions::default().with_ttl(Duration::from_secs(10)))
///     .batch_size(500)
///     .parallel_limit(2)
///     .monitoring(MonitoringOptions::default())
///     .watch_itself()
///     .audit(AuditOptions::default())
///     // For tests: time stands still.
///     .clock(Arc::new(ManualClock::new(Timestamp::MIN)))
///     .store_deadline(Duration::from_secs(2))
///     .live_deadline(Duration::from_mins(1))
///     // Dropped after the last handle of the bridge.
///     .keep("a temporary folder, for example")
///     .build();
/// assert_eq!(bridge.stats().audit.buffered, 0);
///
/// // Each read asks the store, and every analysis is stored as it is.
/// let store = Arc::clone(bridge.token_store());
/// let plain = EnhancedTokenDatabaseBridge::builder(store).without_cache().without_validation().build();
/// # drop(plain);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct BridgeBuilder {
    store: Arc<dyn TokenStore>,
    sources: Vec<PathBuf>,
    managed_settings: PathBuf,
    analyzer: AnalyzerOptions,
    projects: ProjectRules,
    activity_pause: Duration,
    validation: bool,
    validator: ValidatorOptions,
    cache: CacheOptions,
    shared_cache: Option<Arc<BridgeCache>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    monitoring: MonitoringOptions,
    budgets: Budgets,
    watches_itself: bool,
    audit: AuditOptions,
    correlation_ids: CorrelationIds,
    kept: Option<Kept>,
    engine: Option<StoreEngine>,
    cancellation: CancellationToken,
    store_deadline: Duration,
    live_deadline: Duration,
}

/// Default deadline of the store if another answer is possible.
const STORE_DEADLINE: Duration = Duration::from_secs(5);

/// Default deadline of the live analysis that replaces the store. A network folder may hang forever.
const LIVE_DEADLINE: Duration = Duration::from_mins(5);

impl BridgeBuilder {
    /// Sets the folders (or single files) with the transcripts; a leading `~/` is the home folder. Without any, the
    /// client's usual places are searched. A missing one is an error of everything that reads it.
    pub fn sources(mut self, sources: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.sources = sources.into_iter().map(|source| source.as_ref().to_owned()).collect();
        self
    }

    /// Sets the folder of the settings that an organization gives the client (`managed-settings.json`), which decide
    /// how long it keeps transcripts. Without this it is the system's.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    ///
    /// let builder = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()));
    /// let bridge = builder.managed_settings("image/etc/claude-code").build();
    /// # drop(bridge);
    /// ```
    pub fn managed_settings(mut self, folder: impl AsRef<Path>) -> Self {
        self.managed_settings = folder.as_ref().to_owned();
        self
    }

    /// Sets the longest interruption that belongs to the active time of a session, as
    /// [`details`](crate::sessions::Sessions::details) states it: [`ActivityFacts::PAUSE`] by default,
    /// which summaries always use.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    ///
    /// let builder = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()));
    /// let bridge = builder.activity_pause(Duration::from_mins(10)).build();
    /// # drop(bridge);
    /// ```
    pub fn activity_pause(mut self, pause: Duration) -> Self {
        self.activity_pause = pause;
        self
    }

    /// Sets the options of the analyzer.
    pub fn analyzer(mut self, options: AnalyzerOptions) -> Self {
        self.analyzer = options;
        self
    }

    /// Sets the developer, team and labels of stored responses: one [`Assignment`](bridge_core::Assignment) for all,
    /// or [rules](bridge_analysis::AssignmentRules) by the paths of projects and transcripts. It is a part of the
    /// analyzer's options, so set it after those. Stored rows change only when their transcript is read again.
    pub fn assignments(mut self, rules: impl Into<AssignmentRules>) -> Self {
        self.analyzer.assignments = rules.into();
        self
    }

    /// Sets the current names of renamed and moved projects, and groups of projects. They are stored beside the
    /// responses when the bridge first stores something, and apply to everything that is read from the store from then
    /// on, by other programs too. An empty catalog takes back what was stored before; without one, that stays.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bridge::projects::{ProjectCatalog, ProjectGroupRule, ProjectNameRule};
    /// use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    ///
    /// let catalog = ProjectCatalog::new(
    ///     [ProjectNameRule::new("/home/pat/old-app", "/home/pat/app")?],
    ///     [ProjectGroupRule::new("/projects/acme", "acme".parse()?)?],
    /// );
    /// let builder = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()));
    /// let bridge = builder.projects(catalog).build();
    /// # drop(bridge);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn projects(mut self, catalog: ProjectCatalog) -> Self {
        self.projects.catalog = Some(catalog);
        self
    }

    /// Sets the folders in which worktrees of `git worktree` are recognized, by their file `.git`. Work in a
    /// worktree counts for its repository, even after the folder is gone. Without this, no folder of a project is read.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bridge::projects::GitFolders;
    /// use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    ///
    /// let builder = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()));
    /// let bridge = builder.git_folders(GitFolders::of_this_host()).build();
    /// # drop(bridge);
    /// ```
    pub fn git_folders(mut self, folders: GitFolders) -> Self {
        self.projects.folders = Some(folders);
        self
    }

    /// Stores analyses without validating them.
    pub fn without_validation(mut self) -> Self {
        self.validation = false;
        self
    }

    /// Sets the options of the validator.
    pub fn validator_options(mut self, options: ValidatorOptions) -> Self {
        self.validator = options;
        self
    }

    /// Sets the limits of the cache of summaries and analyses.
    pub fn cache(mut self, options: CacheOptions) -> Self {
        self.cache = options;
        self.shared_cache = None;
        self
    }

    /// Uses this cache in place of one of the bridge's own. Bridges to the same store may share one: what one of them
    /// writes makes the others' cached summaries stale.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bridge::cache::BridgeCache;
    /// use bridge::storage::InMemoryStore;
    /// use bridge::{CacheOptions, EnhancedTokenDatabaseBridge, TokenStore};
    ///
    /// let store: Arc<dyn TokenStore> = Arc::new(InMemoryStore::default());
    /// let cache = Arc::new(BridgeCache::new(CacheOptions::default().with_max_entries(100)));
    /// let bridge = || EnhancedTokenDatabaseBridge::builder(store.clone()).shared_cache(cache.clone()).build();
    /// let (writer, reader) = (bridge(), bridge());
    /// ```
    pub fn shared_cache(mut self, cache: Arc<BridgeCache>) -> Self {
        self.shared_cache = Some(cache);
        self
    }

    /// Caches nothing: every read asks the store, and no analysis is kept for times at which nothing answers.
    pub fn without_cache(self) -> Self {
        self.cache(CacheOptions::default().with_ttl(Duration::ZERO))
    }

    /// Sets the number of rows of one insert of
    /// [`batch_store_analyses`](EnhancedTokenDatabaseBridge::batch_store_analyses); 1000 by default.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.limits.batch_size = rows.max(1);
        self
    }

    /// Sets the number of batches that are stored, or files that are read, at once by
    /// [`batch_store_analyses`](EnhancedTokenDatabaseBridge::batch_store_analyses) and
    /// [`sync_all_sessions`](EnhancedTokenDatabaseBridge::sync_all_sessions); 5 by default.
    pub fn parallel_limit(mut self, limit: usize) -> Self {
        self.limits.parallel = limit.max(1);
        self
    }

    /// Sets intervals and limits of the monitoring; see
    /// [`monitor`](EnhancedTokenDatabaseBridge::monitor) and
    /// [`health_check`](EnhancedTokenDatabaseBridge::health_check).
    pub fn monitoring(mut self, options: MonitoringOptions) -> Self {
        self.monitoring = options;
        self
    }

    /// Sets the budgets: their state is in [`budgets`](DashboardBridgeAdapter::budgets) of the dashboard, in health and
    /// in the metrics. None by default.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, Budgets};
    /// use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    ///
    /// let budget = Budget::new("all", BudgetAmount::Tokens(1_000_000_000), BudgetPeriod::Month)?;
    /// let builder = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()));
    /// let bridge = builder.budgets(Budgets::new([budget])?).build();
    /// # drop(bridge);
    /// # Ok::<(), bridge::InvalidValue>(())
    /// ```
    pub fn budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// Makes the bridge check its health and update its metrics at the intervals of
    /// [`monitoring`](Self::monitoring), in tasks of its own, from the first interval until the last
    /// handle of the bridge is dropped. A bridge built from a configuration does so. Results appear in the
    /// metrics, and changes of health in the log. [`monitor`](EnhancedTokenDatabaseBridge::monitor) passes them
    /// to an observer. The bridge must be built within a Tokio runtime.
    pub fn watch_itself(mut self) -> Self {
        self.watches_itself = true;
        self
    }

    /// Sets the options of the audit.
    pub fn audit(mut self, options: AuditOptions) -> Self {
        self.audit = options;
        self
    }

    /// Sets the source of the operations' correlation ids. It is called in the task that runs the operation, when it
    /// begins. Without a source, or if it returns `None` or an id of zeros, the id is random. A handle with an id of
    /// its own ([`with_correlation_id`](EnhancedTokenDatabaseBridge::with_correlation_id)) does not call it.
    ///
    /// With the trace id of the current span as the source, log and audit list operations under the id of their trace:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::CorrelationId;
    /// use opentelemetry::trace::TraceContextExt;
    ///
    /// # let store = Arc::new(InMemoryStore::default());
    /// let bridge = EnhancedTokenDatabaseBridge::builder(store)
    ///     .correlation_ids(|| {
    ///         // With `tracing-opentelemetry`: `tracing::Span::current().context()`.
    ///         let trace = opentelemetry::Context::current().span().span_context().trace_id();
    ///         CorrelationId(u128::from_be_bytes(trace.to_bytes()))
    ///     })
    ///     .build();
    /// ```
    pub fn correlation_ids<I: Into<Option<CorrelationId>>>(
        mut self,
        source: impl Fn() -> I + Send + Sync + 'static,
    ) -> Self {
        self.correlation_ids = CorrelationIds::new(source);
        self
    }

    /// Ends the bridge's background tasks when this token is cancelled: [`keep_in_sync`], after the synchronization
    /// that is running, each [`monitor`], and the bridge's own health checks.
    /// [`shutdown`](EnhancedTokenDatabaseBridge::shutdown) does everything else.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{num::NonZeroUsize, sync::Arc};
    /// # use bridge::{EnhancedTokenDatabaseBridge, observer_stream, storage::InMemoryStore};
    /// # use tokio_stream::StreamExt;
    /// use tokio_util::sync::CancellationToken;
    ///
    /// let service = CancellationToken::new();
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .cancellation(service.child_token())
    ///     .build();
    /// # let (observer, mut observations) = observer_stream(NonZeroUsize::MIN);
    /// let monitor = bridge.monitor(observer);
    /// service.cancel();
    /// // The stream of the observations ends with the monitor.
    /// while observations.next().await.is_some() {}
    /// # drop(monitor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`keep_in_sync`]: EnhancedTokenDatabaseBridge::keep_in_sync
    /// [`monitor`]: EnhancedTokenDatabaseBridge::monitor
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// Has [`shutdown`](EnhancedTokenDatabaseBridge::shutdown) close this engine, on which the store runs. The bridge
    /// uses the engine until then. A bridge that is built from a configuration with `embedded.data_dir` does so.
    #[cfg(feature = "embedded")]
    pub fn close_engine(mut self, database: crate::EmbeddedDatabase) -> Self {
        use bridge_embedded::Shutdown;
        self.engine = Some(StoreEngine::new(move |wait| match database.close(wait) {
            Shutdown::InUse => {
                tracing::info!("the embedded engine keeps running for its other users");
                true
            }
            outcome => outcome == Shutdown::Stopped,
        }));
        self
    }

    /// Keeps a value, such as the engine that the store needs, until the last handle of the bridge is dropped.
    pub fn keep(mut self, needed: impl Any + Send + Sync) -> Self {
        self.kept = Some(Arc::new(needed));
        self
    }

    /// Sets the clock; that of the system by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the time that the store may take before
    /// [`get_analysis_with_fallback`](EnhancedTokenDatabaseBridge::get_analysis_with_fallback) asks the sources; 5 s by
    /// default.
    pub fn store_deadline(mut self, deadline: Duration) -> Self {
        self.store_deadline = deadline;
        self
    }

    /// Sets how long [`get_analysis_with_fallback`](EnhancedTokenDatabaseBridge::get_analysis_with_fallback) reads the
    /// sources before it answers from the cache; 5 minutes by default.
    pub fn live_deadline(mut self, deadline: Duration) -> Self {
        self.live_deadline = deadline;
        self
    }

    /// Returns the bridge. If the analyzer's options name no host, it is this machine.
    ///
    /// Its metrics are registered with the current recorder: that of the process or, within
    /// `metrics::with_local_recorder`, the local one.
    #[must_use]
    pub fn build(mut self) -> EnhancedTokenDatabaseBridge {
        let cache = self.take_cache();
        let (store, telemetry) = self.recorded_store(&cache);
        let ingest = Arc::new(self.take_ingest(store, Arc::clone(&telemetry)));
        let health = HealthChecks::new(self.store, Arc::clone(&ingest), self.monitoring.limits)
            .with_kept(self.kept)
            .with_budgets(self.budgets.clone());
        let monitoring = Arc::new(Monitoring {
            ingest: Arc::clone(&ingest),
            cache: Arc::clone(&cache),
            health,
            options: self.monitoring,
        });
        let fallback = Fallback {
            ingest: Arc::clone(&ingest),
            cache: Arc::clone(&cache),
            store_deadline: self.store_deadline,
            live_deadline: self.live_deadline,
            next_analysis: SingleFlight::default(),
        };
        let dashboard = DashboardBridgeAdapter::new(Arc::clone(&ingest.store))
            .with_clock(Arc::clone(&ingest.clock))
            .with_budgets(self.budgets);
        let lifetime = Lifetime::new(self.cancellation);
        let background = self.watches_itself.then(|| Background::start(&monitoring, &lifetime));
        let Limits { batch_size, parallel } = self.limits;
        let parts = Parts {
            ingest,
            cache,
            fallback,
            monitoring,
            dashboard,
            activity_pause: self.activity_pause,
            batch_size,
            parallel,
            _background: background,
            lifetime,
            engine: self.engine,
        };
        let assignment = SharedAssignment::default();
        let runner = OperationRunner { telemetry, correlation_id: None, actor: None, assignment };
        EnhancedTokenDatabaseBridge { parts: Arc::new(parts), runner }
    }

    fn take_cache(&mut self) -> Arc<BridgeCache> {
        let own = || Arc::new(BridgeCache::with_clock(self.cache, Arc::clone(&self.clock)));
        self.shared_cache.take().unwrap_or_else(own)
    }

    fn host(&mut self) -> HostName {
        self.analyzer.host.get_or_insert_with(own_host).clone()
    }

    /// Returns the store with its layers, and the telemetry that they write to.
    fn recorded_store(&mut self, cache: &Arc<BridgeCache>) -> (Arc<dyn TokenStore>, Arc<Telemetry>) {
        let (host, clock) = (self.host(), Arc::clone(&self.clock));
        let metrics = Arc::new(Instruments::new().with_budgets(&self.budgets).on_host(&host));
        let window = self.monitoring.limits.error_rate_window;
        let error_rate = Arc::new(ErrorRate::new(window, Arc::clone(&clock)));
        let observed = Observed {
            metrics: Arc::clone(&metrics),
            error_rate: Arc::clone(&error_rate),
            _kept: self.kept.clone(),
        };
        let store: Arc<dyn TokenStore> = Arc::new(Layered::new(Arc::clone(&self.store), observed));
        let store: Arc<dyn TokenStore> = Arc::new(Layered::new(store, Invalidating(Arc::clone(cache))));
        let project_names = self.analyzer.project_names.clone();
        let options = std::mem::take(&mut self.audit);
        let audit = AuditTrail::new(Arc::clone(&store), Arc::clone(&clock), host, project_names, options);
        let telemetry = Telemetry {
            heartbeat: Heartbeat::new(clock.now()),
            clock,
            audit,
            metrics,
            error_rate,
            panics: Panics::default(),
            correlation_ids: std::mem::take(&mut self.correlation_ids),
            flush_deadline: self.store_deadline,
        };
        (store, Arc::new(telemetry))
    }

    fn take_ingest(&mut self, store: Arc<dyn TokenStore>, telemetry: Arc<Telemetry>) -> Ingest {
        if self.projects.are_given() {
            self.analyzer.seen_projects = SeenProjects::kept();
        }
        let clock = Arc::clone(&self.clock);
        Ingest {
            store,
            sources: std::mem::take(&mut self.sources),
            managed_settings: std::mem::take(&mut self.managed_settings),
            host: self.host(),
            analyzer: std::mem::take(&mut self.analyzer),
            validator: self
                .validation
                .then(|| AnalysisValidator::new(self.validator.clone(), Arc::clone(&clock))),
            clock,
            projects: std::mem::take(&mut self.projects),
            telemetry,
            syncs: SingleFlight::default(),
            kept: Arc::default(),
            stream_turns: StreamTurns::default(),
            skipped: std::sync::Mutex::default(),
        }
    }
}
