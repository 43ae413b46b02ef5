//! Storing analyses.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use bridge_core::{
    BridgeError, BridgeResult, EnhancedTokenAnalysis, Origin, ResponseKey, ResponseUsage, SessionId,
    Stopwatch, SupersededKey, ValidationResult, Violation,
};
use bridge_storage::{
    Dimension, ReplacedRow, ResponseFilter, SourceRecord, UpsertOptions, UpsertOutcome, markers,
};

use crate::EnhancedTokenDatabaseBridge;
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::metrics::StoreCall;
use crate::telemetry::operation::Operation;
use crate::telemetry::run::{self, WriteCounters};

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
    /// An analysis without responses brings the session's sums: one row a session, of the newest analysis. Where
    /// responses of the session are stored, before or after, they alone count, by force too; the result says how many
    /// tokens they are. What an analysis says besides its counters is stored in every case, the newest one's.
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
            let (stored, ()) = tokio::join!(self.upsert(rows, &upsert), announced);
            let stored = stored?;
            let covering = self.covering_tokens([&stored]).await?;
            Ok(result_of(analysis, &stored.part(0..stored.rows.len()), &covering, &watch))
        })
        .await
    }

    /// The analysis' rows, with the projects' names as they may be stored, and what it says besides.
    ///
    /// All are written by one insert: an analysis is there with what it says, or not at all.
    pub(crate) fn rows_of(&self, analysis: &EnhancedTokenAnalysis) -> Vec<ResponseUsage> {
        let mut rows = analysis.rows();
        rows.push(analysis.note());
        let names = &self.inner.analyzer.project_names;
        for project in rows.iter_mut().filter_map(|row| row.project.as_mut()) {
            *project = names.shown(project);
        }
        rows
    }

    /// Joins rows into the store; no summary that was read before is served afterwards.
    pub(crate) async fn upsert(
        &self,
        rows: Vec<ResponseUsage>,
        options: &UpsertOptions,
    ) -> Result<StoredRows, BridgeError> {
        if rows.len() <= UPSERT_ROWS_MAX {
            return self.upsert_part(rows, options).await;
        }
        let mut options = options.clone();
        if options.epoch.is_none() {
            options = options.begun_in(self.writable_epoch("store responses").await?);
        }
        let mut stored = StoredRows::default();
        for part in rows.chunks(UPSERT_ROWS_MAX) {
            stored.append(self.upsert_part(part.to_vec(), &options).await?);
        }
        Ok(stored)
    }

    /// The markers stand behind the rows, so that their outcomes say which sums they covered.
    async fn upsert_part(
        &self,
        mut rows: Vec<ResponseUsage>,
        options: &UpsertOptions,
    ) -> Result<StoredRows, BridgeError> {
        let number = rows.len();
        let known: HashSet<ResponseKey> =
            rows.iter().filter(|row| row.origin == Origin::Covered).map(|row| row.key).collect();
        rows.extend(markers(&rows).into_iter().filter(|marker| !known.contains(&marker.key)));
        self.inner.cache.invalidate();
        let stored = self.measured(StoreCall::Upsert, self.inner.store.upsert(&rows, options)).await;
        self.inner.cache.invalidate();
        let mut outcomes = stored?;
        self.book(&WriteCounters::by(&rows, &outcomes, options.force));
        let covered = rows.iter().zip(&outcomes).filter_map(|(row, outcome)| match outcome {
            UpsertOutcome::Replaced(sums) if row.origin == Origin::Covered => Some(sums.clone()),
            _ => None,
        });
        let covered = covered.collect();
        rows.truncate(number);
        outcomes.truncate(number);
        Ok(StoredRows { rows, outcomes, covered })
    }

    /// The stored tokens of the sessions whose sums were not stored for their responses.
    pub(crate) async fn covering_tokens(
        &self,
        stored: impl IntoIterator<Item = &StoredRows>,
    ) -> Result<BTreeMap<SessionId, u64>, BridgeError> {
        let covered = stored.into_iter().flat_map(StoredRows::covered_sessions);
        let mut tokens: BTreeMap<SessionId, u64> = covered.map(|session| (session.clone(), 0)).collect();
        if tokens.is_empty() {
            return Ok(tokens);
        }
        let filter = ResponseFilter::of_sessions(tokens.keys().cloned().collect());
        let totals = self.inner.store.breakdown(Dimension::Session, &filter, None).await;
        for row in self.counted(totals)? {
            if let Some(tokens) = SessionId::new(row.name).ok().and_then(|session| tokens.get_mut(&session)) {
                *tokens = row.totals.counts.total();
            }
        }
        Ok(tokens)
    }

    /// Covers keys that older revisions of the counting rule stored rows under; no summary that was read before is
    /// served afterwards.
    pub(crate) async fn cover(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError> {
        let covered = self.measured(StoreCall::Cover, self.inner.store.cover(keys, options)).await?;
        if !covered.is_empty() {
            self.inner.cache.invalidate();
            self.book(&WriteCounters::over(&covered));
        }
        Ok(covered)
    }

    /// Books what was written: in the metrics, and on the running operation.
    pub(crate) fn book(&self, written: &WriteCounters) {
        self.inner.metrics.wrote(written);
        run::book(written);
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
pub(crate) fn planned(analysis: &EnhancedTokenAnalysis, forced: bool) -> WriteCounters {
    WriteCounters::planned(analysis.responses.len() as u64, analysis.calculated_total_tokens, forced)
}

/// Rows that were stored, and what became of them.
#[derive(Debug, Default)]
pub(crate) struct StoredRows {
    pub(crate) rows: Vec<ResponseUsage>,
    /// One for each of the rows.
    pub(crate) outcomes: Vec<UpsertOutcome>,
    /// Sums of sessions that count no more since responses of them were stored.
    pub(crate) covered: Vec<ReplacedRow>,
}

impl StoredRows {
    fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
        self.outcomes.append(&mut other.outcomes);
        self.covered.append(&mut other.covered);
    }

    /// Sessions whose sums were not stored.
    fn covered_sessions(&self) -> impl Iterator<Item = &SessionId> {
        let covered = self.rows.iter().zip(&self.outcomes);
        let covered = covered.filter(|(_, outcome)| **outcome == UpsertOutcome::Covered);
        covered.map(|(row, _)| &row.session)
    }

    /// The rows of one analysis.
    pub(crate) fn part(&self, places: Range<usize>) -> AnalysisPart<'_> {
        AnalysisPart {
            rows: &self.rows[places.clone()],
            outcomes: &self.outcomes[places],
            covered: &self.covered,
        }
    }
}

