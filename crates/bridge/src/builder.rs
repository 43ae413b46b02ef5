//! The bridge's handle and how it is built.

use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bridge_analysis::AnalyzerOptions;
use bridge_cache::{BridgeCache, CacheOptions};
use bridge_core::{AnalysisValidator, Clock, CorrelationId, HostName, SystemClock, ValidatorOptions};
use bridge_storage::TokenStore;
use tokio::sync::Mutex;

use crate::operations::background::Background;
use crate::operations::health::{PendingSince, SkippedSources};
use crate::operations::single_flight::SingleFlight;
use crate::telemetry::audit::AuditTrail;
use crate::telemetry::error_rate::ErrorRate;
use crate::telemetry::metrics::{Instruments, MetricsRecorder, Register};
use crate::telemetry::panics::Panics;
use crate::telemetry::run::CorrelationIds;
use crate::{AuditOptions, MonitoringOptions};

/// Bridges the analysis of transcripts to the database: analyses, validates, stores and reads back.
///
/// A thin handle: cheap to clone, `Send` and `Sync`.
#[derive(Debug, Clone)]
pub struct EnhancedTokenDatabaseBridge {
    pub(crate) inner: Arc<Inner>,
    /// The caller's own id of what he does by this handle.
    pub(crate) correlation_id: Option<CorrelationId>,
}

/// What the handle's clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) analyzer: AnalyzerOptions,
    pub(crate) validator: Option<AnalysisValidator>,
    pub(crate) cache: BridgeCache,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store_deadline: Duration,
    pub(crate) live_deadline: Duration,
    pub(crate) next_analysis: SingleFlight,
    /// Held while the store is brought up to date.
    pub(crate) sync_turn: Mutex<()>,
    pub(crate) limits: Limits,
    pub(crate) monitoring: MonitoringOptions,
    pub(crate) correlation_ids: CorrelationIds,
    pub(crate) metrics: Instruments,
    pub(crate) panics: Panics,
    pub(crate) audit: Arc<AuditTrail>,
    /// How calls of the store end.
    pub(crate) error_rate: ErrorRate,
    pub(crate) unread: PendingSince,
    pub(crate) left_out: std::sync::Mutex<Option<SkippedSources>>,
    /// Held while a health check looks at the transcripts.
    pub(crate) look_turn: Arc<Mutex<()>>,
    /// What the bridge does at intervals by itself.
    background: OnceLock<Background>,
    /// Behind the store: it goes last.
    _kept: Option<Kept>,
}

/// What operations do at once where nothing else is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows of one insert of a batch of analyses.
    pub(crate) batch_size: usize,
    /// Operations that run at once.
    pub(crate) parallel: usize,
}

impl Default for Limits {
    /// The specification's.
    fn default() -> Self {
        Self { batch_size: 1000, parallel: 5 }
    }
}

