//! A request for a page, and its response.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bridge_core::{HealthStatus, TimeRange};
use maud::{Markup, html};
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{Frame, Tab};
use super::view::{Span, View};
use super::{HEALTH_AGE_MAX, POLICY, expiring};
use crate::blocks::{BlockLength, UsageBlock};
use crate::budgets::BudgetStatus;
use crate::dashboard::{DashboardQuery, DashboardTokenMetrics};
use crate::web::Web;
use crate::web::context::Caller;
use crate::web::parameters::Parameters;
use crate::web::problem::{Problem, ProblemFacts};

/// A request for a page: its state, and the bridges to ask.
#[derive(Debug)]
pub(super) struct PageRequest {
    pub(super) frame: Frame,
    pub(super) caller: Caller,
    web: Arc<Web>,
    pub(super) shows_cost: bool,
    /// What is wrong with the parameters.
    invalid: Option<Problem>,
    /// The ETag of the copy that the client has.
    known: Option<HeaderValue>,
}

impl FromRequestParts<Arc<Web>> for PageRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Self, Problem> {
        let path = parts.uri.path().to_owned();
        // Below the path that the router is nested at.
        let original = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        // At the root of a nested router the inner path has a slash that the original one lacks.
        let base = original.path().strip_suffix(path.trim_end_matches('/')).unwrap_or_default();
        let base = base.trim_end_matches('/').to_owned();
        let caller = parts.extensions.get::<Caller>().expect("the router's middleware adds it");
        let options = web.options.page.clone().unwrap_or_default();
        let mut parameters = Parameters::parse(parts.uri.query());
        let view = View::take(&mut parameters, &options.zone);
        let now = web.now();
        let stale_since = web.bridge.ingest().telemetry.metrics.freshness(now).and_then(|age| {
            let is_stale = age > web.bridge.parts.monitoring.options.limits.sync_lag_max;
            is_stale.then(|| now.saturating_sub(age))
        });
        let health = web.health.latest(HEALTH_AGE_MAX).map(|health| health.overall);
        Ok(Self {
            frame: Frame { base, path, view, now, refresh: options.refresh, health, stale_since },
            caller: caller.clone(),
            web: Arc::clone(web),
            shows_cost: options.cost,
            invalid: parameters.finish().err(),
            known: parts.headers.get(IF_NONE_MATCH).cloned(),
        })
    }
}

impl PageRequest {
    /// Returns the metrics of a query. Pages that are open at once share those of the same moment.
    pub(super) async fn metrics(&self, query: DashboardQuery) -> Result<Arc<DashboardTokenMetrics>, Problem> {
        self.counts(if self.shows_cost { query.with_cost() } else { query }).await
    }

    /// Returns the metrics of a query as they are asked for, without costs.
    pub(super) async fn counts(&self, query: DashboardQuery) -> Result<Arc<DashboardTokenMetrics>, Problem> {
        // Actors share none, so that each is on record.
        let key = format!("{query:?} {:?}", self.caller.actor);
        let work = async { Ok(Arc::new(self.caller.dashboard().get_dashboard_token_metrics(query).await?)) };
        // Boxed: the futures of operations are large.
        self.web.pages.metrics.get(key, Box::pin(work)).await
    }

    /// Returns the state of the budgets, whatever the page's range and filters.
    pub(super) async fn budgets(&self) -> Result<Arc<[BudgetStatus]>, Problem> {
        let dashboard = self.caller.dashboard();
        if !dashboard.has_budgets() {
            return Ok(Arc::default());
        }
        let work = async { Ok(dashboard.budgets().await?.into()) };
        self.web.pages.budgets.get(self.caller.actor.clone(), Box::pin(work)).await
    }

