//! The resources that a dashboard query answers, and the summary of a session.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use bridge_core::{BridgeError, CalendarUnit, TimeRange, TimeZone, Timestamp};
use bridge_pricing::CatalogDigest;
use bridge_storage::{DashboardFilter, Dimension, Direction, GroupOrder, GroupPage};

use super::answers::{
    Dashboard, Expiring, GroupsAnswer, Limit, Limits, ReceiptAnswer, Session, Totals, TrendAnswer,
};
use super::api_request::ApiRequest;
use super::context::Caller;
use super::parameters::{Parameters, session_id};
use super::problem::{Problem, ProblemKind};
use crate::dashboard::{DashboardQuery, DashboardTokenMetrics};

/// Rows of a page, unless asked for otherwise.
const ROWS: u32 = 100;
/// Maximum number of rows of a page.
pub(super) const ROWS_MAX: u32 = 1000;
/// Days within which transcripts expire, unless asked for otherwise.
const WITHIN_DAYS: u32 = 7;
/// Maximum number of days that a range may be given as: a century.
const DAYS_MAX: u32 = 36_525;

pub(super) const STEPS: [(&str, CalendarUnit); 5] = [
    ("minute", CalendarUnit::Minute),
    ("hour", CalendarUnit::Hour),
    ("day", CalendarUnit::Day),
    ("week", CalendarUnit::Week),
    ("month", CalendarUnit::Month),
];

pub(super) const ORDERS: [(&str, GroupOrder); 9] = [
    ("tokens", GroupOrder::Tokens),
    ("input", GroupOrder::Input),
    ("output", GroupOrder::Output),
    ("cache_creation", GroupOrder::CacheCreation),
    ("cache_read", GroupOrder::CacheRead),
    ("responses", GroupOrder::Responses),
    ("cost", GroupOrder::Cost),
    ("last_time", GroupOrder::LastTime),
    ("name", GroupOrder::Name),
];

pub(super) const DIRECTIONS: [(&str, Direction); 2] =
    [("descending", Direction::Descending), ("ascending", Direction::Ascending)];

pub(super) const FLAG: [(&str, bool); 4] = [("true", true), ("false", false), ("1", true), ("0", false)];

/// The time range that the parameters give, and its zone.
pub(super) fn time_range(parameters: &mut Parameters, now: Timestamp) -> (TimeRange, TimeZone) {
    let zone = parameters.value("zone").unwrap_or_default();
    let (start, end) = (parameters.value("from"), parameters.value("to"));
    let range = TimeRange { start, end };
    if range.validated().is_err() {
        parameters.reject("to", "must not be before from");
    }
    match parameters.number("days", 1..=DAYS_MAX) {
        None => (range, zone),
        Some(_) if !range.is_all() => {
            parameters.reject("days", "must not be combined with from or to");
            (range, zone)
        }
        Some(days) => (TimeRange::last_calendar_days(now, days, &zone), zone),
    }
}

impl ApiRequest {
    /// Returns the query of the responses that the parameters select.
    pub(super) fn query(&mut self) -> DashboardQuery {
        let now = self.now();
        query(&mut self.parameters, now)
    }
}

/// The query of the responses that the parameters select. It lists no groups, and makes no receipt.
fn query(parameters: &mut Parameters, now: Timestamp) -> DashboardQuery {
    let (range, zone) = time_range(parameters, now);
    let step = parameters.choice("step", &STEPS).unwrap_or_default();
    let mut query = DashboardQuery::new(range).by(step, zone).without_receipt().without_lists();
    query.extra_counts = parameters.choice("extra", &FLAG).unwrap_or_default();
    query.cost = parameters.choice("cost", &FLAG).unwrap_or_default();
    if let Some(digest) = parameters.value::<CatalogDigest>("prices") {
        query = query.with_prices(digest.to_string());
    }
    query.previous_period = parameters.choice("previous", &FLAG).unwrap_or_default();
    query.trend_by = parameters.value("split");
    for (dimension, only, values) in parameters.conditions() {
        query = match only {
            true => query.with_values(dimension, values),
            false => query.without_values(dimension, values),
        };
    }
    query
}

