//! Random sequences of calls, compared with the store in memory.

use bridge_core::{ResponseUsage, SessionId};
use proptest::prelude::*;

use super::dashboard::response_filter;
use super::{Rows, all_stored, session};
use crate::{
    Dimension, InMemoryStore, IntegrityStore, ResponseFilter, StoredResponse, StoredScope, SummaryFilter,
    TokenStore, UpsertOptions,
};

/// The number of calls that write, each followed by one of each kind that reads.
const STEPS: usize = 40;

/// After any sequence of stores, forced ones among them, every read answers as the model does.
pub async fn any_sequence_gives_what_the_model_gives(store: &dyn TokenStore) {
    let model = InMemoryStore::default();
    let mut rows = Rows::new(3);
    for step in 0..STEPS {
        let number = rows.draw(&(0_usize..6));
        let written = rows.mixed(number);
        let options = UpsertOptions {
            force: rows.draw(&(0..4)) == 0,
            run_id: step as u128,
            replaced_rows: rows.draw(&any::<bool>()),
            epoch: None,
        };
        let outcomes = store.upsert(&written, &options).await.unwrap();
        assert_eq!(outcomes, model.upsert(&written, &options).await.unwrap(), "step {step}: {written:?}");
        compare(store, &model, &Question::draw(&mut rows), step).await;
    }
    compare(store, &model, &Question::default(), STEPS).await;
}

/// A query of a reader.
#[derive(Debug, Default)]
struct Question {
    filter: ResponseFilter,
    sessions: Option<Vec<SessionId>>,
    limit: Option<u32>,
}

impl Question {
    fn draw(rows: &mut Rows) -> Self {
        let names =
            prop::option::of(prop::collection::vec((0..4).prop_map(|n| session(&format!("n{n}"))), 0..3));
        let (filter, sessions, limit) = rows.draw(&(response_filter(), names, prop::option::of(0_u32..4)));
        Self { filter, sessions, limit }
    }
}

async fn compare(store: &dyn TokenStore, model: &InMemoryStore, question: &Question, step: usize) {
    let mut filter = question.filter.clone();
    if let Some(sessions) = &question.sessions {
        filter = filter.with_sessions(sessions.iter().cloned());
    }
    let read: Vec<ResponseUsage> = store.responses(&filter).await.unwrap();
    assert_eq!(read, model.responses(&filter).await.unwrap(), "step {step}: {question:?}");
    let totals = store.totals(&filter).await.unwrap();
    assert_eq!(totals, model.totals(&filter).await.unwrap(), "step {step}: {question:?}");
    // A few dimensions after each step, every one several times.
    let label = Dimension::label("tenant").unwrap();
    for dimension in Dimension::ALL.iter().chain([&label]).skip(step % 4).step_by(4) {
        let rows = store.breakdown(dimension.clone(), &filter, question.limit).await.unwrap();
        let expected = model.breakdown(dimension.clone(), &filter, question.limit).await.unwrap();
        assert_eq!(rows, expected, "step {step}, {dimension}: {question:?}");
    }
    let mut filter = SummaryFilter::active_in(question.filter.time).with_metadata(true);
    filter.sessions.clone_from(&question.sessions);
    filter.limit = question.limit;
    let summaries = store.summaries(&filter).await.unwrap();
    assert_eq!(summaries, model.summaries(&filter).await.unwrap(), "step {step}: {question:?}");
    if let Some(rows) = all_stored(store).await {
        assert!(rows.iter().all(StoredResponse::is_intact), "step {step}");
        assert_eq!(rows, model.stored(&StoredScope::all()).await.unwrap(), "step {step}");
    }
}
