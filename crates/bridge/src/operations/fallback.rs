//! The analysis of a session from the store, or else from the sources, or else from the cache.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bridge_analysis::RunFacts;
use bridge_cache::BridgeCache;
use bridge_core::{
    AnalysisId, AnalysisSource, AnalysisWithSource, BridgeError, ConnectionKind, CountOverflow,
    EnhancedTokenAnalysis, Origin, ResponseKey, ResponseUsage, SessionId, Stopwatch, StorageKind, Timestamp,
    TokenSummaryRecord,
};
use bridge_storage::{ResponseFilter, StoredResponse, StoredScope, SummaryFilter};

use crate::ingest::Ingest;
use crate::operations::backfill::{BackfillOptions, analyze};
use crate::operations::single_flight::SingleFlight;
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::log::with_cause;
use bridge_analysis::platform::peak_memory_mib;

const READ_STORED: &str = "read the stored analysis";

/// The sources of an analysis other than the store, and their deadlines.
#[derive(Debug)]
pub(crate) struct Fallback {
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) cache: Arc<BridgeCache>,
    pub(crate) store_deadline: Duration,
    pub(crate) live_deadline: Duration,
    pub(crate) next_analysis: SingleFlight<LiveAnalyses>,
}

/// Live analyses of all sessions.
#[derive(Debug)]
pub(crate) struct LiveAnalyses {
    sessions: HashMap<SessionId, EnhancedTokenAnalysis>,
    /// Errors of sources that could not be read.
    unread: Vec<String>,
}

impl Fallback {
    /// Returns the first answer: the store's, the sources' or the cache's.
    pub(crate) async fn analysis(&self, session: &SessionId) -> Result<AnalysisWithSource, BridgeError> {
        let failure = match self.stored_in_time(session).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let unknown = || "the store does not know the session".to_owned();
        let mut fallback_reasons = vec![failure.as_ref().map_or_else(unknown, ToString::to_string)];
        let answer = match self.live_in_time(session).await {
            Ok(LiveAnswer { answer: None, unread }) if failure.is_none() && unread.is_empty() => {
                // Store and sources have answered, so the cache is not needed.
                return Err(BridgeError::unknown_session(session.clone()));
            }
            Ok(LiveAnswer { answer, unread }) => {
                fallback_reasons.extend(unread);
                answer
            }
            Err(error) => {
                fallback_reasons.push(with_cause(&error));
                None
            }
        };
        let answer = match answer {
            Some(answer) => Some(answer),
            None => self.cached(session).await,
        };
        match answer {
            Some(answer) => Ok(AnalysisWithSource { fallback_reasons, ..answer }),
            None => Err(failure.unwrap_or_else(|| BridgeError::unknown_session(session.clone()))),
        }
    }

    async fn stored_in_time(&self, session: &SessionId) -> Result<Option<AnalysisWithSource>, BridgeError> {
        let limit = self.store_deadline;
        tokio::time::timeout(limit, self.stored(session)).await.unwrap_or_else(|_| {
            // The call of the store was dropped before its outcome could be recorded.
            self.ingest.telemetry.error_rate.record(Outcome::Failure);
            Err(BridgeError::connection(ConnectionKind::TimedOut, READ_STORED, "the token store")
                .with_source(late(format!("no answer within {limit:?}"))))
        })
    }

    async fn stored(&self, session: &SessionId) -> Result<Option<AnalysisWithSource>, BridgeError> {
        let watch = Stopwatch::start();
        let wanted = vec![session.clone()];
        let responses = ResponseFilter::of_sessions(wanted.clone());
        let summary = SummaryFilter::default().of_sessions(wanted).with_metadata(true);
        let store = &self.ingest.store;
        let state = store.state().await?;
        self.cache.enter_epoch(state.epoch);
        state.admit(READ_STORED, None)?;
        let generation = self.cache.generation();
        let key = ResponseKey::of_session_analysis(session);
        let note = StoredScope::Keys(key..=key);
        let note = async {
            match store.integrity() {
                Some(rows) => rows.stored(&note).await,
                None => Ok(Vec::new()),
            }
        };
        let (responses, summaries, note) =
            tokio::try_join!(store.responses(&responses), store.summaries(&summary), note)?;
        if responses.is_empty() {
            return Ok(None);
        }
        if !note.iter().all(StoredResponse::is_intact) {
            return Err(damaged_note(session));
        }
        let now = self.ingest.clock.now();
        let analysis = stored_analysis(session, responses, summaries.into_iter().next(), now, &watch)
            .map_err(|overflow| not_summable(READ_STORED, overflow))?;
        let age = now.saturating_since(analysis.timestamp);
        self.cache.put_analysis(generation, analysis.clone()).await;
        Ok(Some(AnalysisWithSource::new(analysis, AnalysisSource::Stored, age)))
    }

