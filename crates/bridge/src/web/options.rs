//! Options of the router.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use bridge_core::Actor;

#[cfg(feature = "page")]
use super::page::PageOptions;
use crate::handle::EnhancedTokenDatabaseBridge;

type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;
type ActorOf = Arc<dyn Fn(&Parts) -> Option<Actor> + Send + Sync>;

/// Options of the resource that takes pushed entries.
///
/// Their bodies are in memory: at most the product of the two, and again as much while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntriesOptions {
    /// Maximum length of a body in bytes; longer ones are answered with 413.
    pub body_bytes_max: usize,
    /// Maximum number of these requests at once; further ones are answered with 503.
    pub requests_max: usize,
}

impl Default for EntriesOptions {
    /// 16 MiB and 16 requests.
    fn default() -> Self {
        Self { body_bytes_max: 16 << 20, requests_max: 16 }
    }
}

impl EntriesOptions {
    /// Returns the options with this maximum length of a body in bytes.
    #[must_use]
    pub fn with_body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// Returns the options with this maximum number of requests at once.
    #[must_use]
    pub fn with_requests_max(mut self, requests: usize) -> Self {
        self.requests_max = requests.max(1);
        self
    }
}

/// Options of [`router`](super::router).
///
/// ```
/// use std::time::Duration;
///
/// use bridge::Actor;
/// use bridge::web::{EntriesOptions, WebOptions};
///
/// let options = WebOptions::default()
///     .with_request_timeout(Duration::from_secs(5))
///     .with_ready_timeout(Duration::from_millis(500))
///     .with_requests_max(64)
///     .with_queries_max(8)
///     .with_answer_ttl(Duration::ZERO)
///     .with_entries(EntriesOptions::default().with_body_bytes_max(1 << 20).with_requests_max(4))
///     .with_metrics(|| "# of a recorder\n".to_owned())
///     .with_actor(|request| Actor::new(request.headers.get("x-user")?.to_str().ok()?).ok());
/// assert_eq!(options.requests_max, 64);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct WebOptions {
    /// Maximum duration of a request; then it is answered with 503, and its operation is cancelled.
    pub request_timeout: Duration,
    /// Maximum duration of `/health/ready`.
    pub ready_timeout: Duration,
    /// Maximum number of requests of `/api` at once; further ones are answered with 503.
    pub requests_max: usize,
    /// Maximum number of queries of the database at once. Requests beyond that wait.
    pub queries_max: usize,
    /// Time for which an answer is shared with identical requests of the same actor.
    pub answer_ttl: Duration,
    /// Options of `POST /api/v1/sessions/{id}/entries`; without them there is no such resource, and nothing is written.
    pub entries: Option<EntriesOptions>,
    /// Options of the page; without them there is none.
    #[cfg(feature = "page")]
    pub page: Option<PageOptions>,
    /// The bridge that reads the stored usage; without one, the router's own does.
    pub(super) reader: Option<EnhancedTokenDatabaseBridge>,
    pub(super) render_metrics: Option<RenderMetrics>,
    pub(super) actor: ActorOf,
}

impl Default for WebOptions {
    /// 15 s for a request and 0.8 s for readiness, 512 requests, 4 queries, answers of one second; no pushed entries,
    /// no metrics; the actor is the request's extension of this type.
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(15),
            ready_timeout: Duration::from_millis(800),
            requests_max: 512,
            queries_max: 4,
            answer_ttl: Duration::from_secs(1),
            entries: None,
            #[cfg(feature = "page")]
            page: None,
            reader: None,
            render_metrics: None,
            actor: Arc::new(|parts| parts.extensions.get::<Actor>().cloned()),
        }
    }
}

