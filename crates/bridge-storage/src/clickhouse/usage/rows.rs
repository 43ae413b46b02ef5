//! Rows of `token_usage`.

use ::clickhouse::Row;
use ::clickhouse::types::UInt256;
use bridge_core::{
    AgentId, AnalysisNote, AttributionValue, BridgeError, Epoch, HostName, Labels, ModelName, Origin,
    ProjectName, RequestId, ResponseKey, ResponseUsage, ResponseVersion, RuleRevision, ServiceTier,
    SessionId, Timestamp,
};
use serde::Deserialize;

use crate::capabilities::StoredResponse;
use crate::clickhouse::connection::errors::corrupt;
use crate::clickhouse::row::{ColumnValue, table_row};
use crate::merge::Stored;
use crate::store::ReplacedRow;

/// The condition of rows that are counted; see [`Origin::is_counted`]. Use it in the `WHERE` of a query with `FINAL`,
/// never in a `PREWHERE`: a marker has to hide the rows that it covers before it is filtered out itself.
pub(crate) const COUNTED: &str = "origin NOT IN ('covered', 'analysis')";

table_row! {
    /// A row that was read.
    row StoredUsage of ResponseUsage, columns USAGE_COLUMNS;
    new(key: ResponseKey = key, session_id: SessionId = session, time: Timestamp = time,)
    fields {
        model: Option<ModelName> = model,
        project: Option<ProjectName> = project,
        host: Option<HostName> = host,
        agent: Option<AgentId> = agent,
        service_tier: Option<ServiceTier> = service_tier,
        input_tokens: u64 = counts.input,
        output_tokens: u64 = counts.output,
        cache_creation_tokens: u64 = counts.cache_creation,
        cache_read_tokens: u64 = counts.cache_read,
        cache_creation_5m_tokens: u64 = cache_creation_5m,
        cache_creation_1h_tokens: u64 = cache_creation_1h,
        finished: bool = finished,
        sidechain: bool = sidechain,
        nested: bool = nested,
        forked: bool = forked,
        origin: Origin = origin,
        weak_key: bool = weak_key,
        rule_revision: RuleRevision = rule_revision,
        analysis: Option<AnalysisNote> = note,
        branch: Option<AttributionValue> = attribution.branch,
        client_version: Option<AttributionValue> = attribution.client_version,
        entrypoint: Option<AttributionValue> = attribution.entrypoint,
        effort: Option<AttributionValue> = attribution.effort,
        agent_type: Option<AttributionValue> = attribution.agent_type,
        skill: Option<AttributionValue> = attribution.skill,
        plugin: Option<AttributionValue> = attribution.plugin,
        mcp_server: Option<AttributionValue> = attribution.mcp_server,
        mcp_tool: Option<AttributionValue> = attribution.mcp_tool,
        speed: Option<AttributionValue> = attribution.speed,
        inference_geo: Option<AttributionValue> = attribution.inference_geo,
        worktree: Option<AttributionValue> = attribution.worktree,
        fallback_credit: Option<AttributionValue> = attribution.fallback_credit,
        thinking_tokens: Option<u64> = thinking_tokens,
        web_search_requests: Option<u64> = web_search_requests,
        web_fetch_requests: Option<u64> = web_fetch_requests,
        request_id: Option<RequestId> = request_id,
        developer: Option<AttributionValue> = assignment.developer,
        team: Option<AttributionValue> = assignment.team,
        labels: Labels = assignment.labels,
    }
    extra { version: ResponseVersion, run_id: u128, epoch: Epoch, }
    written natively as UsageRow
}

/// The part of a stored row that a look-up reads.
#[derive(Debug, Row, Deserialize)]
pub(crate) struct StoredRow {
    key: u128,
    version: UInt256,
    session_id: String,
    tokens: u64,
    is_covered: u8,
    rule_revision: u8,
}

impl StoredRow {
    pub(crate) fn into_stored(self) -> Result<(ResponseKey, Stored), BridgeError> {
        let key = ResponseKey(self.key);
        let session = SessionId::new(self.session_id)
            .map_err(|error| corrupt("look up responses", format!("response {key}: {error}")))?;
        let rule_revision = RuleRevision(self.rule_revision);
        let row = ReplacedRow { session, tokens: self.tokens, rule_revision, usage: None };
        let version = response_version(self.version);
        Ok((key, Stored { version, row, is_covered: self.is_covered > 0 }))
    }
}

pub(crate) fn response_version(version: UInt256) -> ResponseVersion {
    ResponseVersion::from_le_bytes(version.to_le_bytes())
}

impl StoredUsage {
    /// Returns the stored row, readable or not.
    pub(crate) fn into_stored(self) -> StoredResponse {
        let (key, version) = (ResponseKey(self.key), response_version(self.version));
        StoredResponse { key, version, usage: self.into_response().ok() }
    }

    /// Returns what a look-up of the whole row finds.
    pub(crate) fn into_found(self) -> Result<(ResponseKey, Stored), BridgeError> {
        let session = self.session_id.clone();
        let counters =
            [self.input_tokens, self.output_tokens, self.cache_creation_tokens, self.cache_read_tokens];
        let tokens = counters.into_iter().fold(0, u64::saturating_add);
        let is_covered = self.origin == ColumnValue::store(&Origin::Covered);
        let rule_revision = RuleRevision(self.rule_revision);
        let StoredResponse { key, version, usage } = self.into_stored();
        let session = SessionId::new(session)
            .map_err(|error| corrupt("look up responses", format!("response {key}: {error}")))?;
        let row = ReplacedRow { session, tokens, rule_revision, usage: usage.map(Box::new) };
        Ok((key, Stored { version, row, is_covered }))
    }

    /// Returns the response that the row was written for, if the row is unchanged since the bridge wrote it.
    pub(crate) fn into_verified_response(self) -> Result<ResponseUsage, BridgeError> {
        let (key, version) = (self.key, response_version(self.version));
        let wrong = |why: String| corrupt("read responses", format!("response {}: {why}", ResponseKey(key)));
        let response = self.into_response().map_err(wrong)?;
        match version.verifies(&response) {
            true => Ok(response),
            false => Err(wrong("its version does not verify its fields".to_owned())),
        }
    }

    fn into_response(self) -> Result<ResponseUsage, String> {
        let forced = response_version(self.version).forced();
        Ok(ResponseUsage { forced, ..self.into_record()? })
    }
}
