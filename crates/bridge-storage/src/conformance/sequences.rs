//! Random sequences of calls, compared with the store in memory.

use bridge_core::{ResponseUsage, SessionId, TimeRange};
use proptest::prelude::*;

use super::{Rows, all_stored, at, session};
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
        let options = UpsertOptions { force: rows.draw(&(0..4)) == 0, run_id: step as u128, epoch: None };
        let outcomes = store.upsert(&written, &options).await.unwrap();
        assert_eq!(outcomes, model.upsert(&written, &options).await.unwrap(), "step {step}: {written:?}");
        compare(store, &model, &Question::draw(&mut rows), step).await;
    }
    compare(store, &model, &Question::default(), STEPS).await;
}

/// A query of a reader.
#[derive(Debug, Default)]
struct Question {
    time: TimeRange,
    sessions: Option<Vec<SessionId>>,
    limit: Option<u32>,
}

impl Question {
    fn draw(rows: &mut Rows) -> Self {
        // The times of the rows are the first milliseconds of three days.
        let end = || prop::option::of((0_i64..4, 0_i64..4).prop_map(|(days, ms)| at(days * 86_400_000 + ms)));
        let names =
            prop::option::of(prop::collection::vec((0..4).prop_map(|n| session(&format!("n{n}"))), 0..3));
        let (start, end, sessions, limit) = rows.draw(&(end(), end(), names, prop::option::of(0_u32..4)));
        Self { time: TimeRange { start, end }, sessions, limit }
    }
}

async fn compare(store: &dyn TokenStore, model: &InMemoryStore, question: &Question, step: usize) {
    let mut filter = ResponseFilter::in_time(question.time);
    filter.sessions.clone_from(&question.sessions);
    let read: Vec<ResponseUsage> = store.responses(&filter).await.unwrap();
    assert_eq!(read, model.responses(&filter).await.unwrap(), "step {step}: {question:?}");
    let totals = store.totals(&filter).await.unwrap();
    assert_eq!(totals, model.totals(&filter).await.unwrap(), "step {step}: {question:?}");
    for dimension in
        [Dimension::Project, Dimension::Model, Dimension::Host, Dimension::Session, Dimension::Day]
    {
        let rows = store.breakdown(dimension, &filter, question.limit).await.unwrap();
        let expected = model.breakdown(dimension, &filter, question.limit).await.unwrap();
        assert_eq!(rows, expected, "step {step}, {dimension:?}: {question:?}");
    }
    let mut filter = SummaryFilter::active_in(question.time).with_metadata(true);
    filter.sessions.clone_from(&question.sessions);
    filter.limit = question.limit;
    let summaries = store.summaries(&filter).await.unwrap();
    assert_eq!(summaries, model.summaries(&filter).await.unwrap(), "step {step}: {question:?}");
    if let Some(rows) = all_stored(store).await {
        assert!(rows.iter().all(StoredResponse::is_intact), "step {step}");
        assert_eq!(rows, model.stored(&StoredScope::all()).await.unwrap(), "step {step}");
    }
}
