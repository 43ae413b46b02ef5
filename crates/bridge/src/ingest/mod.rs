//! The pipeline from transcripts to the store: discover, plan, read, write.

pub(crate) mod costs;
pub(crate) mod cursors;
pub(crate) mod feed;
pub(crate) mod kept;
pub(crate) mod overlap;
pub(crate) mod pipeline;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod projects;
pub(crate) mod push_cursor;
pub(crate) mod read;
pub(crate) mod stream;
pub(crate) mod upsert;
pub(crate) mod write;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bridge_analysis::incremental::rediscover;
use bridge_analysis::{AnalyzerOptions, Discovery, SourceRoots, discover};
use bridge_core::{
    AnalysisValidator, BridgeError, Clock, EnhancedTokenAnalysis, Epoch, HostName, SessionId,
    ValidationResult, Violation,
};
use bridge_storage::TokenStore;
use tokio::task::JoinError;

use crate::ingest::kept::KeptFiles;
use crate::ingest::projects::ProjectRules;
use crate::ingest::stream::StreamTurns;
use crate::live::RecentFiles;
use crate::operations::single_flight::SingleFlight;
use crate::operations::sync::{SyncRequests, Synchronization};
use crate::telemetry::Telemetry;
use crate::telemetry::error_rate::Outcome;

/// A store, and the transcripts of a host that are stored in it.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) store: Arc<dyn TokenStore>,
    /// Folders and files with transcripts; none for the client's usual places.
    pub(crate) sources: Vec<PathBuf>,
    /// The folder of the settings that an organization gives the client.
    pub(crate) managed_settings: PathBuf,
    /// The host of the transcripts. Two hosts may have the same paths.
    pub(crate) host: HostName,
    pub(crate) analyzer: AnalyzerOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) validator: Option<AnalysisValidator>,
    pub(crate) telemetry: Arc<Telemetry>,
    /// What decides which projects recorded ones count for.
    pub(crate) projects: ProjectRules,
    /// Brings the store up to date, one synchronization at a time.
    pub(crate) syncs: SingleFlight<Synchronization, SyncRequests>,
    /// The records of this host's files, as the last synchronization left them.
    pub(crate) kept: Arc<KeptFiles>,
    /// Held, for each stream, while it is stored.
    pub(crate) stream_turns: StreamTurns,
    /// Sources that the last backfill or synchronization skipped.
    pub(crate) skipped: Mutex<Option<SkippedSources>>,
}

/// Sources that a backfill or synchronization skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SkippedSources {
    /// Number of sources that could not be read.
    pub(crate) unread: usize,
    /// Number of sessions that were rejected as invalid.
    pub(crate) refused: usize,
    /// Name of the first of them.
    pub(crate) first: String,
}

impl Ingest {
    /// Returns the configured roots, or those of the client's usual ones that exist.
    pub(crate) fn source_roots(&self) -> Vec<PathBuf> {
        self.roots().folders().to_vec()
    }

    /// Returns the configured roots, or all of the client's usual ones.
    pub(crate) fn watched_roots(&self) -> Vec<PathBuf> {
        self.roots().candidates().to_vec()
    }

    fn roots(&self) -> SourceRoots {
        let variable = |name: &str| std::env::var_os(name);
        match &*self.sources {
            [] => SourceRoots::usual(variable),
            named => SourceRoots::named(named, variable),
        }
    }

    /// Finds the transcripts.
    pub(crate) async fn discover(&self) -> Result<Discovery, BridgeError> {
        let roots = self.source_roots();
        tokio::task::spawn_blocking(move || discover(&roots)).await.map_err(analysis_died)
    }

    /// Finds the transcripts, and those among them that are polled until all are searched again.
    pub(crate) async fn discover_with_recent(&self) -> Result<(Discovery, Option<RecentFiles>), BridgeError> {
        let (roots, began) = (self.roots(), self.clock.now());
        let find = move || {
            let found = discover(roots.folders());
            let recent = RecentFiles::of(roots.candidates().to_vec(), &found.files, began);
            (found, recent)
        };
        tokio::task::spawn_blocking(find).await.map_err(analysis_died)
    }

    /// Finds the transcripts among paths that changed; `None` if only [`discover`](Self::discover) can tell.
    pub(crate) async fn rediscover(
        &self,
        changed: Arc<BTreeSet<PathBuf>>,
    ) -> Result<Option<Discovery>, BridgeError> {
        let roots = self.source_roots();
        tokio::task::spawn_blocking(move || rediscover(&roots, &changed)).await.map_err(analysis_died)
    }

    /// Returns the number of reading threads, at most `limit`. By default it is the number of cores, because more
    /// threads are not faster.
    pub(crate) fn reading_threads(&self, limit: Option<usize>) -> usize {
        let threads = match self.analyzer.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        threads.min(limit.unwrap_or(usize::MAX)).max(1)
    }

    /// Returns the epoch in which a storing operation begins; fails if nothing may be stored.
    pub(crate) async fn writable_epoch(&self, operation: &'static str) -> Result<Epoch, BridgeError> {
        self.store.state().await?.admit(operation, None)
    }

    /// Validates an analysis, which must be of this session if one is given.
    pub(crate) fn validate(
        &self,
        analysis: &EnhancedTokenAnalysis,
        session: Option<&SessionId>,
    ) -> Result<(), BridgeError> {
        let mut result = match &self.validator {
            Some(validator) => validator.validate_analysis(analysis),
            None => ValidationResult::default(),
        };
        if let Some(session) = session.filter(|session| **session != analysis.session_id) {
            result.violations.push(Violation {
                field: "session_id".to_owned(),
                rule: "session",
                message: format!("{} is not the requested session, {session}", analysis.session_id),
            });
        }
        if result.is_valid() {
            return Ok(());
        }
        self.telemetry.error_rate.record(Outcome::Failure);
        Err(BridgeError::validation(analysis.session_id.to_string(), result))
    }

    /// Returns the sources that the last backfill or synchronization skipped.
    pub(crate) fn skipped(&self) -> Option<SkippedSources> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the error of an analysis whose task panicked, or whose runtime shut down.
pub(crate) fn analysis_died(error: JoinError) -> BridgeError {
    BridgeError::backfill("the analysis did not finish").with_source(error)
}