    async fn live_in_time(&self, session: &SessionId) -> Result<LiveAnswer, BridgeError> {
        let limit = self.live_deadline;
        tokio::time::timeout(limit, self.live(session)).await.unwrap_or_else(|_| {
            let root = self.ingest.source_roots().into_iter().next().unwrap_or_default();
            Err(BridgeError::unreadable(root, late(format!("not read within {limit:?}"))))
        })
    }

    async fn live(&self, session: &SessionId) -> Result<LiveAnswer, BridgeError> {
        let generation = self.cache.generation();
        let live = self
            .next_analysis
            .get(|()| {}, async { Ok(()) }, async |(), (), _turn| live_analyses(&self.ingest).await)
            .await?;
        let unread = live.unread.clone();
        let Some(analysis) = live.sessions.get(session).cloned() else {
            return Ok(LiveAnswer { answer: None, unread });
        };
        self.cache.put_analysis(generation, analysis.clone()).await;
        let answer = AnalysisWithSource::new(analysis, AnalysisSource::Live, Duration::ZERO);
        Ok(LiveAnswer { answer: Some(answer), unread })
    }

    async fn cached(&self, session: &SessionId) -> Option<AnalysisWithSource> {
        let cached = self.cache.analysis(session).await?;
        let age = self.ingest.clock.now().saturating_since(cached.timestamp);
        Some(AnalysisWithSource::new(EnhancedTokenAnalysis::clone(&cached), AnalysisSource::Cached, age))
    }
}

fn late(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}

async fn live_analyses(ingest: &Ingest) -> Result<LiveAnalyses, BridgeError> {
    let (watch, timestamp) = (Stopwatch::start(), ingest.clock.now());
    let history = analyze(ingest, BackfillOptions::default()).await?;
    let facts = RunFacts {
        timestamp,
        run_id: fastrand::u128(1..),
        duration: watch.elapsed(),
        memory_mib: peak_memory_mib(),
    };
    let analyses = history.analyses(&facts).map_err(|overflow| not_summable("analyze", overflow))?;
    Ok(LiveAnalyses {
        sessions: analyses.into_iter().map(|analysis| (analysis.session_id.clone(), analysis)).collect(),
        unread: history.errors().iter().map(ToString::to_string).collect(),
    })
}

/// The answer of the sources.
struct LiveAnswer {
    answer: Option<AnalysisWithSource>,
    /// Errors of sources that could not be read.
    unread: Vec<String>,
}

/// Returns the analysis of the stored responses. Everything but the counters comes from the newest stored analysis or,
/// if the sources were read since, from that read.
fn stored_analysis(
    session: &SessionId,
    responses: Vec<ResponseUsage>,
    summary: Option<TokenSummaryRecord>,
    now: Timestamp,
    watch: &Stopwatch,
) -> Result<EnhancedTokenAnalysis, CountOverflow> {
    let metadata = summary.as_ref().and_then(|summary| summary.metadata.clone()).unwrap_or_default();
    let newest = metadata.analysis.clone().filter(|facts| Some(facts.timestamp) >= metadata.last_sync);
    let timestamp = metadata.last_sync.unwrap_or(now);
    let place = ResponseKey::of_uuid(session.as_str());
    let id = AnalysisId::new(format!("stored-{place}-{}", timestamp.as_millis()))
        .expect("fewer than 64 characters are an id");
    let only_sums = responses.iter().all(|row| row.origin == Origin::Summed);
    let mut analysis = EnhancedTokenAnalysis::from_responses(id, session.clone(), timestamp, responses)?;
    if only_sums {
        // Unchanged, so that it is the same row when it is stored again.
        analysis.responses.clear();
    }
    if let Some(facts) = newest {
        return Ok(analysis.with_facts(facts));
    }
    analysis.processing_duration = watch.elapsed();
    analysis.memory_usage_mb = peak_memory_mib();
    // Responses that outlived their source are in the total but not in the snapshots of the remaining files.
    analysis.accuracy_ratio = metadata.accuracy_ratio.unwrap_or(1.0).min(1.0);
    analysis.files_processed = summary.map_or(0, |summary| summary.files);
    analysis.content_categories = metadata.content_categories;
    if !metadata.analysis_version.is_empty() {
        analysis.analysis_version = metadata.analysis_version;
    }
    Ok(analysis)
}

/// A damaged note is not returned as stored.
fn damaged_note(session: &SessionId) -> BridgeError {
    let message = format!("the analysis of session {session}: its version does not verify its fields");
    BridgeError::storage(StorageKind::Corrupt, READ_STORED, message)
}

fn not_summable(operation: &'static str, overflow: CountOverflow) -> BridgeError {
    BridgeError::storage(StorageKind::Corrupt, operation, "the counters cannot be summed")
        .with_source(overflow)
}
