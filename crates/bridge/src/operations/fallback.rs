//! An analysis from whoever can give it: the store, else the sources, else the cache.

use std::time::Duration;

use bridge_analysis::RunFacts;
use bridge_core::{
    AnalysisId, AnalysisSource, AnalysisWithSource, BridgeError, ConnectionKind, CountOverflow,
    EnhancedTokenAnalysis, Origin, ResponseKey, ResponseUsage, SessionId, Stopwatch, StorageKind, Timestamp,
    TokenSummaryRecord,
};
use bridge_storage::{ResponseFilter, StoredResponse, StoredScope, SummaryFilter};

use crate::operations::checkpoints::not_direct;
use crate::operations::single_flight::LiveAnalyses;
use crate::telemetry::log::with_cause;
use crate::telemetry::operation::Operation;
use crate::{BackfillOptions, EnhancedTokenDatabaseBridge, peak_memory_mib};

impl EnhancedTokenDatabaseBridge {
    /// The analysis of a session: as it is stored; where the store does not know the session, is away or takes
    /// longer than its deadline, or was rolled back and not resumed, as a live analysis of the sources gives it; and
    /// where that fails too, as it was answered last. Says who answered and how old the answer is.
    ///
    /// However many ask, one live analysis runs at a time, and all who ask while it runs share the next one.
    ///
    /// What the store's rows do not vouch for is never handed out as stored: where a row of the session was changed by
    /// somebody else the store's answer is an error, and the sources are asked.
    ///
    /// A cached answer is a last resort, so it may be older than what this program has stored since; but never is it
    /// from before a rollback. All others are true at the time of asking.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::AnalysisSource;
    /// use bridge::core::SessionId;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// let session = SessionId::new("s")?;
    /// // Nothing is stored yet.
    /// let answer = bridge.get_analysis_with_fallback(&session).await?;
    /// assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Live, 42));
    ///
    /// let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// let answer = bridge.get_analysis_with_fallback(&session).await?;
    /// assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Stored, 42));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::UnknownSession`] where store and sources answer that no response is of the session; else, and
    /// where the cache does not know it either, the store's error.
    pub async fn get_analysis_with_fallback(
        &self,
        session: &SessionId,
    ) -> Result<AnalysisWithSource, BridgeError> {
        self.run(Operation::GetAnalysisWithFallback, Some(session), self.first_answer(session)).await
    }