/// What became of the rows of one analysis.
pub(crate) struct AnalysisPart<'a> {
    rows: &'a [ResponseUsage],
    outcomes: &'a [UpsertOutcome],
    covered: &'a [ReplacedRow],
}

pub(crate) fn result_of(
    analysis: &EnhancedTokenAnalysis,
    part: &AnalysisPart<'_>,
    covering: &BTreeMap<SessionId, u64>,
    watch: &Stopwatch,
) -> BridgeResult {
    let written = WriteCounters::by(part.rows, part.outcomes, false);
    let sums = part.covered.iter().filter(|sums| sums.session == analysis.session_id);
    let sums: u64 = sums.map(|sums| sums.tokens).sum();
    let is_covered = part.outcomes.contains(&UpsertOutcome::Covered);
    BridgeResult {
        success: true,
        records_stored: written.records,
        new_responses: written.new,
        total_tokens: analysis.calculated_total_tokens,
        replaced_tokens: written.tokens_replaced.saturating_add(sums),
        covered_by_tokens: covering.get(&analysis.session_id).copied().filter(|_| is_covered),
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
        replaced_tokens: 0,
        covered_by_tokens: None,
        processing_time: std::time::Duration::ZERO,
        errors: vec![error.to_string()],
        session_id: Some(analysis.session_id.clone()),
    }
}