    /// Returns the block of five hours that the present lies in, of the responses that the page's filters admit; `None` if it
    /// lies in none, or not in the page's range.
    pub(super) async fn current_block(&self) -> Result<Option<Arc<UsageBlock>>, Problem> {
        let Frame { view, now, .. } = &self.frame;
        if !view.span.range(*now, &view.zone).contains(*now) {
            return Ok(None);
        }
        let key = format!("{:?} {:?}", view.conditions, self.caller.actor);
        let end = now.saturating_add(Duration::from_millis(1));
        let query = view.with_span(Span::Fixed(TimeRange { start: Some(*now), end: Some(end) })).query(*now);
        let query = if self.shows_cost { query.with_cost() } else { query };
        let work = async {
            let block = self.caller.dashboard().active_block(query, BlockLength::FiveHours).await?;
            Ok(block.map(Arc::new))
        };
        let block = self.web.pages.blocks.get(key, Box::pin(work)).await?;
        // An answer that is shared may be older than the end of its block.
        Ok(block.filter(|block| *now < block.end))
    }

    /// Returns the last check for transcripts that are about to be deleted, without waiting for one.
    pub(super) fn latest_expiring(&self) -> Option<expiring::Checked> {
        self.web.pages.expiring.latest(expiring::AGE_MAX, expiring::check(self.caller.bridge.clone()))
    }

    /// Returns the transcripts that are about to be deleted.
    pub(super) async fn expiring(&self) -> expiring::Checked {
        let check = Box::pin(expiring::check(self.caller.bridge.clone()));
        self.web.pages.expiring.current(expiring::AGE_MAX, check).await
    }

    /// Returns the health of the service.
    pub(super) async fn health(&self) -> Arc<HealthStatus> {
        self.web.health.current(HEALTH_AGE_MAX).await
    }

    /// Returns whether the store has no responses at all, whatever the page's range and filters.
    pub(super) async fn is_store_empty(&self) -> Result<bool, Problem> {
        let everything = self.frame.view.cleared().with_span(Span::EVER).query(self.frame.now);
        Ok(self.metrics(everything).await?.totals.responses == 0)
    }

    /// Returns the page with this content, or with the problem.
    pub(super) async fn respond(
        &self,
        tab: Tab,
        title: &str,
        content: impl Future<Output = Result<Markup, Problem>>,
    ) -> Response {
        match self.checked(content).await {
            Ok(content) => self.page(StatusCode::OK, &self.frame.document(Some(tab), title, &content)),
            Err(problem) => self.problem(tab, &problem),
        }
    }

    /// Returns a part of a page, for the script.
    pub(super) async fn respond_part(
        &self,
        content: impl Future<Output = Result<Markup, Problem>>,
    ) -> Response {
        match self.checked(content).await {
            Ok(content) => self.page(StatusCode::OK, &content),
            Err(problem) => problem.into_response(),
        }
    }

    /// Returns the content, unless the parameters are invalid.
    async fn checked(
        &self,
        content: impl Future<Output = Result<Markup, Problem>>,
    ) -> Result<Markup, Problem> {
        match &self.invalid {
            Some(problem) => Err(problem.clone()),
            // Boxed: the futures of operations are large.
            None => Box::pin(content).await,
        }
    }

    fn page(&self, status: StatusCode, document: &Markup) -> Response {
        let tag = format!("\"{:016x}\"", xxh3_64(document.0.as_bytes()));
        let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits are a header's value");
        if status == StatusCode::OK && self.known.as_ref() == Some(&tag) {
            return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
        }
        let media_type = HeaderValue::from_static("text/html; charset=utf-8");
        (status, [(CONTENT_TYPE, media_type), (ETAG, tag), POLICY], document.0.clone()).into_response()
    }

    fn problem(&self, tab: Tab, problem: &Problem) -> Response {
        let ProblemFacts { status, title, retry_after, .. } = problem.facts();
        let content = html! {
            section.state role="alert" {
                h1 { (title) }
                p { (problem.detail()) }
                @match retry_after {
                    Some(_) => p.soft {
                        "This page retries automatically. "
                        "No data is lost: anything not stored yet is still in the transcripts."
                    },
                    None => p { a href=(self.frame.link("/", &self.frame.view.cleared())) { "Back to the overview" } },
                }
            }
        };
        let mut response = self.page(status, &self.frame.document(Some(tab), title, &content));
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}
