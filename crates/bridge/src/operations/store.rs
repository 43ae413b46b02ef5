//! Stores an analysis.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{BridgeError, BridgeResult, EnhancedTokenAnalysis, SessionId, Stopwatch};
use bridge_storage::{UpsertOptions, UpsertOutcome};

use crate::ingest::Ingest;
use crate::ingest::upsert::{AnalysisPart, covering_tokens, rows_of, upsert};
use crate::telemetry::current::announce;
use crate::telemetry::write_counters::WriteCounters;

/// Options of storing an analysis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// If given, the session that the analysis must belong to.
    pub session_id: Option<SessionId>,
    /// Replace stored rows even by lesser ones: the only way a total can decrease.
    pub force_update: bool,
}

impl StoreOptions {
    /// Returns the options with the requirement that the analysis belongs to this session.
    #[must_use]
    pub fn with_session(mut self, session: SessionId) -> Self {
        self.session_id = Some(session);
        self
    }

    /// Returns the options with stored rows replaced even by lesser ones.
    #[must_use]
    pub fn with_force_update(mut self) -> Self {
        self.force_update = true;
        self
    }

    pub(crate) fn upsert_options(&self) -> UpsertOptions {
        let options = UpsertOptions::default().with_run_id(fastrand::u128(1..));
        if self.force_update { options.forced() } else { options }
    }
}

/// Merges an analysis into the store.
pub(crate) async fn store(
    ingest: &Ingest,
    analysis: &EnhancedTokenAnalysis,
    options: StoreOptions,
) -> Result<BridgeResult, BridgeError> {
    let watch = Stopwatch::start();
    ingest.validate(analysis, options.session_id.as_ref())?;
    let (rows, upsert_options) = (rows_of(ingest, analysis), options.upsert_options());
    let tokens = analysis.calculated_total_tokens;
    let planned = WriteCounters::planned(analysis.responses.len() as u64, tokens, options.force_update);
    // The announcement first: it is in the spool before the rows are on their way.
    let ((), stored) = tokio::join!(announce(planned, tokens), upsert(ingest, rows, &upsert_options));
    let mut stored = stored?;
    let covering = covering_tokens(ingest, &stored).await;
    let all = 0..stored.rows.len();
    Ok(result_of(analysis, &stored.take_part(all), &covering, &watch))
}

/// Returns the result of a stored analysis.
pub(crate) fn result_of(
    analysis: &EnhancedTokenAnalysis,
    part: &AnalysisPart<'_>,
    covering: &BTreeMap<SessionId, u64>,
    watch: &Stopwatch,
) -> BridgeResult {
    let written = WriteCounters::of_upsert(part.rows, part.outcomes, false);
    let is_covered = part.outcomes.contains(&UpsertOutcome::Covered);
    BridgeResult {
        success: true,
        records_stored: written.records,
        new_responses: written.new,
        total_tokens: analysis.calculated_total_tokens,
        replaced_tokens: written.tokens_replaced.saturating_add(part.covered_tokens),
        covered_by_tokens: covering.get(&analysis.session_id).copied().filter(|_| is_covered),
        processing_time: watch.elapsed(),
        errors: Vec::new(),
        session_id: Some(analysis.session_id.clone()),
    }
}

/// Returns the result of an analysis that was not stored.
pub(crate) fn failed(analysis: &EnhancedTokenAnalysis, error: &BridgeError) -> BridgeResult {
    BridgeResult {
        success: false,
        records_stored: 0,
        new_responses: 0,
        total_tokens: analysis.calculated_total_tokens,
        replaced_tokens: 0,
        covered_by_tokens: None,
        processing_time: Duration::ZERO,
        errors: vec![error.to_string()],
        session_id: Some(analysis.session_id.clone()),
    }
}
