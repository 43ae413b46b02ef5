//! The router: in process on the in-memory store, behind a faulty network, and once over a socket on a real engine.

mod blocks;
mod budgets;
mod context;
mod entries;
mod fleet;
mod hostile;
mod metrics;
mod outage;
mod page;
mod reader;
mod resources;
mod schema;
mod served;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bridge::storage::{InMemoryStore, TokenStore, UpsertOptions};
use bridge::web::{WebOptions, router};
use bridge::{AuditOptions, EnhancedTokenDatabaseBridge, ManualClock, ModelName, ProjectName, ResponseUsage};
use bridge_testkit::fixtures::{now, response};
use serde_json::Value;
use tower::ServiceExt;

/// An answer of the router.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    /// Returns the body, which is of the status, and of this definition of the schema.
    fn of(&self, definition: &str, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        let is_problem = definition == "Problem";
        let media_type = if is_problem { "application/problem+json" } else { "application/json" };
        assert_eq!(self.header("content-type"), media_type);
        schema::assert_valid(definition, &self.json());
        self.json()
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
}

/// Returns a push of entries.
fn push(target: &str, media_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(target).header("content-type", media_type).body(body.into()).unwrap()
}

async fn get(router: &Router, target: &str) -> Answer {
    send(router, Request::get(target).body(Body::empty()).unwrap()).await
}

/// Options with answers that are shared only while they are made.
fn fresh() -> WebOptions {
    WebOptions::default().with_answer_ttl(Duration::ZERO)
}

fn bridge_of(store: Arc<dyn TokenStore>) -> EnhancedTokenDatabaseBridge {
    let audit = AuditOptions::default().with_write_within(Duration::from_hours(1));
    crate::builder(store, &["none".as_ref()]).clock(Arc::new(ManualClock::new(now()))).audit(audit).build()
}

/// A response of the session, model `m-SESSION`, project `p`.
fn row(session: &str, key: u128, output: u64) -> ResponseUsage {
    let mut row = response(session, key, output);
    row.model = Some(ModelName::new(format!("m-{session}")).unwrap());
    row.project = Some(ProjectName::new("p").unwrap());
    row
}

/// A bridge whose store has sessions `a` with 30 tokens in 2 responses, `b` with 12 in one, and `c` with 5.
async fn stored() -> EnhancedTokenDatabaseBridge {
    let store = Arc::new(InMemoryStore::default());
    let rows = [row("a", 1, 10), row("a", 2, 20), row("b", 3, 12), row("c", 4, 5)];
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    bridge_of(store)
}

async fn service() -> Router {
    router(stored().await, fresh())
}
