//! The resources that a dashboard query answers, and the summary of a session.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bridge_core::{BridgeError, CalendarUnit, TimeRange, TimeZone, Timestamp};
use bridge_storage::{Direction, GroupOrder, GroupPage};

use super::Web;
use super::answers::{
    Dashboard, Expiring, GroupsAnswer, Limit, Limits, ReceiptAnswer, Session, Totals, TrendAnswer,
};
use super::context::Caller;
use super::parameters::{Parameters, session_id};
use super::problem::{Problem, ProblemKind};
use crate::dashboard::{Breakdown, DashboardQuery, DashboardTokenMetrics};

/// Rows of a page, unless asked for otherwise.
const ROWS: u32 = 100;
/// Maximum number of rows of a page.
pub(super) const ROWS_MAX: u32 = 1000;
/// Days within which transcripts expire, unless asked for otherwise.
const WITHIN_DAYS: u32 = 7;
/// Maximum number of days that a range may be given as: a century.
const DAYS_MAX: u32 = 36_525;

const STEPS: [(&str, CalendarUnit); 4] = [
    ("hour", CalendarUnit::Hour),
    ("day", CalendarUnit::Day),
    ("week", CalendarUnit::Week),
    ("month", CalendarUnit::Month),
];

const ORDERS: [(&str, GroupOrder); 8] = [
    ("tokens", GroupOrder::Tokens),
    ("input", GroupOrder::Input),
    ("output", GroupOrder::Output),
    ("cache_creation", GroupOrder::CacheCreation),
    ("cache_read", GroupOrder::CacheRead),
    ("responses", GroupOrder::Responses),
    ("last_time", GroupOrder::LastTime),
    ("name", GroupOrder::Name),
];

const DIRECTIONS: [(&str, Direction); 2] =
    [("descending", Direction::Descending), ("ascending", Direction::Ascending)];

/// A dimension of a breakdown.
#[derive(Debug, Clone, Copy)]
enum Dimension {
    Project,
    Model,
    Host,
    Session,
}

const DIMENSIONS: [(&str, Dimension); 4] = [
    ("project", Dimension::Project),
    ("model", Dimension::Model),
    ("host", Dimension::Host),
    ("session", Dimension::Session),
];

impl Dimension {
    fn list(self, query: DashboardQuery, page: GroupPage) -> DashboardQuery {
        match self {
            Self::Project => query.list_projects(page),
            Self::Model => query.list_models(page),
            Self::Host => query.list_hosts(page),
            Self::Session => query.list_sessions(page),
        }
    }

    fn of(self, metrics: DashboardTokenMetrics) -> Breakdown {
        match self {
            Self::Project => metrics.projects,
            Self::Model => metrics.models,
            Self::Host => metrics.hosts,
            Self::Session => metrics.sessions,
        }
    }
}

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
            parameters.reject("days", "must not be given beside from or to");
            (range, zone)
        }
        Some(days) => (TimeRange::last_calendar_days(now, days, &zone), zone),
    }
}

/// The query of the responses that the parameters select. It lists no groups, and makes no receipt.
fn query(parameters: &mut Parameters, now: Timestamp) -> DashboardQuery {
    let (range, zone) = time_range(parameters, now);
    let step = parameters.choice("step", &STEPS).unwrap_or_default();
    let mut query = DashboardQuery::new(range).by(step, zone).without_receipt();
    if let Some(session) = parameters.value("session") {
        query = query.of_sessions([session]);
    }
    if let Some(project) = parameters.text("project") {
        query = query.of_projects([project]);
    }
    if let Some(model) = parameters.text("model") {
        query = query.of_models([model]);
    }
    if let Some(host) = parameters.text("host") {
        query = query.of_hosts([host]);
    }
    listing(query, GroupPage::top(0))
}

/// Lists this page of each kind of groups.
fn listing(query: DashboardQuery, page: GroupPage) -> DashboardQuery {
    query.list_sessions(page).list_projects(page).list_models(page).list_hosts(page)
}

fn page(parameters: &mut Parameters) -> GroupPage {
    let order = parameters.choice("order", &ORDERS).unwrap_or_default();
    let direction = parameters.choice("direction", &DIRECTIONS).unwrap_or_default();
    let limit = parameters.number("limit", 1..=ROWS_MAX).unwrap_or(ROWS);
    let offset = parameters.number("offset", 0..=u32::MAX).unwrap_or_default();
    GroupPage::top(limit).sorted(order, direction).after(offset)
}

