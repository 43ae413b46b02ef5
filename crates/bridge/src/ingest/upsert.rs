//! Writes rows to the store.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use bridge_analysis::ProjectNames;
use bridge_core::{
    BridgeError, EnhancedTokenAnalysis, Origin, ResponseKey, ResponseUsage, SessionId, SharedAssignment,
};
use bridge_storage::{Dimension, ReplacedRow, ResponseFilter, UpsertOptions, UpsertOutcome, markers};

use crate::ingest::Ingest;
use crate::ingest::projects::update_projects;
use crate::telemetry::current::current_assignment;
use crate::telemetry::write_counters::WriteCounters;

/// Maximum number of rows per upsert. Rows already stored are recorded in the audit even if the next upsert fails.
const UPSERT_ROWS_MAX: usize = 100_000;

/// Rows, and the outcome of each.
#[derive(Debug, Default)]
pub(crate) struct StoredRows {
    pub(crate) rows: Vec<ResponseUsage>,
    pub(crate) outcomes: Vec<UpsertOutcome>,
    /// The session sums that markers covered.
    pub(crate) covered: Vec<ReplacedRow>,
}

impl StoredRows {
    fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
        self.outcomes.append(&mut other.outcomes);
        self.covered.append(&mut other.covered);
    }

    /// Returns the sessions whose sums do not count, because responses of those sessions are stored.
    fn covered_sessions(&self) -> impl Iterator<Item = &SessionId> {
        let covered = self.rows.iter().zip(&self.outcomes);
        let covered = covered.filter(|(_, outcome)| **outcome == UpsertOutcome::Covered);
        covered.map(|(row, _)| &row.session)
    }

    /// Returns the part of the rows that belongs to one analysis.
    ///
    /// The covered sums of a session belong to the first part with responses of that session, and to no other, so that
    /// the parts add up to what was replaced.
    pub(crate) fn take_part(&mut self, range: Range<usize>) -> AnalysisPart<'_> {
        let (rows, outcomes) = (&self.rows[range.clone()], &self.outcomes[range]);
        let covers = |sums: &mut ReplacedRow| {
            rows.iter().any(|row| row.origin.is_response() && row.session == sums.session)
        };
        let covered = self.covered.extract_if(.., covers).map(|sums| sums.tokens);
        let covered_tokens = covered.fold(0, u64::saturating_add);
        AnalysisPart { rows, outcomes, covered_tokens }
    }
}

/// The rows of one analysis among those of others.
pub(crate) struct AnalysisPart<'a> {
    pub(crate) rows: &'a [ResponseUsage],
    pub(crate) outcomes: &'a [UpsertOutcome],
    /// The tokens of the session sums that its responses covered.
    pub(crate) covered_tokens: u64,
}

/// Returns the rows of an analysis, with all names in their stored form, and its note.
///
/// Up to [`UPSERT_ROWS_MAX`] of them are written by one insert: such an analysis is stored as a whole or not at all.
pub(crate) fn rows_of(ingest: &Ingest, analysis: &EnhancedTokenAnalysis) -> Vec<ResponseUsage> {
    let mut rows = analysis.rows();
    for row in rows.iter_mut().filter(|row| row.origin.is_counted()) {
        if let Some(name) = &row.project
            && let Some(shown) = ingest.analyzer.project_names.shown(name)
        {
            ingest.analyzer.seen_projects.record(name, &shown);
        }
        // The rules know projects by their whole names.
        let ruled = ingest.analyzer.assignments.assignment(None, row.project.as_ref());
        row.assignment = (*row.assignment).clone().or(&ruled).into();
    }
    rows.push(analysis.note());
    rows.iter_mut().for_each(|row| ingest.analyzer.project_names.apply_to(row));
    rows
}

