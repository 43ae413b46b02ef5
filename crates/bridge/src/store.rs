//! Storing analyses.

use bridge_core::{
    BridgeError, BridgeResult, EnhancedTokenAnalysis, ResponseUsage, SessionId, Stopwatch, ValidationResult,
    Violation,
};
use bridge_storage::{SourceRecord, UpsertOptions, UpsertOutcome};

use crate::EnhancedTokenDatabaseBridge;
use crate::error_rate::Outcome;
use crate::metrics::StoreCall;
use crate::operation::Operation;
use crate::running::{self, Written};

/// So many rows are stored at once. What is stored is on record even where the next ones fail.
const UPSERT_ROWS_MAX: usize = 100_000;

/// How an analysis is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreOptions {
    /// The session that the analysis must be of.
    pub session_id: Option<SessionId>,
    /// Replace stored rows even by lesser ones: the one way in which a figure goes down.
    pub force_update: bool,
}

impl StoreOptions {
    pub(crate) fn upsert(&self) -> UpsertOptions {
        let options = UpsertOptions::default().with_run_id(fastrand::u128(1..));
        if self.force_update { options.forced() } else { options }
    }
}

impl EnhancedTokenDatabaseBridge {
    /// Stores an analysis: joins its responses into the store. What is there already is not written again.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, StoreOptions, storage::InMemoryStore};
    /// # use bridge::core::{AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp};
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let (session, time) = (SessionId::new("s")?, "2026-01-31T12:00:00Z".parse::<Timestamp>()?);
    /// let analysis = |output| {
    ///     let mut response = ResponseUsage::new(ResponseKey(1), session.clone(), time);
    ///     response.counts.output = output;
    ///     EnhancedTokenAnalysis::from_responses(AnalysisId::new("a")?, session.clone(), time, vec![response])
    ///         .map_err(Box::<dyn std::error::Error>::from)
    /// };
    /// let result = bridge.store_enhanced_analysis(&analysis(900)?, &StoreOptions::default()).await?;
    /// assert_eq!((result.records_stored, result.total_tokens), (1, 900));
    ///
    /// // Less is no news, unless it is forced.
    /// let result = bridge.store_enhanced_analysis(&analysis(90)?, &StoreOptions::default()).await?;
    /// assert_eq!(result.records_stored, 0);
    /// let force = StoreOptions { force_update: true, ..StoreOptions::default() };
    /// let result = bridge.store_enhanced_analysis(&analysis(90)?, &force).await?;
    /// assert_eq!(result.records_stored, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::Validation`] with every violation, and then nothing of it is stored;
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] where the store fails.
    pub async fn store_enhanced_analysis(
        &self,
        analysis: &EnhancedTokenAnalysis,
        options: &StoreOptions,
    ) -> Result<BridgeResult, BridgeError> {
        let watch = Stopwatch::start();
        self.run(Operation::StoreEnhancedAnalysis, Some(&analysis.session_id), async {
            self.validate(analysis, options.session_id.as_ref())?;
            let (rows, upsert) = (self.rows_of(analysis), options.upsert());
            let planned = planned(analysis, options.force_update);
            let announced = self.announce(planned, analysis.calculated_total_tokens);
            let (outcomes, ()) = tokio::join!(self.upsert(&rows, &upsert), announced);
            Ok(result_of(analysis, &outcomes?, &watch))
        })
        .await
    }

    /// The analysis' rows, with the projects' names as they may be stored.
    pub(crate) fn rows_of(&self, analysis: &EnhancedTokenAnalysis) -> Vec<ResponseUsage> {
        let mut rows = analysis.rows();
        let names = &self.inner.analyzer.project_names;
        for project in rows.iter_mut().filter_map(|row| row.project.as_mut()) {
            *project = names.shown(project);
        }
        rows
    }

    /// Joins rows into the store; no summary that was read before is served afterwards.
    pub(crate) async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        let mut options = options.clone();
        if rows.len() > UPSERT_ROWS_MAX && options.epoch.is_none() {
            options = options.begun_in(self.writable_epoch("store responses").await?);
        }
        let mut outcomes = Vec::with_capacity(rows.len());
        for rows in rows.chunks(UPSERT_ROWS_MAX) {
            self.inner.cache.invalidate();
            let stored = self.measured(StoreCall::Upsert, self.inner.store.upsert(rows, &options)).await;
            self.inner.cache.invalidate();
            let stored = stored?;
            self.book(&Written::by(rows, &stored, options.force));
            outcomes.extend(stored);
        }
        Ok(outcomes)
    }

    /// Books what was written: in the metrics, and on the running operation.
    pub(crate) fn book(&self, written: &Written) {
        self.inner.metrics.wrote(written);
        running::book(written);
    }

    /// Writes what was read of source files; summaries show it at once.
    pub(crate) async fn put_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        let result = self.measured(StoreCall::PutSources, self.inner.store.put_sources(records)).await;
        self.inner.cache.invalidate();
        result
    }

    /// Measures how long the store takes, and counts how it ends.
    pub(crate) async fn measured<T>(
        &self,
        call: StoreCall,
        work: impl Future<Output = Result<T, BridgeError>>,
    ) -> Result<T, BridgeError> {
        let watch = Stopwatch::start();
        let answer = work.await;
        self.inner.metrics.stored(call, watch.elapsed());
        self.counted(answer)
    }

    pub(crate) fn validate(
        &self,
        analysis: &EnhancedTokenAnalysis,
        session: Option<&SessionId>,
    ) -> Result<(), BridgeError> {
        let mut result = match &self.inner.validator {
            Some(validator) => validator.validate_analysis(analysis),
            None => ValidationResult::default(),
        };
        if let Some(session) = session.filter(|session| **session != analysis.session_id) {
            result.violations.push(Violation {
                field: "session_id".to_owned(),
                rule: "session",
                message: format!("{} is not the session asked for, {session}", analysis.session_id),
            });
        }
        if result.is_valid() {
            return Ok(());
        }
        self.count(Outcome::Failure);
        Err(BridgeError::Validation {
            session: analysis.session_id.to_string(),
            result,
            context: Box::default(),
        })
    }
}

/// What storing the analysis will write where nothing of it is stored yet.
pub(crate) fn planned(analysis: &EnhancedTokenAnalysis, forced: bool) -> Written {
    Written::planned(analysis.responses.len() as u64, analysis.calculated_total_tokens, forced)
}

pub(crate) fn result_of(
    analysis: &EnhancedTokenAnalysis,
    outcomes: &[UpsertOutcome],
    watch: &Stopwatch,
) -> BridgeResult {
    let new = outcomes.iter().filter(|outcome| **outcome == UpsertOutcome::New).count() as u64;
    let written = outcomes.iter().filter(|outcome| **outcome != UpsertOutcome::Unchanged).count() as u64;
    BridgeResult {
        success: true,
        records_stored: written,
        new_responses: new,
        total_tokens: analysis.calculated_total_tokens,
        processing_time: watch.elapsed(),
        errors: Vec::new(),
        session_id: Some(analysis.session_id.clone()),
    }
}

pub(crate) fn failed(analysis: &EnhancedTokenAnalysis, error: &BridgeError) -> BridgeResult {
    BridgeResult {
        success: false,
        records_stored: 0,
        new_responses: 0,
        total_tokens: analysis.calculated_total_tokens,
        processing_time: std::time::Duration::ZERO,
        errors: vec![error.to_string()],
        session_id: Some(analysis.session_id.clone()),
    }
}