fn page(parameters: &mut Parameters) -> GroupPage {
    let order = parameters.choice("order", &ORDERS).unwrap_or_default();
    let direction = parameters.choice("direction", &DIRECTIONS).unwrap_or_default();
    let limit = parameters.number("limit", 1..=ROWS_MAX).unwrap_or(ROWS);
    let offset = parameters.number("offset", 0..=u32::MAX).unwrap_or_default();
    GroupPage::top(limit).sorted(order, direction).after(offset)
}

async fn ask(caller: &Caller, query: DashboardQuery) -> Result<DashboardTokenMetrics, BridgeError> {
    caller.dashboard().get_dashboard_token_metrics(query).await
}

pub(super) async fn totals(mut request: ApiRequest) -> Result<Response, Problem> {
    let query = request.query();
    request.answer("totals", async |caller| Ok(Totals::from(&ask(&caller, query).await?))).await
}

pub(super) async fn trend(mut request: ApiRequest) -> Result<Response, Problem> {
    let query = request.query();
    request.answer("trend", async |caller| Ok(TrendAnswer::from(ask(&caller, query).await?))).await
}

pub(super) async fn sessions(request: ApiRequest) -> Result<Response, Problem> {
    groups(request, "sessions", Dimension::Session).await
}

pub(super) async fn breakdown(mut request: ApiRequest) -> Result<Response, Problem> {
    let dimension = request.parameters.value("by").unwrap_or(Dimension::Model);
    groups(request, "breakdown", dimension).await
}

async fn groups(mut request: ApiRequest, resource: &str, dimension: Dimension) -> Result<Response, Problem> {
    let page = page(&mut request.parameters);
    let query = request.query().list(dimension.clone(), page);
    let work = async |caller| {
        let metrics = ask(&caller, query).await?;
        let listed = metrics.breakdown(&dimension).cloned().unwrap_or_default();
        Ok(GroupsAnswer::new(&metrics, listed, page.offset))
    };
    request.answer(resource, work).await
}

pub(super) async fn dashboard(mut request: ApiRequest) -> Result<Response, Problem> {
    let rows = request.parameters.number("limit", 1..=ROWS_MAX).unwrap_or(ROWS);
    let lists = DashboardFilter::CLASSIC_BREAKDOWNS.into_iter().chain(request.parameters.dimensions("by"));
    let query = lists.fold(request.query(), |query, dimension| query.list(dimension, GroupPage::top(rows)));
    request.answer("dashboard", async |caller| Ok(Dashboard::from(ask(&caller, query).await?))).await
}

pub(super) async fn receipt(request: ApiRequest) -> Result<Response, Problem> {
    let work = async |caller| {
        let query = DashboardQuery::new(TimeRange::ALL).without_lists();
        let metrics = ask(&caller, query).await?;
        Ok(ReceiptAnswer::new(metrics.as_of, metrics.receipt.unwrap_or_default()))
    };
    request.answer("receipt", work).await
}

pub(super) async fn session(
    mut request: ApiRequest,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let with_cost = request.parameters.choice("cost", &FLAG).unwrap_or_default();
    let resource = format!("session {id:?}");
    let work = async move |caller: Caller| {
        let sessions = caller.reader.sessions();
        let sessions = if with_cost { sessions.with_cost() } else { sessions };
        let details = sessions.details(&id).await?;
        details.and_then(Session::of).ok_or_else(unknown_session)
    };
    request.answer(&resource, work).await
}

pub(super) async fn limits(mut request: ApiRequest) -> Result<Response, Problem> {
    let now = request.now();
    let (range, _) = time_range(&mut request.parameters, now);
    let work = async |caller: Caller| {
        let limits = caller.reader.sessions().limit_events(range).await?;
        let limits = limits.into_iter().map(|limit| Limit::of(limit.session_id, limit.limit)).collect();
        Ok(Limits { range, limits })
    };
    request.answer("limits", work).await
}

pub(super) async fn expiring(mut request: ApiRequest) -> Result<Response, Problem> {
    let days = request.parameters.number("within_days", 0..=DAYS_MAX).unwrap_or(WITHIN_DAYS);
    let work = async |caller: Caller| {
        let within = Duration::from_hours(24).saturating_mul(days);
        Ok(Expiring::from(caller.bridge.sessions().expiring_transcripts(within).await?))
    };
    request.answer("expiring", work).await
}

pub(super) fn unknown_session() -> Problem {
    Problem::new(ProblemKind::UnknownSession, "no response of this session is stored")
}
