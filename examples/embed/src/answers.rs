//! Answers that are kept for a moment: however many ask, the store is asked once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bridge::Stopwatch;
use hyper::body::Bytes;
use tokio::sync::{OnceCell, Semaphore};

/// So old an answer may be: less than the page's interval.
const FRESH: Duration = Duration::from_secs(1);
/// So many questions are kept.
const QUESTIONS_MAX: usize = 64;
/// So many different questions are put to the store at once.
const QUERIES_MAX: usize = 4;

/// A response as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, HeaderValue::from_static(self.content_type))], self.body)
            .into_response()
    }
}

type Cell = Arc<OnceCell<(Stopwatch, Answer)>>;

/// The answers of the last moment, by question.
pub(crate) struct Answers<Q> {
    cells: Mutex<HashMap<Q, Cell>>,
    queries: Semaphore,
}

impl<Q: Eq + Hash> Answers<Q> {
    pub(crate) fn new() -> Self {
        Self { cells: Mutex::new(HashMap::new()), queries: Semaphore::new(QUERIES_MAX) }
    }

    /// Answers from memory, or with what the work finds. All who ask meanwhile wait for the same work; where its
    /// client goes away, the next one does it.
    pub(crate) async fn get(&self, question: Q, work: impl Future<Output = Answer>) -> Answer {
        let cell = self.cell(question);
        let work = async {
            // It is never closed.
            let _turn = self.queries.acquire().await;
            let answer = work.await;
            (Stopwatch::start(), answer)
        };
        cell.get_or_init(|| work).await.1.clone()
    }

    fn cell(&self, question: Q) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |cell: &Cell| cell.get().is_none_or(|(age, _)| age.elapsed() < FRESH);
        if let Some(cell) = cells.get(&question).filter(|cell| is_fresh(cell)) {
            return Arc::clone(cell);
        }
        cells.retain(|_, cell| is_fresh(cell));
        let cell = Cell::default();
        // With more questions than that, each is for itself.
        if cells.len() < QUESTIONS_MAX {
            cells.insert(question, Arc::clone(&cell));
        }
        cell
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn answer(number: u32) -> Answer {
        Answer { status: StatusCode::OK, content_type: "text/plain", body: number.to_string().into() }
    }

    #[tokio::test]
    async fn all_who_ask_at_once_wait_for_one_query() {
        let (answers, asked) = (Answers::new(), AtomicU32::new(0));
        let ask = |question: u32| {
            answers.get(question, async {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                answer(number)
            })
        };
        let (a, b, c, other) = tokio::join!(ask(1), ask(1), ask(1), ask(2));
        assert!(a.body == "0" && b.body == "0" && c.body == "0" && other.body == "1");
        assert_eq!(ask(1).await.body, "0");
    }

    #[tokio::test]
    async fn a_client_that_goes_away_leaves_the_work_to_the_next_and_many_questions_do_not_grow_the_memory() {
        let answers = Answers::new();
        let gone = tokio::time::timeout(Duration::ZERO, answers.get(0, std::future::pending()));
        assert!(gone.await.is_err());
        for question in 0..1000 {
            assert_eq!(answers.get(question, async { answer(question) }).await.body, question.to_string());
        }
        assert_eq!(answers.cells.lock().unwrap().len(), QUESTIONS_MAX);
    }
}
