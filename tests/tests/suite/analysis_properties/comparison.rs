//! Compares the analyzer's results with the reference model's, on every value that both compute.

use std::collections::{BTreeMap, BTreeSet};

use bridge_analysis::{AnalyzerOptions, FileAnalysis, History};
use bridge_core::{ModelName, Origin, ReceiptLine, ResponseKey, ResponseUsage, TimeRange, TokenCounts};
use bridge_testkit::Counters;
use bridge_testkit::reference::{self, Iteration, MessageKey, Outcome, ReferenceFile, ReferenceTotals};

use super::corpus::{Corpus, analyses};

/// Asserts that the analyzer and the reference model agree on the corpus.
pub(crate) fn assert_agreement(corpus: &Corpus, options: &AnalyzerOptions) {
    let (files, history) = corpus.read(options);
    let contents: BTreeMap<_, _> =
        corpus.files.iter().map(|file| &file.path).zip(&corpus.reference).collect();
    files.iter().for_each(|file| assert_damage_is_placed(file, contents[&file.file.path]));
    let totals = corpus.totals(options);
    assert_files(&history, &totals, options.strict || options.categories);
    assert_receipt(&history, &totals);
    assert_responses(&history, &totals);
    assert_sessions(&history, &totals);
}

/// In lenient mode, damage in a line without usage may be missed; all other damage must be found.
fn assert_files(history: &History, totals: &ReferenceTotals, every_line: bool) {
    let summary = history.summary(&TimeRange::ALL).unwrap();
    assert_eq!((summary.files, summary.bytes, summary.lines), (totals.files, totals.bytes, totals.lines));
    let damage = summary.receipt.damage;
    assert_eq!(
        (damage.bad_usage, damage.oversize_lines, damage.pending_lines),
        (totals.bad_usage, totals.oversize, totals.pending)
    );
    if every_line {
        assert_eq!(damage.bad_lines, totals.bad_lines);
    } else {
        assert!(damage.bad_lines <= totals.bad_lines);
    }
}

/// Asserts that each reported line number matches its offset.
fn assert_damage_is_placed(file: &FileAnalysis, content: &ReferenceFile) {
    let damage = file.damage;
    let count = damage.bad_lines + damage.bad_usage + damage.oversize_lines + damage.pending_lines;
    assert_eq!(file.damage_places.len() as u64, count.min(FileAnalysis::DAMAGE_PLACES_MAX as u64));
    for place in &file.damage_places {
        let before = &content.content[..usize::try_from(place.offset).unwrap()];
        assert!(before.last().is_none_or(|byte| *byte == b'\n'), "{place:?}");
        assert_eq!(before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1, place.line);
    }
}

fn assert_receipt(history: &History, totals: &ReferenceTotals) {
    let receipt = history.receipt();
    assert!(receipt.adds_up(), "{receipt:?}");
    let line = |count, tokens| ReceiptLine { count, tokens };
    assert_eq!(receipt.assistant_lines, line(totals.usage_lines, totals.naive));
    assert_eq!(receipt.nested, line(totals.nested_snapshots, totals.nested_naive));
    assert_eq!(receipt.total, line(totals.responses, totals.total));
    assert_eq!(
        (receipt.from_iterations.tokens, receipt.raised.tokens, receipt.advisor.tokens),
        (totals.from_iterations, totals.raised, totals.advisor_naive)
    );
    assert_eq!(
        (receipt.compaction.tokens, receipt.declined.tokens, receipt.other.tokens),
        (totals.compaction_naive, totals.declined_naive, totals.other_naive)
    );
    assert_eq!(
        (receipt.weak_snapshots.count, receipt.weak_responses),
        (totals.weak_snapshots, line(totals.weak.0, totals.weak.1))
    );
    assert_eq!(
        (receipt.repeats_within_files.tokens, receipt.copies_across_files.tokens),
        (totals.repeats_within_files, totals.copies_across_files)
    );
}

fn assert_responses(history: &History, totals: &ReferenceTotals) {
    let rows: BTreeMap<_, _> = history.responses().map(|row| (row.key, row.to_usage())).collect();
    assert_eq!(rows.len(), totals.by_response.len());
    let first_index = first_index_of_records(totals);
    for response in &totals.by_response {
        let key = stored_key(&response.key, &first_index, &rows);
        let row = rows.get(&key).unwrap_or_else(|| panic!("no row for {:?}", response.key));
        let agreed = response.outcomes.iter().any(|outcome| agrees(outcome, row));
        assert!(agreed, "{row:#?}\nis none of {:#?}", response.outcomes);
    }
}

