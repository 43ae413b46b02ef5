//! The JSON of answers, as `docs/http-api.schema.json` describes it.
//!
//! A number of 64 bits is a decimal string: JavaScript and many other readers make a float of a JSON number, which is exact
//! to 2^53 only.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{
    ActivityFacts, Actor, AuditId, AuditOutcome, AuditRecord, CalendarUnit, ContentCategory, CorrelationId,
    Cost, ExtraCounts, HealthState, HealthStatus, HostName, LimitEvent, LimitKind, ModelName, Money,
    OperationName, Probe, ProjectName, ReceiptLine, SessionId, StoreReceipt, TimeRange, TimeZone, Timestamp,
    TokenCounts, TokenSummaryRecord, Unpriced, saturating_sum,
};
use bridge_storage::{BreakdownRow, Dimension, GroupSums, PricedBy, UnpricedSums, UsageSums};
use serde::{Serialize, Serializer};

use crate::dashboard::{
    Breakdown, DashboardTokenMetrics, DashboardTrend, DataAge, PreviousPeriod, TrendBucket, TrendSeries,
};
use crate::operations::expiring::ExpiringTranscripts;
use crate::operations::sessions::{SessionDetails, SessionFile};

/// A number of 64 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
pub(super) struct Tokens {
    total: Count,
    input: Count,
    output: Count,
    cache_creation: Count,
    cache_read: Count,
}

