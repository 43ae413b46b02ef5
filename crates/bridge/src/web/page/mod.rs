//! The page: what the store holds, for people. Rendered on the server, so that it works without scripts; the script adds
//! charts and keeps it up to date. Its state is in the URL ([`view`]).

mod assets;
mod block;
mod breakdown;
mod budgets;
mod cards;
mod chart;
mod cost;
mod dimension;
mod expiring;
mod layout;
mod number;
mod overview;
mod receipt;
mod request;
mod session;
mod session_files;
mod sessions;
mod status;
mod suggestions;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bridge_core::{Actor, TimeZone};

use self::assets::Asset;
use super::latest::Latest;
use super::problem::{Problem, ProblemKind};
use super::response_cache::ResponseCache;
use super::{Web, WebOptions};
use crate::blocks::UsageBlock;
use crate::budgets::BudgetStatus;
use crate::dashboard::DashboardTokenMetrics;

/// Options of the page.
///
/// ```
/// use std::time::Duration;
///
/// use bridge::web::{PageOptions, WebOptions};
///
/// let page = PageOptions::default().with_zone("Europe/Berlin".parse()?).with_refresh(Duration::from_secs(30));
/// let options = WebOptions::default().with_page(page.without_cost());
/// # Ok::<(), bridge::InvalidValue>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PageOptions {
    /// The time zone of days and times, unless the URL names another one.
    pub zone: TimeZone,
    /// The interval at which an open page asks for newer data.
    pub refresh: Duration,
    /// True to show costs, if the store has a price list.
    pub cost: bool,
}

impl Default for PageOptions {
    /// UTC, 5 s, with costs.
    fn default() -> Self {
        Self { zone: TimeZone::UTC, refresh: Duration::from_secs(5), cost: true }
    }
}

impl PageOptions {
    /// Returns the options with this time zone.
    #[must_use]
    pub fn with_zone(mut self, zone: TimeZone) -> Self {
        self.zone = zone;
        self
    }

    /// Returns the options with this interval of refreshes, of at least a second.
    #[must_use]
    pub fn with_refresh(mut self, refresh: Duration) -> Self {
        self.refresh = refresh.max(Duration::from_secs(1));
        self
    }

    /// Returns the options of a page that shows no costs.
    #[must_use]
    pub fn without_cost(mut self) -> Self {
        self.cost = false;
        self
    }
}

/// A check writes to the database and reads the folders of the transcripts.
const HEALTH_AGE_MAX: Duration = Duration::from_secs(5);

/// The time for which open pages share a block, in times of other answers: its query follows the blocks of a month, and a card of
/// five hours may be seconds old.
const BLOCK_TTL_FACTOR: u32 = 10;

/// The values that open pages share.
#[derive(Debug)]
pub(super) struct Shared {
    metrics: ResponseCache<String, Result<Arc<DashboardTokenMetrics>, Problem>>,
    /// By actor, so that each is on record.
    budgets: ResponseCache<Option<Actor>, Result<Arc<[BudgetStatus]>, Problem>>,
    blocks: ResponseCache<String, Result<Option<Arc<UsageBlock>>, Problem>>,
    expiring: Arc<Latest<expiring::Checked>>,
}

impl Shared {
    pub(super) fn new(options: &WebOptions) -> Self {
        Self {
            metrics: ResponseCache::new(options.answer_ttl, options.queries_max),
            budgets: ResponseCache::new(options.answer_ttl, options.queries_max),
            blocks: ResponseCache::new(options.answer_ttl * BLOCK_TTL_FACTOR, options.queries_max),
            expiring: Arc::default(),
        }
    }
}

/// Permits the page to load from and call this service, and nothing else.
const POLICY: (HeaderName, HeaderValue) = (
    CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
);

/// Returns the routes of the page.
pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/", get(overview::overview))
        .route("/breakdown", get(breakdown::breakdown))
        .route("/sessions", get(sessions::sessions))
        .route("/sessions/{id}", get(session::session))
        .route("/receipt", get(receipt::receipt))
        .route("/status", get(status::status))
        .route(suggestions::PATH, get(suggestions::suggestions))
        .route("/assets/{file}", get(asset))
}

async fn asset(Path(file): Path<String>) -> Response {
    let asset = Asset::ALL.iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&*file));
    asset
        .map_or_else(|| Problem::new(ProblemKind::NotFound, "no such asset").into_response(), Asset::response)
}