fn agrees(outcome: &Outcome, row: &ResponseUsage) -> bool {
    // Empty and overlong names are ignored.
    let model = outcome.model.as_deref().and_then(|model| ModelName::new(model).ok());
    outcome.session == row.session.as_str()
        && model == row.model
        && outcome.project.as_deref() == row.project.as_ref().map(|name| name.as_str())
        && counts(&outcome.counters) == row.counts
        && outcome.finished == row.finished
        && outcome.time_millis == row.time.as_millis()
}

fn counts(counters: &Counters) -> TokenCounts {
    let Counters { input, output, cache_creation, cache_read } = *counters;
    TokenCounts { input, output, cache_creation, cache_read }
}

/// Returns the first snapshot index in the reference for each record without ids.
fn first_index_of_records(totals: &ReferenceTotals) -> BTreeMap<&[u8], usize> {
    let mut first = BTreeMap::new();
    for response in &totals.by_response {
        if let MessageKey::Record(bytes, index) = &response.key.message {
            let known = first.entry(&**bytes).or_insert(*index);
            *known = (*known).min(*index);
        }
    }
    first
}

/// Returns the hash of an exact key. Snapshot indexes of a progress record may be shifted by one, because the analyzer
/// counts an absent `data.message`.
fn stored_key(
    key: &reference::ResponseKey,
    first_index: &BTreeMap<&[u8], usize>,
    rows: &BTreeMap<ResponseKey, ResponseUsage>,
) -> ResponseKey {
    let message = match &key.message {
        MessageKey::Id(id) => ResponseKey::of_message(id, ""),
        MessageKey::IdAndRequest(id, request) => ResponseKey::of_message(id, request),
        MessageKey::Weak(id, [input, cache_creation, cache_read]) => {
            let (input, cache_creation, cache_read) = (*input, *cache_creation, *cache_read);
            ResponseKey::of_weak_message(id, &TokenCounts { input, output: 0, cache_creation, cache_read })
        }
        MessageKey::Uuid(uuid) => ResponseKey::of_uuid(uuid),
        MessageKey::Record(bytes, index) => {
            let first = ResponseKey::of_record(bytes, first_index[&**bytes] as u64);
            ResponseKey::of_record(bytes, *index as u64 + u64::from(!rows.contains_key(&first)))
        }
    };
    let Some((iteration, position)) = key.iteration else { return message };
    let origin = match iteration {
        Iteration::Advisor => Origin::Advisor,
        Iteration::Compaction => Origin::Compaction,
        Iteration::Declined => Origin::Declined,
        Iteration::Other => Origin::Other,
    };
    message.iteration(origin, position as u64)
}

/// Compares totals only if they do not depend on the last tie-break.
fn assert_sessions(history: &History, totals: &ReferenceTotals) {
    let summary = history.summary(&TimeRange::ALL).unwrap();
    assert_eq!((summary.responses, summary.counts.total()), (totals.responses, totals.total));
    if totals.counters_are_certain() {
        assert_eq!(summary.counts, counts(&totals.counters));
    }
    let analyses = analyses(history);
    assert_eq!(analyses.len() as u64, summary.sessions);
    let is_open = |session: &str| totals.open_sessions.contains(session);
    let closed = |session: &&String| !is_open(session);
    let found: BTreeSet<_> = analyses.iter().map(|analysis| analysis.session_id.to_string()).collect();
    assert!(found.iter().filter(closed).eq(totals.sessions.keys().filter(closed)));
    for analysis in analyses.iter().filter(|analysis| !is_open(analysis.session_id.as_str())) {
        let session = &totals.sessions[analysis.session_id.as_str()];
        assert_eq!(analysis.responses.len() as u64, session.responses);
        assert_eq!(analysis.calculated_total_tokens, session.counters.total());
        assert_eq!(analysis.accuracy_ratio, session.accuracy_ratio());
        assert_eq!(analysis.undercount_percentage, session.undercount_percentage());
        if totals.counters_are_certain() {
            assert_eq!(analysis.reported(), counts(&session.counters));
        }
    }
}
