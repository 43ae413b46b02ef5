//! Promises about counters that no transcript holds: rows of an older version or of another program.

use bridge_core::{
    ContentCategories, ContentCategory, DamageCounts, ResponseKey, ResponseUsage, TokenCounts, saturating_sum,
};

use super::sources::record;
use super::{Rows, at, checkpoints, response, session};
use crate::{
    DashboardFilter, Dimension, Direction, GroupOrder, GroupPage, InMemoryStore, ReceiptScope,
    ResponseFilter, SourceRecord, SummaryFilter, TokenStore, UpsertOptions,
};

/// Counters around the widths at which sums are taken in another way, or end.
const COUNTERS: [u64; 10] =
    [0, 1, 1_000_000_000, (1 << 32) - 1, 1 << 32, 1 << 62, 1 << 63, u64::MAX - 9, u64::MAX - 1, u64::MAX];

/// No counter of a row, nor any sum of two, wraps: a sum is exact, or the greatest number of 64 bits.
pub async fn sums_end_at_the_greatest_number(store: &dyn TokenStore) {
    let row = |key, output| response(key, output);
    store.upsert(&[row(1, 10), row(2, u64::MAX)], &UpsertOptions::default()).await.unwrap();
    let data = store.dashboard(&DashboardFilter::default()).await.unwrap();
    assert_eq!((data.totals.responses, data.totals.counts.output), (2, u64::MAX));
    assert_eq!(data.totals.counts.total(), u64::MAX);
    let totals = store.totals(&ResponseFilter::default()).await.unwrap();
    assert_eq!((totals.responses_worth_tokens, totals.counts.output), (2, u64::MAX));
    let summary = store.summaries(&SummaryFilter::default()).await.unwrap().remove(0);
    assert_eq!((summary.counts.output, summary.total_tokens), (u64::MAX, u64::MAX));

    // Counters that sum to 2^64 exactly are not worth nothing.
    let counts = TokenCounts { input: 1 << 63, cache_read: 1 << 63, ..TokenCounts::ZERO };
    store.upsert(&[ResponseUsage { counts, ..row(3, 0) }], &UpsertOptions::default()).await.unwrap();
    let totals = store.totals(&ResponseFilter::default()).await.unwrap();
    assert_eq!((totals.responses_worth_tokens, totals.counts.input), (3, 1 << 63));
    let data = store.dashboard(&DashboardFilter::default()).await.unwrap();
    assert_eq!(data.totals.responses_worth_tokens, 3);
}

/// Whatever counters rows and records of sources hold, every sum is the model's, which adds them one by one.
pub async fn sums_of_any_counters_are_the_models(store: &dyn TokenStore) {
    let model = InMemoryStore::default();
    let mut rows = Rows::new(9);
    for step in 0..8 {
        let written = draw_rows(&mut rows, step);
        let options = UpsertOptions::default();
        let outcomes = store.upsert(&written, &options).await.unwrap();
        assert_eq!(outcomes, model.upsert(&written, &options).await.unwrap(), "{written:?}");
        let sources = [draw_source(&mut rows, step, "n0"), draw_source(&mut rows, step, "n1")];
        store.put_sources(&sources).await.unwrap();
        model.put_sources(&sources).await.unwrap();
        compare(store, &model).await;
    }
    let all = store.responses(&ResponseFilter::default()).await.unwrap();
    let exact = saturating_sum(all.iter().map(|row| row.counts.output));
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.output, exact);
}

fn draw_rows(rows: &mut Rows, step: u32) -> Vec<ResponseUsage> {
    let mut written = rows.rows(4);
    for (row, place) in written.iter_mut().zip(0_u128..) {
        row.key = ResponseKey(u128::from(step) << 64 | place);
        let mut counter = || COUNTERS[rows.draw(&(0..COUNTERS.len()))];
        row.counts = TokenCounts {
            input: counter(),
            output: counter(),
            cache_creation: counter(),
            cache_read: counter(),
        };
        row.web_search_requests = row.web_search_requests.map(|_| counter());
    }
    written
}

fn draw_source(rows: &mut Rows, step: u32, name: &str) -> SourceRecord {
    let mut counter = || COUNTERS[rows.draw(&(0..COUNTERS.len()))];
    let mut damage = DamageCounts::default();
    damage.bad_lines = counter();
    SourceRecord {
        session: session(name),
        damage,
        lines: counter(),
        snapshots: counter(),
        snapshot_tokens: counter(),
        content_categories: ContentCategories::from([
            (ContentCategory::Thinking, counter()),
            (ContentCategory::UserMessages, counter()),
        ]),
        ..record(&format!("{name}-{step}"), at(i64::from(step)), 1)
    }
}

async fn compare(store: &dyn TokenStore, model: &InMemoryStore) {
    let all = ResponseFilter::default();
    assert_eq!(store.totals(&all).await.unwrap(), model.totals(&all).await.unwrap());
    for dimension in [Dimension::Project, Dimension::Session, Dimension::Day] {
        assert_eq!(
            store.breakdown(dimension.clone(), &all, None).await.unwrap(),
            model.breakdown(dimension, &all, None).await.unwrap()
        );
    }
    let summaries = SummaryFilter::default().with_metadata(true);
    assert_eq!(store.summaries(&summaries).await.unwrap(), model.summaries(&summaries).await.unwrap());
    for responses in [all, ResponseFilter::of_sessions(vec![session("n0")])] {
        for receipt in [ReceiptScope::Store, ReceiptScope::Omitted] {
            for order in [GroupOrder::Tokens, GroupOrder::CacheRead] {
                let sessions = GroupPage::default().sorted(order, Direction::Ascending);
                let responses = responses.clone();
                let filter =
                    DashboardFilter { responses, receipt, extra_counts: true, ..DashboardFilter::default() };
                let filter = filter.with_breakdown(Dimension::Session, sessions);
                assert_eq!(store.dashboard(&filter).await.unwrap(), model.dashboard(&filter).await.unwrap());
            }
        }
    }
}

/// A comparison with a checkpoint and its totals end at the greatest number, too.
pub async fn totals_of_a_checkpoint_end_at_the_greatest_number(store: &dyn TokenStore) {
    let name = bridge_core::CheckpointName::new("large").expect("a word");
    store.upsert(&[response(1, u64::MAX), response(2, u64::MAX)], &UpsertOptions::default()).await.unwrap();
    let checkpoint = checkpoints(store).create_checkpoint(&name, at(0)).await.unwrap();
    assert_eq!((checkpoint.totals.tokens, checkpoint.totals.responses), (u64::MAX, 2));
    store
        .upsert(
            &[ResponseUsage { session: session("t"), ..response(3, u64::MAX) }],
            &UpsertOptions::default(),
        )
        .await
        .unwrap();
    let comparison = checkpoints(store).compare_with_checkpoint(&name).await.unwrap();
    assert_eq!((comparison.now.tokens, comparison.then.tokens), (u64::MAX, u64::MAX));
    let differences: Vec<_> = comparison
        .differences
        .iter()
        .map(|difference| (difference.tokens_now, difference.tokens_then))
        .collect();
    assert_eq!((comparison.differing_sessions, differences), (1, vec![(u64::MAX, 0)]));
}