impl From<TokenCounts> for Tokens {
    fn from(counts: TokenCounts) -> Self {
        Self {
            total: Count(counts.total()),
            input: Count(counts.input),
            output: Count(counts.output),
            cache_creation: Count(counts.cache_creation),
            cache_read: Count(counts.cache_read),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Sums {
    tokens: Tokens,
    responses: Count,
    responses_worth_tokens: Count,
    unfinished_responses: Count,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    #[serde(flatten)]
    extra: Extra,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<CostAnswer>,
}

/// Dollars with all digits, as texts.
#[derive(Serialize)]
struct CostAnswer {
    amount: Money,
    list: Money,
    without_cache: Money,
    cache_savings: Money,
    priced_tokens: Count,
    unpriced_tokens: Count,
}

impl From<Cost> for CostAnswer {
    fn from(cost: Cost) -> Self {
        Self {
            amount: cost.amount,
            list: cost.list,
            without_cache: cost.without_cache,
            cache_savings: cost.cache_savings(),
            priced_tokens: Count(cost.priced_tokens),
            unpriced_tokens: Count(cost.unpriced_tokens),
        }
    }
}

/// The price list of the costs, and what has no price by it.
#[derive(Serialize)]
struct PricedByAnswer {
    digest: String,
    unpriced: Vec<UnpricedAnswer>,
}

#[derive(Serialize)]
struct UnpricedAnswer {
    model: Option<ModelName>,
    reason: Unpriced,
    tokens: Count,
    web_searches: Count,
    responses: Count,
    since: Timestamp,
}

impl From<&PricedBy> for PricedByAnswer {
    fn from(priced_by: &PricedBy) -> Self {
        let unpriced = |sums: &UnpricedSums| UnpricedAnswer {
            model: sums.model.clone(),
            reason: sums.reason,
            tokens: Count(sums.tokens),
            web_searches: Count(sums.web_searches),
            responses: Count(sums.responses),
            since: sums.since,
        };
        Self { digest: priced_by.digest.clone(), unpriced: priced_by.unpriced.iter().map(unpriced).collect() }
    }
}

/// The counts besides the four counters; `null` where nothing is known of them, or they were not asked for.
#[derive(Serialize)]
struct Extra {
    thinking_tokens: Option<Count>,
    web_search_requests: Option<Count>,
    web_fetch_requests: Option<Count>,
}

impl From<ExtraCounts> for Extra {
    fn from(extra: ExtraCounts) -> Self {
        Self {
            thinking_tokens: extra.thinking_tokens.map(Count),
            web_search_requests: extra.web_search_requests.map(Count),
            web_fetch_requests: extra.web_fetch_requests.map(Count),
        }
    }
}

impl From<UsageSums> for Sums {
    fn from(sums: UsageSums) -> Self {
        Self {
            tokens: sums.counts.into(),
            responses: Count(sums.responses),
            responses_worth_tokens: Count(sums.responses_worth_tokens),
            unfinished_responses: Count(sums.unfinished_responses),
            first_time: sums.first_time,
            last_time: sums.last_time,
            extra: sums.extra.into(),
            cost: sums.cost.map(CostAnswer::from),
        }
    }
}

/// The common part of all answers to dashboard queries.
#[derive(Serialize)]
pub(super) struct Moment {
    range: TimeRange,
    as_of: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    priced_by: Option<PricedByAnswer>,
}

impl Moment {
    fn of(metrics: &DashboardTokenMetrics) -> Self {
        let priced_by = metrics.priced_by.as_ref().map(PricedByAnswer::from);
        Self { range: metrics.range, as_of: metrics.as_of, priced_by }
    }
}

#[derive(Serialize)]
pub(super) struct Totals {
    #[serde(flatten)]
    moment: Moment,
    totals: Sums,
    /// An unfinished response makes the sums floors.
    at_least: bool,
    cache_hit_share: Option<f64>,
    /// The period before, if it was asked for and there is one.
    previous: Option<Previous>,
    data_age: DataAgeAnswer,
}

#[derive(Serialize)]
struct Previous {
    range: TimeRange,
    totals: Sums,
    at_least: bool,
}

impl From<PreviousPeriod> for Previous {
    fn from(previous: PreviousPeriod) -> Self {
        let PreviousPeriod { range, totals, completeness } = previous;
        Self { range, totals: totals.into(), at_least: completeness.at_least }
    }
}

impl From<&DashboardTokenMetrics> for Totals {
    fn from(metrics: &DashboardTokenMetrics) -> Self {
        Self {
            moment: Moment::of(metrics),
            totals: metrics.totals.into(),
            at_least: metrics.completeness.at_least,
            cache_hit_share: metrics.cache_hit_share,
            previous: metrics.previous.map(Previous::from),
            data_age: metrics.data_age.into(),
        }
    }
}

#[derive(Serialize)]
struct DataAgeAnswer {
    newest_response: Option<Timestamp>,
    newest_response_age_seconds: Option<f64>,
    last_sync: Option<Timestamp>,
    last_sync_age_seconds: Option<f64>,
}

impl From<DataAge> for DataAgeAnswer {
    fn from(age: DataAge) -> Self {
        let seconds = |age: Option<Duration>| age.map(|age| age.as_secs_f64());
        Self {
            newest_response: age.newest_response,
            newest_response_age_seconds: seconds(age.newest_response_age),
            last_sync: age.last_sync,
            last_sync_age_seconds: seconds(age.last_sync_age),
        }
    }
}

/// A row of a breakdown.
#[derive(Serialize)]
struct Group {
    name: String,
    #[serde(flatten)]
    sums: Sums,
}

impl From<GroupSums> for Group {
    fn from(group: GroupSums) -> Self {
        Self { name: group.name, sums: group.sums.into() }
    }
}

/// A page of a breakdown.
#[derive(Serialize)]
pub(super) struct Groups {
    rows: Vec<Group>,
    /// Rows on all pages.
    groups: Count,
    other_responses: Count,
    other_tokens: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_cost: Option<CostAnswer>,
    /// The offset of the next page, if there is one.
    next_offset: Option<u32>,
}

impl Groups {
    /// Returns the answer of a page that begins at this offset.
    pub(super) fn new(page: Breakdown, offset: u32) -> Self {
        let next = u32::try_from(page.rows.len()).ok().and_then(|rows| offset.checked_add(rows));
        let has_more = |next: &u32| !page.rows.is_empty() && u64::from(*next) < page.groups;
        Self {
            next_offset: next.filter(has_more),
            groups: Count(page.groups),
            other_responses: Count(page.other_responses),
            other_tokens: Count(page.other_tokens),
            other_cost: page.other_cost.map(CostAnswer::from),
            rows: page.rows.into_iter().map(Group::from).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct GroupsAnswer {
    #[serde(flatten)]
    moment: Moment,
    #[serde(flatten)]
    groups: Groups,
}

impl GroupsAnswer {
    pub(super) fn new(metrics: &DashboardTokenMetrics, page: Breakdown, offset: u32) -> Self {
        Self { moment: Moment::of(metrics), groups: Groups::new(page, offset) }
    }
}

#[derive(Serialize)]
struct Trend {
    step: CalendarUnit,
    zone: TimeZone,
    buckets: Vec<Bucket>,
    series: Vec<Series>,
    before: Sums,
    after: Sums,
}

#[derive(Serialize)]
struct Bucket {
    start: Timestamp,
    end: Timestamp,
    local_start: String,
    #[serde(flatten)]
    sums: Sums,
}

impl From<TrendBucket> for Bucket {
    fn from(bucket: TrendBucket) -> Self {
        let TrendBucket { start, end, local_start, sums } = bucket;
        Self { start, end, local_start, sums: sums.into() }
    }
}

/// The counters of one value in each bucket; without a name, of all values that have no series of their own.
#[derive(Serialize)]
struct Series {
    name: Option<String>,
    buckets: Vec<Tokens>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    costs: Vec<CostAnswer>,
}

impl From<TrendSeries> for Series {
    fn from(series: TrendSeries) -> Self {
        Self {
            name: series.name,
            buckets: series.buckets.into_iter().map(Tokens::from).collect(),
            costs: series.costs.into_iter().map(CostAnswer::from).collect(),
        }
    }
}

impl From<DashboardTrend> for Trend {
    fn from(trend: DashboardTrend) -> Self {
        Self {
            step: trend.step,
            zone: trend.zone,
            buckets: trend.buckets.into_iter().map(Bucket::from).collect(),
            series: trend.series.into_iter().map(Series::from).collect(),
            before: trend.before.into(),
            after: trend.after.into(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct TrendAnswer {
    #[serde(flatten)]
    moment: Moment,
    #[serde(flatten)]
    trend: Trend,
    previous: Option<Previous>,
}

impl From<DashboardTokenMetrics> for TrendAnswer {
    fn from(metrics: DashboardTokenMetrics) -> Self {
        let previous = metrics.previous.map(Previous::from);
        Self { moment: Moment::of(&metrics), trend: metrics.trend.into(), previous }
    }
}

/// Everything that a page shows, of one moment.
#[derive(Serialize)]
pub(super) struct Dashboard {
    #[serde(flatten)]
    totals: Totals,
    trend: Trend,
    sessions: Groups,
    projects: Groups,
    models: Groups,
    hosts: Groups,
    /// By the dimensions that were asked for besides.
    breakdowns: BTreeMap<Dimension, Groups>,
}

impl From<DashboardTokenMetrics> for Dashboard {
    fn from(metrics: DashboardTokenMetrics) -> Self {
        let totals = (&metrics).into();
        let others = metrics.breakdowns.into_iter();
        Self {
            totals,
            trend: metrics.trend.into(),
            sessions: Groups::new(metrics.sessions, 0),
            projects: Groups::new(metrics.projects, 0),
            models: Groups::new(metrics.models, 0),
            hosts: Groups::new(metrics.hosts, 0),
            breakdowns: others.map(|(dimension, list)| (dimension, Groups::new(list, 0))).collect(),
        }
    }
}

/// The summary of a session.
#[derive(Serialize)]
pub(super) struct Session {
    session_id: SessionId,
    projects: Vec<ProjectName>,
    models: Vec<ModelName>,
    hosts: Vec<HostName>,
    first_time: Timestamp,
    last_time: Timestamp,
    tokens: Tokens,
    responses: Count,
    responses_worth_tokens: Count,
    finished_responses: Count,
    files: Count,
    lines: Count,
    bad_lines: Count,
    content_categories: BTreeMap<ContentCategory, Count>,
    accuracy_ratio: Option<f64>,
    last_sync: Option<Timestamp>,
    /// What its responses name, by dimension.
    attribution: BTreeMap<String, Vec<String>>,
    #[serde(flatten)]
    extra: Extra,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<CostAnswer>,
    activity: Option<Activity>,
    models_by_tokens: Vec<ModelSums>,
    limits: Vec<Limit>,
    children: Vec<SessionId>,
    sources: Vec<Source>,
}

/// The activity of a session.
#[derive(Serialize)]
struct Activity {
    turns: Count,
    tool_calls: BTreeMap<String, Count>,
    other_tool_calls: Count,
    api_errors: Count,
    api_retries: Count,
    limits_hit: Count,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    active_seconds: f64,
    kind: Option<String>,
    entrypoint: Option<String>,
    parent: Option<SessionId>,
    subagents: Count,
}

impl From<ActivityFacts> for Activity {
    fn from(facts: ActivityFacts) -> Self {
        let calls = facts.tool_calls.by_name();
        Self {
            turns: Count(facts.turns),
            tool_calls: calls.map(|(name, calls)| (name.to_string(), Count(calls))).collect(),
            other_tool_calls: Count(facts.tool_calls.other()),
            api_errors: Count(facts.api_errors),
            api_retries: Count(facts.api_retries),
            limits_hit: Count(facts.limits_hit),
            first_time: facts.first_time,
            last_time: facts.last_time,
            active_seconds: facts.active_time.as_secs_f64(),
            kind: facts.kind.map(|kind| kind.to_string()),
            entrypoint: facts.entrypoint.map(|entrypoint| entrypoint.to_string()),
            parent: facts.parent,
            subagents: Count(facts.subagents),
        }
    }
}

/// The sums of a model within a session.
#[derive(Serialize)]
struct ModelSums {
    model: String,
    tokens: Tokens,
    responses: Count,
}

/// A limit that was hit.
#[derive(Serialize)]
pub(super) struct Limit {
    session_id: SessionId,
    time: Timestamp,
    kind: LimitKind,
    resets_at: Option<Timestamp>,
}

impl Limit {
    pub(super) fn of(session_id: SessionId, limit: LimitEvent) -> Self {
        Self { session_id, time: limit.time, kind: limit.kind, resets_at: limit.resets_at }
    }
}

/// The limits of a time range.
#[derive(Serialize)]
pub(super) struct Limits {
    pub(super) range: TimeRange,
    pub(super) limits: Vec<Limit>,
}

/// The transcripts that the client will delete. Their paths stay on the machine.
#[derive(Serialize)]
pub(super) struct Expiring {
    unstored: Count,
    unstored_bytes: Count,
    stored: Count,
    next_expiry: Option<Timestamp>,
    unreadable: Count,
    unreadable_settings: Count,
}

impl From<ExpiringTranscripts> for Expiring {
    fn from(expiring: ExpiringTranscripts) -> Self {
        let bytes = expiring.unstored.iter().map(|transcript| transcript.unstored_bytes);
        let unread = expiring.retention.iter().map(|retention| retention.errors.len() as u64);
        Self {
            unstored: Count(expiring.unstored.len() as u64),
            unstored_bytes: Count(saturating_sum(bytes)),
            stored: Count(expiring.stored),
            next_expiry: expiring.unstored.first().map(|transcript| transcript.expires_at),
            unreadable: Count(expiring.errors.len() as u64),
            unreadable_settings: Count(saturating_sum(unread)),
        }
    }
}

/// A source with lines of a session.
#[derive(Serialize)]
struct Source {
    host: HostName,
    name: String,
    subagent_depth: Option<u8>,
    bytes: Count,
    lines: Count,
    damaged_lines: Count,
    snapshots: Count,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    read_at: Timestamp,
}

impl From<SessionFile> for Source {
    fn from(file: SessionFile) -> Self {
        Self {
            host: file.host,
            name: file.name,
            subagent_depth: file.subagent_depth,
            bytes: Count(file.bytes),
            lines: Count(file.lines),
            damaged_lines: Count(file.damaged_lines),
            snapshots: Count(file.snapshots),
            first_time: file.first_time,
            last_time: file.last_time,
            read_at: file.read_at,
        }
    }
}

impl Session {
    /// Returns the answer about a session; `None` if no response of it is stored.
    pub(super) fn of(details: SessionDetails) -> Option<Self> {
        let session = &details.session_id;
        let model = |row: BreakdownRow| ModelSums {
            model: row.name,
            tokens: row.totals.counts.into(),
            responses: Count(row.totals.responses),
        };
        Some(Self {
            activity: details.activity.map(Activity::from),
            models_by_tokens: details.models.into_iter().map(model).collect(),
            limits: details.limits.into_iter().map(|limit| Limit::of(session.clone(), limit)).collect(),
            children: details.children,
            sources: details.files.into_iter().map(Source::from).collect(),
            ..Self::from(details.summary?)
        })
    }
}

impl From<TokenSummaryRecord> for Session {
    fn from(summary: TokenSummaryRecord) -> Self {
        let metadata = summary.metadata.unwrap_or_default();
        let categories = metadata.content_categories.iter();
        Self {
            session_id: summary.session_id,
            projects: summary.projects,
            models: summary.models,
            hosts: summary.hosts,
            first_time: summary.first_time,
            last_time: summary.last_time,
            tokens: summary.counts.into(),
            responses: Count(summary.responses),
            responses_worth_tokens: Count(summary.responses_worth_tokens),
            finished_responses: Count(summary.finished_responses),
            files: Count(summary.files),
            lines: Count(metadata.lines),
            bad_lines: Count(metadata.bad_lines),
            content_categories: categories.map(|(category, tokens)| (*category, Count(*tokens))).collect(),
            accuracy_ratio: metadata.accuracy_ratio,
            last_sync: metadata.last_sync,
            attribution: metadata.attribution,
            extra: metadata.extra.into(),
            cost: summary.cost.map(CostAnswer::from),
            activity: metadata.activity.map(Activity::from),
            models_by_tokens: Vec::new(),
            limits: Vec::new(),
            children: Vec::new(),
            sources: Vec::new(),
        }
    }
}

#[derive(Serialize)]
struct Line {
    count: Count,
    tokens: Count,
}

impl From<ReceiptLine> for Line {
    fn from(line: ReceiptLine) -> Self {
        Self { count: Count(line.count), tokens: Count(line.tokens) }
    }
}

/// The receipt of the whole store: `read + kept - repeated` = `total`.
#[derive(Serialize)]
pub(super) struct ReceiptAnswer {
    as_of: Timestamp,
    read: Line,
    kept: Line,
    repeated: Line,
    total: Line,
    weak: Line,
}

impl ReceiptAnswer {
    pub(super) fn new(as_of: Timestamp, receipt: StoreReceipt) -> Self {
        let StoreReceipt { read, kept, repeated, total, weak, .. } = receipt;
        Self {
            as_of,
            read: read.into(),
            kept: kept.into(),
            repeated: repeated.into(),
            total: total.into(),
            weak: weak.into(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct AuditPage {
    records: Vec<AuditEntry>,
    /// The parameter `after` of the next page, if there is one.
    next: Option<String>,
}

impl AuditPage {
    pub(super) fn new(records: Vec<AuditRecord>, next: Option<String>) -> Self {
        Self { records: records.into_iter().map(AuditEntry::from).collect(), next }
    }
}

#[derive(Serialize)]
struct AuditEntry {
    id: AuditId,
    time: Timestamp,
    correlation_id: CorrelationId,
    operation: OperationName,
    actor: Option<Actor>,
    session: Option<SessionId>,
    outcome: AuditOutcome,
    forced: bool,
    records_stored: Count,
    new_responses: Count,
    tokens: Count,
    tokens_replaced: Count,
    tokens_written: Count,
    counts: BTreeMap<String, Count>,
    duration_seconds: f64,
    error_kind: String,
    error: String,
    host: Option<HostName>,
    version: String,
}

impl From<AuditRecord> for AuditEntry {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            time: record.time,
            correlation_id: record.correlation_id,
            operation: record.operation,
            actor: record.actor,
            session: record.session,
            outcome: record.outcome,
            forced: record.forced,
            records_stored: Count(record.records_stored),
            new_responses: Count(record.new_responses),
            tokens: Count(record.tokens),
            tokens_replaced: Count(record.tokens_replaced),
            tokens_written: Count(record.tokens_written),
            counts: record.counts.into_iter().map(|(name, count)| (name, Count(count))).collect(),
            duration_seconds: record.duration.as_secs_f64(),
            error_kind: record.error_kind,
            error: record.error,
            host: record.host,
            version: record.version,
        }
    }
}

/// The states of a health check, without its texts, which name paths and hosts.
#[derive(Serialize)]
pub(super) struct Health {
    overall: HealthState,
    checked_at: Timestamp,
    duration_seconds: f64,
    probes: Vec<ProbeAnswer>,
}

#[derive(Serialize)]
struct ProbeAnswer {
    probe: Probe,
    state: HealthState,
    duration_seconds: f64,
}

impl From<HealthStatus> for Health {
    fn from(health: HealthStatus) -> Self {
        let probes = health.probes.into_iter().map(|found| ProbeAnswer {
            probe: found.probe,
            state: found.state,
            duration_seconds: found.duration.as_secs_f64(),
        });
        Self {
            overall: health.overall,
            checked_at: health.checked_at,
            duration_seconds: health.duration.as_secs_f64(),
            probes: probes.collect(),
        }
    }
}

/// The answer of the two probes of an orchestrator.
#[derive(Serialize)]
pub(super) struct Status {
    pub(super) status: &'static str,
}