/// Merges rows into the store, with the assignment of the running operation.
pub(crate) async fn upsert(
    ingest: &Ingest,
    mut rows: Vec<ResponseUsage>,
    options: &UpsertOptions,
) -> Result<StoredRows, BridgeError> {
    assign(&mut rows, &ingest.analyzer.project_names);
    let stored = upsert_parts(ingest, rows, options).await?;
    update_projects(ingest).await;
    Ok(stored)
}

async fn upsert_parts(
    ingest: &Ingest,
    rows: Vec<ResponseUsage>,
    options: &UpsertOptions,
) -> Result<StoredRows, BridgeError> {
    if rows.len() <= UPSERT_ROWS_MAX {
        return upsert_part(ingest, rows, options).await;
    }
    let mut options = options.clone();
    if options.epoch.is_none() {
        // All parts belong to one operation, so after a rollback none of the remaining ones may be stored.
        options = options.begun_in(ingest.writable_epoch("store responses").await?);
    }
    let mut stored = StoredRows::default();
    for part in rows.chunks(UPSERT_ROWS_MAX) {
        stored.append(upsert_part(ingest, part.to_vec(), &options).await?);
    }
    Ok(stored)
}

/// Adds the assignment of the running operation to the rows that count. Their own one is from the rules, by which it is
/// completed.
fn assign(rows: &mut [ResponseUsage], project_names: &ProjectNames) {
    let assignment = current_assignment();
    if assignment.is_empty() {
        return;
    }
    let assignment = project_names.shown_assignment((*assignment).clone());
    // Neighboring rows mostly share theirs.
    let (mut ruled, mut both) = (SharedAssignment::default(), SharedAssignment::from(assignment.clone()));
    for row in rows.iter_mut().filter(|row| row.origin.is_counted()) {
        if row.assignment != ruled {
            ruled = row.assignment.clone();
            both = assignment.clone().or(&ruled).into();
        }
        row.assignment = both.clone();
    }
}

/// Appends the sessions' markers to the rows, so that their outcomes say which sums they covered.
async fn upsert_part(
    ingest: &Ingest,
    mut rows: Vec<ResponseUsage>,
    options: &UpsertOptions,
) -> Result<StoredRows, BridgeError> {
    let number = rows.len();
    let known: HashSet<ResponseKey> =
        rows.iter().filter(|row| row.origin == Origin::Covered).map(|row| row.key).collect();
    rows.extend(markers(&rows).into_iter().filter(|marker| !known.contains(&marker.key)));
    let mut outcomes = ingest.store.upsert(&rows, options).await?;
    ingest.telemetry.record_write(&WriteCounters::of_upsert(&rows, &outcomes, options.force));
    let covered = rows.iter().zip(&outcomes).filter_map(|(row, outcome)| match outcome {
        UpsertOutcome::Replaced(sums) if row.origin == Origin::Covered => Some(sums.clone()),
        _ => None,
    });
    let covered = covered.collect();
    rows.truncate(number);
    outcomes.truncate(number);
    Ok(StoredRows { rows, outcomes, covered })
}

/// Returns the stored tokens of each session whose sums are covered; none if they cannot be read, because the rows are
/// stored nevertheless.
pub(crate) async fn covering_tokens(ingest: &Ingest, stored: &StoredRows) -> BTreeMap<SessionId, u64> {
    let mut tokens: BTreeMap<SessionId, u64> =
        stored.covered_sessions().map(|session| (session.clone(), 0)).collect();
    if tokens.is_empty() {
        return tokens;
    }
    let filter = ResponseFilter::of_sessions(tokens.keys().cloned().collect());
    let rows = match ingest.store.breakdown(Dimension::Session, &filter, None).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(%error, "cannot read the tokens that cover the sums");
            return BTreeMap::new();
        }
    };
    for row in rows {
        if let Some(tokens) = SessionId::new(row.name).ok().and_then(|session| tokens.get_mut(&session)) {
            *tokens = row.totals.counts.total();
        }
    }
    tokens
}