/// What lives as long as the bridge.
struct Kept(#[expect(dead_code, reason = "it is dropped, and that is all")] Box<dyn Any + Send + Sync>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

/// This machine. What was read of its transcripts is recorded under its name, and two machines may have the same
/// paths.
pub(crate) fn own_host() -> HostName {
    let name = HostName::new(gethostname::gethostname().to_string_lossy());
    name.unwrap_or_else(|_| HostName::new("unknown").expect("a constant is a name"))
}

impl EnhancedTokenDatabaseBridge {
    /// Begins to build a bridge to this store.
    pub fn builder(store: Arc<dyn TokenStore>) -> BridgeBuilder {
        BridgeBuilder {
            store,
            sources: Vec::new(),
            analyzer: AnalyzerOptions::default(),
            validation: true,
            validator: ValidatorOptions::default(),
            cache: CacheOptions::default(),
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            monitoring: MonitoringOptions::default(),
            watches_itself: false,
            audit: AuditOptions::default(),
            register: Register::default(),
            correlation_ids: CorrelationIds::default(),
            kept: None,
            store_deadline: STORE_DEADLINE,
            live_deadline: LIVE_DEADLINE,
        }
    }

    /// The store that the bridge writes to.
    #[must_use]
    pub fn token_store(&self) -> &Arc<dyn TokenStore> {
        &self.inner.store
    }

    /// How often the cache could answer with summaries.
    #[must_use]
    pub fn cache_stats(&self) -> bridge_cache::CacheStats {
        self.inner.cache.stats()
    }

    /// How often the cache could answer with an analysis when nobody else could.
    #[must_use]
    pub fn analysis_cache_stats(&self) -> bridge_cache::CacheStats {
        self.inner.cache.analysis_stats()
    }
}

/// Builds an [`EnhancedTokenDatabaseBridge`].
#[derive(Debug)]
#[must_use]
pub struct BridgeBuilder {
    store: Arc<dyn TokenStore>,
    sources: Vec<PathBuf>,
    analyzer: AnalyzerOptions,
    validation: bool,
    validator: ValidatorOptions,
    cache: CacheOptions,
    clock: Arc<dyn Clock>,
    limits: Limits,
    monitoring: MonitoringOptions,
    watches_itself: bool,
    audit: AuditOptions,
    register: Register,
    correlation_ids: CorrelationIds,
    kept: Option<Kept>,
    store_deadline: Duration,
    live_deadline: Duration,
}

/// So long the store may take to answer where there is another way to an answer.
const STORE_DEADLINE: Duration = Duration::from_secs(5);

/// So long a live analysis may take that stands in for the store. A folder on a network may hang for ever.
const LIVE_DEADLINE: Duration = Duration::from_mins(5);

impl BridgeBuilder {
    /// Sets the folders (or single files) with the transcripts; a leading `~/` is the home folder. Without any, the
    /// client's usual places are searched. One that is not there is an error of everything that reads it.
    pub fn sources(mut self, sources: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.sources = sources.into_iter().map(|source| source.as_ref().to_owned()).collect();
        self
    }

    /// Sets the options of the analyzer.
    pub fn analyzer(mut self, options: AnalyzerOptions) -> Self {
        self.analyzer = options;
        self
    }

    /// Whether analyses are validated before they are stored. On by default.
    pub fn enable_validation(mut self, validation: bool) -> Self {
        self.validation = validation;
        self
    }

    /// What is valid.
    pub fn validator_options(mut self, options: ValidatorOptions) -> Self {
        self.validator = options;
        self
    }

    /// The limits of the cache of summaries.
    pub fn cache(mut self, options: CacheOptions) -> Self {
        self.cache = options;
        self
    }

    /// How many rows [`store_analyses`](EnhancedTokenDatabaseBridge::store_analyses) puts into one insert; 1000
    /// if not given.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.limits.batch_size = rows.max(1);
        self
    }

    /// How many batches are stored, or files read, at once by
    /// [`store_analyses`](EnhancedTokenDatabaseBridge::store_analyses) and
    /// [`sync_sessions`](EnhancedTokenDatabaseBridge::sync_sessions); 5 if not given.
    pub fn parallel_limit(mut self, limit: usize) -> Self {
        self.limits.parallel = limit.max(1);
        self
    }

    /// How often the bridge looks at itself, and what is healthy; see
    /// [`monitor`](EnhancedTokenDatabaseBridge::monitor) and
    /// [`health_check`](EnhancedTokenDatabaseBridge::health_check).
    pub fn monitoring(mut self, options: MonitoringOptions) -> Self {
        self.monitoring = options;
        self
    }

    /// Has the bridge check its health and bring its metrics up to date at the intervals of
    /// [`monitoring`](Self::monitoring), in tasks of its own: the first time after an interval, and until the last
    /// handle of the bridge is dropped. A bridge that is built from a configuration does so. Results show in the
    /// metrics, and a changed state of health in the log; [`monitor`](EnhancedTokenDatabaseBridge::monitor) hands them
    /// to an observer. Needs to be built within a Tokio runtime.
    pub fn watch_itself(mut self) -> Self {
        self.watches_itself = true;
        self
    }

    /// How operations are put on record.
    pub fn audit(mut self, options: AuditOptions) -> Self {
        self.audit = options;
        self
    }

    /// A recorder for the metrics of this bridge; else they go to the process' own, which then must be installed
    /// before the bridge is built. See [`METRICS`](crate::METRICS).
    pub fn metrics_recorder(mut self, recorder: MetricsRecorder) -> Self {
        self.register = Register::Own(recorder);
        self
    }

    /// Gives operations their correlation ids; random ones if not given.
    pub fn correlation_ids(mut self, source: impl Fn() -> CorrelationId + Send + Sync + 'static) -> Self {
        self.correlation_ids = CorrelationIds::new(source);
        self
    }

    /// Drops this when the last handle of the bridge is dropped: the engine that the store needs, say.
    pub fn keep(mut self, needed: impl Any + Send + Sync) -> Self {
        self.kept = Some(Kept(Box::new(needed)));
        self
    }

    /// The clock that tells "now".
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long the store may take before
    /// [`get_analysis_with_fallback`](EnhancedTokenDatabaseBridge::get_analysis_with_fallback) asks the sources. 5 s by default.
    pub fn store_deadline(mut self, deadline: Duration) -> Self {
        self.store_deadline = deadline;
        self
    }

    /// How long [`get_analysis_with_fallback`](EnhancedTokenDatabaseBridge::get_analysis_with_fallback) reads the
    /// sources before it answers from the cache; 5 minutes if not given.
    pub fn live_deadline(mut self, deadline: Duration) -> Self {
        self.live_deadline = deadline;
        self
    }

    /// The bridge. Where the analyzer is told of no host, it is this machine, by its name.
    #[must_use]
    pub fn build(mut self) -> EnhancedTokenDatabaseBridge {
        self.analyzer.host.get_or_insert_with(own_host);
        let clock = Arc::clone(&self.clock);
        let validator = self.validation.then(|| AnalysisValidator::new(self.validator, clock));
        let (host, project_names) = (self.analyzer.host.clone(), self.analyzer.project_names.clone());
        let audit = AuditTrail::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            host,
            project_names,
            self.audit,
        );
        let watches_itself = self.watches_itself;
        let bridge = EnhancedTokenDatabaseBridge {
            correlation_id: None,
            inner: Arc::new(Inner {
                store: self.store,
                sources: self.sources,
                analyzer: self.analyzer,
                validator,
                error_rate: ErrorRate::new(self.monitoring.limits.error_rate_window, Arc::clone(&self.clock)),
                unread: PendingSince::default(),
                left_out: std::sync::Mutex::default(),
                look_turn: Arc::default(),
                cache: BridgeCache::with_clock(&self.cache, Arc::clone(&self.clock)),
                clock: self.clock,
                store_deadline: self.store_deadline,
                live_deadline: self.live_deadline,
                next_analysis: SingleFlight::default(),
                sync_turn: Mutex::new(()),
                limits: self.limits,
                monitoring: self.monitoring,
                correlation_ids: self.correlation_ids,
                metrics: Instruments::new(self.register),
                panics: Panics::default(),
                background: OnceLock::new(),
                audit: Arc::new(audit),
                _kept: self.kept,
            }),
        };
        if watches_itself {
            bridge.inner.background.get_or_init(|| Background::start(&bridge));
        }
        bridge
    }
}