    async fn first_answer(&self, session: &SessionId) -> Result<AnalysisWithSource, BridgeError> {
        let failure = match self.answer_in_time(session).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let unknown = || "the store does not know the session".to_owned();
        let mut fallback_reasons = vec![failure.as_ref().map_or_else(unknown, ToString::to_string)];
        let answer = match self.live_answer_in_time(session).await {
            Ok(LiveAnswer { answer: None, unread }) if failure.is_none() && unread.is_empty() => {
                // Store and sources have answered: there is nothing for the cache to stand in for.
                return Err(BridgeError::UnknownSession {
                    session: session.clone(),
                    context: Box::default(),
                });
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
            None => self.cached_answer(session).await,
        };
        match answer {
            Some(answer) => Ok(AnalysisWithSource { fallback_reasons, ..answer }),
            None => Err(failure.unwrap_or_else(|| BridgeError::UnknownSession {
                session: session.clone(),
                context: Box::default(),
            })),
        }
    }

    async fn answer_in_time(&self, session: &SessionId) -> Result<Option<AnalysisWithSource>, BridgeError> {
        let limit = self.inner.store_deadline;
        let late = |_| {
            let source =
                std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {limit:?}"));
            Err(BridgeError::Connection {
                operation: "read the stored analysis",
                host: "the token store".to_owned(),
                kind: ConnectionKind::TimedOut,
                context: Box::default(),
                source: Some(Box::new(source)),
            })
        };
        self.counted(tokio::time::timeout(limit, self.stored_answer(session)).await.unwrap_or_else(late))
    }

    async fn stored_answer(&self, session: &SessionId) -> Result<Option<AnalysisWithSource>, BridgeError> {
        let watch = Stopwatch::start();
        let wanted = vec![session.clone()];
        let responses = ResponseFilter::of_sessions(wanted.clone());
        let summary = SummaryFilter::default().of_sessions(wanted).with_metadata(true);
        let store = &self.inner.store;
        let state = store.state().await?;
        self.inner.cache.enter_epoch(state.epoch);
        if let Some(refusal) = not_direct("read the stored analysis", &state) {
            return Err(refusal);
        }
        let moment = self.inner.cache.generation();
        let key = ResponseKey::of_session_analysis(session);
        let note = async {
            match store.integrity() {
                Some(integrity) => integrity.stored(&StoredScope::Keys(key..=key)).await,
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
        let now = self.inner.clock.now();
        let analysis = stored_analysis(session, responses, summaries.into_iter().next(), now, &watch)
            .map_err(|overflow| not_summable("read the stored analysis", overflow))?;
        let age = now.saturating_since(analysis.timestamp);
        self.inner.cache.put_analysis(moment, analysis.clone()).await;
        Ok(Some(AnalysisWithSource::new(analysis, AnalysisSource::Stored, age)))
    }

    async fn live_answer_in_time(&self, session: &SessionId) -> Result<LiveAnswer, BridgeError> {
        let limit = self.inner.live_deadline;
        let late = |_| {
            let source =
                std::io::Error::new(std::io::ErrorKind::TimedOut, format!("not read within {limit:?}"));
            Err(BridgeError::Source {
                path: self.source_roots().into_iter().next().unwrap_or_default(),
                context: Box::default(),
                source: Some(Box::new(source)),
            })
        };
        tokio::time::timeout(limit, self.live_answer(session)).await.unwrap_or_else(late)
    }

    async fn live_answer(&self, session: &SessionId) -> Result<LiveAnswer, BridgeError> {
        let moment = self.inner.cache.generation();
        let live = self.inner.next_analysis.get(self.live_analyses()).await?;
        let unread = live.unread.clone();
        let Some(analysis) = live.sessions.get(session).cloned() else {
            return Ok(LiveAnswer { answer: None, unread });
        };
        self.inner.cache.put_analysis(moment, analysis.clone()).await;
        let answer = AnalysisWithSource::new(analysis, AnalysisSource::Live, Duration::ZERO);
        Ok(LiveAnswer { answer: Some(answer), unread })
    }

    async fn live_analyses(&self) -> Result<LiveAnalyses, BridgeError> {
        let (watch, timestamp) = (Stopwatch::start(), self.inner.clock.now());
        let history = self.analyze(BackfillOptions::default()).await?;
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

    async fn cached_answer(&self, session: &SessionId) -> Option<AnalysisWithSource> {
        let cached = self.inner.cache.analysis(session).await?;
        let age = self.inner.clock.now().saturating_since(cached.timestamp);
        Some(AnalysisWithSource::new(EnhancedTokenAnalysis::clone(&cached), AnalysisSource::Cached, age))
    }
}

/// What the sources say of a session.
struct LiveAnswer {
    answer: Option<AnalysisWithSource>,
    /// What could not be read.
    unread: Vec<String>,
}

/// The analysis that stored responses are the rows of: with what the newest stored analysis says besides, or, where the
/// sources were read since, with what that reading says.
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
        // As it was stored: stored again it is the same row.
        analysis.responses.clear();
    }
    if let Some(facts) = newest {
        return Ok(analysis.with_facts(facts));
    }
    analysis.processing_duration = watch.elapsed();
    analysis.memory_usage_mb = peak_memory_mib();
    // What outlived its source is in the total and not in the snapshots of the files that are left.
    analysis.accuracy_ratio = metadata.accuracy_ratio.unwrap_or(1.0).min(1.0);
    analysis.files_processed = summary.map_or(0, |summary| summary.files);
    analysis.content_categories = metadata.content_categories;
    if !metadata.analysis_version.is_empty() {
        analysis.analysis_version = metadata.analysis_version;
    }
    Ok(analysis)
}

/// What a version does not vouch for is not handed out.
fn damaged_note(session: &SessionId) -> BridgeError {
    BridgeError::Storage {
        operation: "read the stored analysis",
        kind: StorageKind::Corrupt,
        message: format!("the analysis of session {session}: its version does not vouch for what it says"),
        context: Box::default(),
        source: None,
    }
}

fn not_summable(operation: &'static str, overflow: CountOverflow) -> BridgeError {
    BridgeError::Storage {
        operation,
        kind: StorageKind::Corrupt,
        message: "the counters cannot be summed".to_owned(),
        context: Box::default(),
        source: Some(Box::new(overflow)),
    }
}
