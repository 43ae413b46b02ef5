//! Integrity check: compares the store with a live analysis of all sources, response by response.

mod comparison;
mod live;
mod markers;
mod repair;

use std::collections::HashSet;

use bridge_core::{
    BridgeError, IntegrityResult, RepairReport, ResponseKey, RuleRevision, SessionId, Stopwatch,
};
use bridge_storage::{ResponseFilter, SourceFilter, SourcePaths, StoredScope, require};

use crate::ingest::Ingest;
use crate::operations::backfill::{BackfillOptions, analyze};
use comparison::Comparison;
use live::LiveResponses;
use markers::Markers;
pub use repair::Repair;
use repair::apply;

/// Options of an integrity check.
///
/// ```
/// use bridge::{IntegrityOptions, Repair, SessionId};
///
/// let options = IntegrityOptions::default()
///     .with_session(SessionId::new("5e2c1c52-0b6f-4a8f-9d0c-3a9f6a1f9e11")?)
///     .with_tolerance(0.0)
///     .with_listed_max(10)
///     .with_repair(Repair::Off);
/// assert_eq!(options.listed_max, 10);
/// # Ok::<(), bridge::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct IntegrityOptions {
    /// Only this session; `None` for the whole store.
    pub session: Option<SessionId>,
    /// The share of tokens that may differ, 0 to 1. Any other value counts as 0.
    pub tolerance: f64,
    /// The level of repair.
    pub repair: Repair,
    /// Maximum number of listed differences of each kind; all are counted.
    pub listed_max: usize,
}

impl Default for IntegrityOptions {
    /// The whole store, a tolerance of one hundredth, no repair, a hundred listed differences of each kind.
    fn default() -> Self {
        Self { session: None, tolerance: 0.01, repair: Repair::Off, listed_max: 100 }
    }
}

impl IntegrityOptions {
    /// Returns the options with only this session.
    #[must_use]
    pub fn with_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Returns the options with at most this number of listed differences of each kind.
    #[must_use]
    pub fn with_listed_max(mut self, differences: usize) -> Self {
        self.listed_max = differences;
        self
    }

    /// Returns the options with this tolerance.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Returns the options with this repair.
    #[must_use]
    pub fn with_repair(mut self, repair: Repair) -> Self {
        self.repair = repair;
        self
    }
}

/// Number of responses compared at a time.
const SLICE_RESPONSES: u64 = 100_000;

/// Compares the store with its sources, and repairs it.
pub(crate) async fn verify(
    ingest: &Ingest,
    options: &IntegrityOptions,
) -> Result<IntegrityResult, BridgeError> {
    let watch = Stopwatch::start();
    // A concurrent synchronization would store what is being compared.
    let _turn = match options.repair {
        Repair::Off => None,
        _ => Some(ingest.syncs.turn().await),
    };
    let history = analyze(ingest, BackfillOptions::default()).await?;
    // Read after the sources, so that rows that expire meanwhile count as expired.
    let rows = require(ingest.store.integrity(), "verify")?;
    let retention_cutoff = rows.retention_cutoff(ingest.clock.now()).await?;
    let live = LiveResponses::new(history, retention_cutoff, streamed_sessions(ingest).await?);
    let mut result = IntegrityResult::new(options.session.clone(), sound_tolerance(options.tolerance));
    result.errors = live.errors();
    let repair = options.repair.permitted_by(&live);
    result.repair = (repair != Repair::Off).then(RepairReport::default);
    let scopes = scopes(ingest, options, &live).await?;
    let mut markers = Markers::default();
    for scope in &scopes {
        let mut comparison = compare(ingest, scope, &live, &mut markers).await?;
        let is_known = comparison.newest_revision <= RuleRevision::CURRENT;
        if !is_known {
            result.errors.push(unknown_revision(comparison.newest_revision));
        }
        if repair != Repair::Off && is_known {
            apply(ingest, repair, &mut comparison, &mut result).await?;
        }
        comparison.write_to(&mut result, options.listed_max);
        if let Some(report) = &mut result.repair {
            report.remaining += match comparison.is_repaired() {
                // Rows that the repair restored have their markers now.
                true => compare(ingest, scope, &live, &mut markers).await?.errors(),
                false => comparison.errors(),
            };
        }
    }
    let session = options.session.as_ref();
    let mut comparison = markers.compare(session, &live);
    if repair != Repair::Off && comparison.errors() > 0 {
        apply(ingest, repair, &mut comparison, &mut result).await?;
    }
    comparison.write_to(&mut result, options.listed_max);
    if let Some(report) = &mut result.repair {
        report.remaining += match comparison.is_repaired() {
            true => marker_errors(ingest, &scopes, session, &live).await?,
            false => comparison.errors(),
        };
    }
    result.passed = result.passes();
    result.duration = watch.elapsed();
    Ok(result)
}