impl WebOptions {
    /// Returns the options with this bridge for everything that is read of the stored usage: the figures and sessions of
    /// the API and of the page. Its database user may only read, so that no request writes to the database, whatever a
    /// query does.
    ///
    /// The router's own bridge still answers what is about the service: health, `/metrics`, hosts, the audit and expiring
    /// transcripts. Its budgets are the ones that are shown, and it takes the entries. So the reader needs a store and
    /// nothing else. It is not checked: it could not write, and would be degraded.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use bridge::storage::{InMemoryStore, TokenStore};
    /// use bridge::web::{self, WebOptions};
    /// use bridge::{AuditOptions, AuditedOperations, EnhancedTokenDatabaseBridge};
    ///
    /// # let writers_store: Arc<dyn TokenStore> = Arc::new(InMemoryStore::default());
    /// # let readers_store = writers_store.clone();
    /// let bridge = EnhancedTokenDatabaseBridge::builder(writers_store).build();
    /// // Its user could not write the audit.
    /// let audit = AuditOptions::default().with_operations(AuditedOperations::Nothing);
    /// let reader = EnhancedTokenDatabaseBridge::builder(readers_store).audit(audit).build();
    /// let router = web::router(bridge, WebOptions::default().with_reader(reader));
    /// # drop(router);
    /// ```
    #[must_use]
    pub fn with_reader(mut self, reader: EnhancedTokenDatabaseBridge) -> Self {
        self.reader = Some(reader);
        self
    }

    /// Returns the options with `GET /metrics`, which this renders in the text format of Prometheus, for example
    /// `move || handle.render()` of a `PrometheusHandle`. The bridge's metrics are brought up to date before.
    #[must_use]
    pub fn with_metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.render_metrics = Some(Arc::new(render));
        self
    }

    /// Returns the options with this source of the actor, who appears in log and audit. By default it is the [`Actor`]
    /// that a middleware in front of the router put into the request's extensions.
    #[must_use]
    pub fn with_actor(mut self, actor: impl Fn(&Parts) -> Option<Actor> + Send + Sync + 'static) -> Self {
        self.actor = Arc::new(actor);
        self
    }

    /// Returns the options with `POST /api/v1/sessions/{id}/entries`, which stores what it is sent as
    /// [`append`](crate::EnhancedTokenDatabaseBridge::append) does. Anyone who can send requests can then write: put an
    /// authorizing middleware in front of the router.
    #[must_use]
    pub fn with_entries(mut self, entries: EntriesOptions) -> Self {
        self.entries = Some(entries);
        self
    }

    /// Returns the options with the page at `/`, which shows people what the store holds.
    #[cfg(feature = "page")]
    #[must_use]
    pub fn with_page(mut self, page: PageOptions) -> Self {
        self.page = Some(page);
        self
    }

    /// Returns the options with this maximum duration of a request.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Returns the options with this maximum duration of `/health/ready`.
    #[must_use]
    pub fn with_ready_timeout(mut self, timeout: Duration) -> Self {
        self.ready_timeout = timeout;
        self
    }

    /// Returns the options with this maximum number of requests of `/api` at once.
    #[must_use]
    pub fn with_requests_max(mut self, requests: usize) -> Self {
        self.requests_max = requests.max(1);
        self
    }

    /// Returns the options with this maximum number of queries at once.
    #[must_use]
    pub fn with_queries_max(mut self, queries: usize) -> Self {
        self.queries_max = queries.max(1);
        self
    }

    /// Returns the options with answers that are shared for this long; zero shares only what is asked at the same time.
    #[must_use]
    pub fn with_answer_ttl(mut self, ttl: Duration) -> Self {
        self.answer_ttl = ttl;
        self
    }
}

impl fmt::Debug for WebOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebOptions")
            .field("request_timeout", &self.request_timeout)
            .field("ready_timeout", &self.ready_timeout)
            .field("requests_max", &self.requests_max)
            .field("queries_max", &self.queries_max)
            .field("answer_ttl", &self.answer_ttl)
            .field("entries", &self.entries)
            .field("has_reader", &self.reader.is_some())
            .field("has_metrics", &self.render_metrics.is_some())
            .finish_non_exhaustive()
    }
}
