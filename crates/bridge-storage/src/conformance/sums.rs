//! Promises about sums without responses, and about the notes of analyses.

use bridge_core::{
    AnalysisId, ContentCategory, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, RuleRevision, SessionId,
};
use std::time::Duration;

use super::{all_stored, at, response, session};
use crate::{
    ReplacedRow, ResponseFilter, StoredResponse, SummaryFilter, TokenStore, UpsertOptions, UpsertOutcome,
};

const NEW: UpsertOutcome = UpsertOutcome::New;

/// An analysis of session `s` that knows its output tokens only.
fn analysis(id: &str, millis: i64, output: u64) -> EnhancedTokenAnalysis {
    let mut analysis = EnhancedTokenAnalysis::from_responses(
        AnalysisId::new(id).unwrap(),
        session("s"),
        at(millis),
        Vec::new(),
    )
    .unwrap();
    analysis.reported_output_tokens = output;
    analysis.calculated_total_tokens = output;
    analysis
}

pub(super) fn sums(id: &str, millis: i64, output: u64) -> ResponseUsage {
    analysis(id, millis, output).rows().remove(0)
}

pub(super) fn replaced(tokens: u64) -> UpsertOutcome {
    UpsertOutcome::Replaced(ReplacedRow {
        session: session("s"),
        tokens,
        rule_revision: RuleRevision::CURRENT,
        usage: None,
    })
}

pub(super) async fn put(store: &dyn TokenStore, row: &ResponseUsage) -> UpsertOutcome {
    store.upsert(std::slice::from_ref(row), &UpsertOptions::default()).await.unwrap().remove(0)
}

pub(super) async fn force(store: &dyn TokenStore, row: &ResponseUsage) -> UpsertOutcome {
    store.upsert(std::slice::from_ref(row), &UpsertOptions::default().forced()).await.unwrap().remove(0)
}

/// Responses and output tokens.
pub(super) async fn totals(store: &dyn TokenStore) -> (u64, u64) {
    let totals = store.totals(&ResponseFilter::default()).await.unwrap();
    (totals.responses, totals.counts.output)
}

/// Sums of a session are one row, whatever their analyses are called; the newest analysis wins, and force says what it
/// replaces.
pub async fn sums_of_a_session_are_one_row_of_the_newest_analysis(store: &dyn TokenStore) {
    assert_eq!(put(store, &sums("a", 1, 150)).await, NEW);
    assert_eq!(put(store, &sums("b", 2, 160)).await, replaced(150));
    assert_eq!(put(store, &sums("a", 1, 150)).await, UpsertOutcome::Unchanged);
    assert_eq!(totals(store).await, (1, 160));
    assert_eq!(force(store, &sums("a", 1, 150)).await, replaced(160));
    assert_eq!(totals(store).await, (1, 150));
    assert_eq!(put(store, &sums("c", 3, 5)).await, replaced(150));
    assert_eq!(totals(store).await, (1, 5));
    assert!(all_stored(store).await.is_none_or(|rows| rows.iter().all(StoredResponse::is_intact)));
}

/// If responses of a session are stored, they alone count: sums before them are covered, sums after them are refused,
/// by force too, also where the responses have moved to another session since.
pub async fn responses_alone_count_whichever_came_first(store: &dyn TokenStore) {
    put(store, &sums("a", 1, 150)).await;
    assert_eq!(put(store, &response(1, 10)).await, NEW);
    assert_eq!(totals(store).await, (1, 10));
    assert_eq!(put(store, &sums("b", 2, 160)).await, UpsertOutcome::Covered);
    assert_eq!(force(store, &sums("c", 3, 170)).await, UpsertOutcome::Covered);
    assert_eq!(totals(store).await, (1, 10));
    let moved = ResponseUsage { session: session("t"), ..response(1, 11) };
    assert_eq!(put(store, &moved).await, replaced(10));
    assert_eq!(put(store, &sums("d", 4, 180)).await, UpsertOutcome::Covered);
    assert_eq!(totals(store).await, (1, 11));
    let names: Vec<String> = store
        .summaries(&SummaryFilter::default())
        .await
        .unwrap()
        .into_iter()
        .map(|summary| summary.session_id.to_string())
        .collect();
    assert_eq!(names, ["t"]);
}