/// Returns the sessions that were pushed or read from streams, on any host.
async fn streamed_sessions(ingest: &Ingest) -> Result<HashSet<SessionId>, BridgeError> {
    let streams = SourceFilter::default().of_paths(SourcePaths::Streams);
    let records = ingest.store.sources(&streams).await?;
    Ok(records.into_iter().filter(|record| record.snapshots > 0).map(|record| record.session).collect())
}

/// Returns the sessions that are still uncovered, by reading them again.
async fn marker_errors(
    ingest: &Ingest,
    scopes: &[StoredScope],
    session: Option<&SessionId>,
    live: &LiveResponses,
) -> Result<u64, BridgeError> {
    let mut markers = Markers::default();
    for scope in scopes {
        let _ = compare(ingest, scope, live, &mut markers).await?;
    }
    Ok(markers.compare(session, live).errors())
}

async fn compare(
    ingest: &Ingest,
    scope: &StoredScope,
    live: &LiveResponses,
    markers: &mut Markers,
) -> Result<Comparison, BridgeError> {
    let stored = require(ingest.store.integrity(), "verify")?.stored(scope).await?;
    let rows = live.rows(scope, &stored);
    markers.note(&stored, &rows);
    Ok(Comparison::new(scope, stored, rows, live))
}

/// Returns the scopes, which are compared one at a time.
async fn scopes(
    ingest: &Ingest,
    options: &IntegrityOptions,
    live: &LiveResponses,
) -> Result<Vec<StoredScope>, BridgeError> {
    if let Some(session) = &options.session {
        let mut keys = live.keys_of(session);
        // Its marker is checked whatever session was written into it.
        keys.push(ResponseKey::of_session_sums(session));
        return Ok(vec![StoredScope::Session { session: session.clone(), keys }]);
    }
    let stored = ingest.store.totals(&ResponseFilter::default()).await?.responses;
    Ok(slices(stored.max(live.responses()).div_ceil(SLICE_RESPONSES)))
}

/// Returns all keys in this number of ranges. Keys are hashes, so the ranges are about equally full.
fn slices(number: u64) -> Vec<StoredScope> {
    let number = u128::from(number.max(1));
    let width = u128::MAX / number;
    let first = |slice: u128| ResponseKey(slice * width);
    let last = |slice: u128| match slice + 1 == number {
        true => ResponseKey(u128::MAX),
        false => ResponseKey((slice + 1) * width - 1),
    };
    (0..number).map(|slice| StoredScope::Keys(first(slice)..=last(slice))).collect()
}

/// Refuses rows of a newer revision of the rule: those under other keys would be missed, and stored twice by a repair.
fn unknown_revision(revision: RuleRevision) -> String {
    let current = RuleRevision::CURRENT;
    format!(
        "the store holds rows of revision {revision} of the counting rule, and this version knows only {current}: nothing is checked or repaired"
    )
}

fn sound_tolerance(tolerance: f64) -> f64 {
    if (0.0..=1.0).contains(&tolerance) { tolerance } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_hold_every_key_once() {
        for number in [0, 1, 2, 3, 10] {
            let mut next = Some(0_u128);
            for slice in slices(number) {
                let StoredScope::Keys(range) = slice else { panic!("a range of keys") };
                assert_eq!(Some(range.start().0), next);
                assert!(range.end() >= range.start());
                next = range.end().0.checked_add(1);
            }
            assert_eq!(next, None);
        }
    }

    #[test]
    fn an_invalid_tolerance_counts_as_zero() {
        assert_eq!([f64::NAN, -0.1, 1.1, 0.5].map(sound_tolerance), [0.0, 0.0, 0.0, 0.5]);
    }
}
