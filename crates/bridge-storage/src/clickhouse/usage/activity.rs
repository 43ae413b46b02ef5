//! Rows of the view `session_activity`.

use std::time::Duration;

use ::clickhouse::Row;
use bridge_core::{ActivityFacts, AttributionValue, BridgeError, SessionId, Timestamp, ToolCalls};
use serde::Deserialize;

use crate::clickhouse::connection::errors::corrupt;
use crate::clickhouse::row::ColumnValue;

/// A row of `session_activity`.
#[derive(Debug, Row, Deserialize)]
pub(crate) struct ActivityRow {
    session_id: String,
    turns: u64,
    tool_calls: Vec<(String, u64)>,
    api_errors: u64,
    api_retries: u64,
    limits_hit: u64,
    first_time: Option<i64>,
    last_time: Option<i64>,
    active_seconds: u64,
    session_kind: String,
    entrypoint: String,
    parent_session: String,
    subagents: u64,
}

/// The columns of [`ActivityRow`].
pub(crate) const ACTIVITY_COLUMNS: &str = "session_id, turns, tool_calls, api_errors, api_retries, limits_hit, \
     first_time, last_time, active_seconds, session_kind, entrypoint, parent_session, subagents";

impl ActivityRow {
    pub(crate) fn into_facts(self) -> Result<(SessionId, ActivityFacts), BridgeError> {
        self.into_valid_facts().map_err(|error| corrupt("read summaries", error.to_string()))
    }

    fn into_valid_facts(
        self,
    ) -> Result<(SessionId, ActivityFacts), Box<dyn std::error::Error + Send + Sync>> {
        let facts = ActivityFacts {
            turns: self.turns,
            tool_calls: ToolCalls::load(self.tool_calls)?,
            api_errors: self.api_errors,
            api_retries: self.api_retries,
            limits_hit: self.limits_hit,
            first_time: Option::<Timestamp>::load(self.first_time)?,
            last_time: Option::<Timestamp>::load(self.last_time)?,
            active_time: Duration::from_secs(self.active_seconds),
            kind: Option::<AttributionValue>::load(self.session_kind)?,
            entrypoint: Option::<AttributionValue>::load(self.entrypoint)?,
            parent: Option::<SessionId>::load(self.parent_session)?,
            subagents: self.subagents,
        };
        Ok((SessionId::new(self.session_id)?, facts))
    }
}