async fn ask(caller: &Caller, query: DashboardQuery) -> Result<DashboardTokenMetrics, BridgeError> {
    caller.bridge.dashboard().get_dashboard_token_metrics(query).await
}

pub(super) async fn totals(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(raw.as_deref());
    let key = web.key("totals", &caller, &parameters);
    let query = query(&mut parameters, web.now());
    parameters.finish()?;
    web.answer(key, async { Ok(Totals::from(&ask(&caller, query).await?)) }).await
}

pub(super) async fn trend(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(raw.as_deref());
    let key = web.key("trend", &caller, &parameters);
    let query = query(&mut parameters, web.now());
    parameters.finish()?;
    web.answer(key, async { Ok(TrendAnswer::from(ask(&caller, query).await?)) }).await
}

pub(super) async fn sessions(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::parse(raw.as_deref());
    let key = web.key("sessions", &caller, &parameters);
    groups(&web, &caller, key, parameters, Dimension::Session).await
}

pub(super) async fn breakdown(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(raw.as_deref());
    let key = web.key("breakdown", &caller, &parameters);
    let dimension = parameters.choice("by", &DIMENSIONS).unwrap_or(Dimension::Model);
    groups(&web, &caller, key, parameters, dimension).await
}

async fn groups(
    web: &Web,
    caller: &Caller,
    key: String,
    mut parameters: Parameters,
    dimension: Dimension,
) -> Result<Response, Problem> {
    let page = page(&mut parameters);
    let query = dimension.list(query(&mut parameters, web.now()), page);
    parameters.finish()?;
    let work = async {
        let metrics = ask(caller, query).await?;
        Ok(GroupsAnswer::new(metrics, page.offset, |metrics| dimension.of(metrics)))
    };
    web.answer(key, work).await
}

pub(super) async fn dashboard(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(raw.as_deref());
    let key = web.key("dashboard", &caller, &parameters);
    let rows = parameters.number("limit", 1..=ROWS_MAX).unwrap_or(ROWS);
    let query = listing(query(&mut parameters, web.now()), GroupPage::top(rows));
    parameters.finish()?;
    web.answer(key, async { Ok(Dashboard::from(ask(&caller, query).await?)) }).await
}

pub(super) async fn receipt(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::parse(raw.as_deref());
    let key = web.key("receipt", &caller, &parameters);
    parameters.finish()?;
    let work = async {
        let query = listing(DashboardQuery::new(TimeRange::ALL), GroupPage::top(0));
        let metrics = ask(&caller, query).await?;
        Ok(ReceiptAnswer::new(metrics.as_of, metrics.receipt.unwrap_or_default()))
    };
    web.answer(key, work).await
}

pub(super) async fn session(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let parameters = Parameters::parse(raw.as_deref());
    let key = format!("{} {id:?}", web.key("session", &caller, &parameters));
    parameters.finish()?;
    let work = async {
        let details = caller.bridge.session_details(&id).await?;
        let unknown = || Problem::new(ProblemKind::UnknownSession, "no response of this session is stored");
        details.and_then(Session::of).ok_or_else(unknown)
    };
    web.answer(key, work).await
}

pub(super) async fn limits(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(raw.as_deref());
    let key = web.key("limits", &caller, &parameters);
    let (range, _) = time_range(&mut parameters, web.now());
    parameters.finish()?;
    let work = async {
        let limits = caller.bridge.limit_events(range).await?;
        let limits = limits.into_iter().map(|limit| Limit::of(limit.session_id, limit.limit)).collect();
        Ok(Limits { range, limits })
    };
    web.answer(key, work).await
}

pub(super) async fn expiring(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(raw.as_deref());
    let key = web.key("expiring", &caller, &parameters);
    let days = parameters.number("within_days", 0..=DAYS_MAX).unwrap_or(WITHIN_DAYS);
    parameters.finish()?;
    let work = async {
        let within = Duration::from_hours(24).saturating_mul(days);
        Ok(Expiring::from(caller.bridge.expiring_transcripts(within).await?))
    };
    web.answer(key, work).await
}