/// The same within one call, and a caller who brings the marker himself finds what it covered.
pub async fn a_marker_tells_what_it_covered(store: &dyn TokenStore) {
    let rows = [sums("a", 1, 150), response(1, 10)];
    let outcomes = store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    assert_eq!(outcomes, [UpsertOutcome::Covered, NEW]);
    let other = SessionId::new("t").unwrap();
    let mut sums = sums("b", 1, 160);
    (sums.key, sums.session) = (ResponseKey::of_session_sums(&other), other.clone());
    put(store, &sums).await;
    let mut rows = vec![ResponseUsage { session: other.clone(), ..response(2, 20) }];
    rows.extend(crate::markers(&rows));
    let outcomes = store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let covered = UpsertOutcome::Replaced(ReplacedRow {
        session: other,
        tokens: 160,
        rule_revision: RuleRevision::CURRENT,
        usage: None,
    });
    assert_eq!(outcomes, [NEW, covered]);
    assert_eq!(totals(store).await, (2, 30));
}

/// Writers of sums and of responses at once: in whatever order they come in, the responses count.
pub async fn sums_that_race_with_responses_count_nothing(store: &dyn TokenStore) {
    for round in 0..12_i64 {
        let name = session(&format!("s{round}"));
        let mut sums = sums("a", round, 1000);
        (sums.key, sums.session) = (ResponseKey::of_session_sums(&name), name.clone());
        let newer = ResponseUsage { time: at(round + 1), ..sums.clone() };
        let key = u128::from(round.unsigned_abs()) + 1;
        let row = ResponseUsage { session: name, ..response(key, 1) };
        let (normal, by_force) = (UpsertOptions::default(), UpsertOptions::default().forced());
        let (first, second, third) = ([sums], [newer], [row]);
        let (a, b, c) = tokio::join!(
            store.upsert(&first, &normal),
            store.upsert(&third, &normal),
            store.upsert(&second, &by_force),
        );
        a.and(b).and(c).unwrap();
    }
    assert_eq!(totals(store).await, (12, 12));
}

/// The note of an analysis is stored with its counters and comes back; that of the newest analysis stays.
pub async fn what_an_analysis_says_comes_back(store: &dyn TokenStore) {
    let mut newest = analysis("the \\ \"newest\" 日本", 9, 160);
    newest.accuracy_ratio = 0.1 + 0.2;
    newest.undercount_percentage = 12.5;
    newest.files_processed = 7;
    newest.content_categories =
        [(ContentCategory::ClaudeMd, 5), (ContentCategory::Thinking, u64::MAX)].into();
    newest.processing_duration = Duration::from_nanos(1_234_567_891);
    newest.memory_usage_mb = 41.7;
    newest.analysis_version = "theirs".to_owned();
    for analysis in [analysis("old", 1, 150), newest.clone(), analysis("older", 0, 140)] {
        let rows = [analysis.rows(), vec![analysis.note()]].concat();
        let outcomes = store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
        assert_eq!(outcomes[1], UpsertOutcome::Unchanged);
    }
    let filter = SummaryFilter::default().with_metadata(true);
    let summary = store.summaries(&filter).await.unwrap().remove(0);
    let metadata = summary.metadata.unwrap();
    assert_eq!(metadata.analysis, Some(newest.facts()));
    assert_eq!((summary.files, summary.total_tokens, summary.responses), (7, 160, 1));
    assert_eq!((metadata.accuracy_ratio, metadata.last_sync), (Some(0.1 + 0.2), None));
    assert_eq!(
        (metadata.content_categories, metadata.analysis_version),
        (newest.content_categories, "theirs".to_owned())
    );
}
