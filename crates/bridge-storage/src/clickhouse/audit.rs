//! The audit's table.

use std::collections::BTreeMap;
use std::time::Duration;

use ::clickhouse::Row;
use async_trait::async_trait;
use bridge_core::{
    AuditFilter, AuditId, AuditOutcome, AuditRecord, BridgeError, CorrelationId, HostName, OperationName,
    SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::usage::read::time_conditions;
use crate::capabilities::AuditStore;

/// A row of `bridge_audit`.
#[derive(Debug, Row, Serialize, Deserialize)]
struct AuditRow {
    id: u128,
    time: i64,
    correlation_id: String,
    operation: String,
    session_id: String,
    outcome: String,
    forced: bool,
    records_stored: u64,
    new_responses: u64,
    tokens: u64,
    tokens_replaced: u64,
    tokens_written: u64,
    figures: Vec<(String, u64)>,
    duration_micros: u64,
    error_kind: String,
    error: String,
    host: String,
    version: String,
}

/// The columns of [`AuditRow`].
const COLUMNS: &str = "id, time, correlation_id, operation, session_id, outcome, forced, records_stored, new_responses, \
     tokens, tokens_replaced, tokens_written, figures, duration_micros, error_kind, error, host, version";

impl From<&AuditRecord> for AuditRow {
    fn from(record: &AuditRecord) -> Self {
        let figures = record.figures.iter();
        Self {
            id: record.id.0,
            time: record.time.as_millis(),
            correlation_id: record.correlation_id.to_string(),
            operation: record.operation.to_string(),
            session_id: record.session.as_ref().map(ToString::to_string).unwrap_or_default(),
            outcome: record.outcome.to_string(),
            forced: record.forced,
            records_stored: record.records_stored,
            new_responses: record.new_responses,
            tokens: record.tokens,
            tokens_replaced: record.tokens_replaced,
            tokens_written: record.tokens_written,
            figures: figures.map(|(name, figure)| (name.clone(), *figure)).collect(),
            duration_micros: u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX),
            error_kind: record.error_kind.clone(),
            error: record.error.clone(),
            host: record.host.as_ref().map(ToString::to_string).unwrap_or_default(),
            version: record.version.clone(),
        }
    }
}

impl AuditRow {
    fn into_record(self) -> Result<AuditRecord, BridgeError> {
        let id = AuditId(self.id);
        let unreadable = |what: &str| corrupt("read the audit", format!("record {:032x}: {what}", id.0));
        let time = Timestamp::from_millis(self.time).map_err(|_| unreadable("its time"))?;
        let correlation_id: CorrelationId =
            self.correlation_id.parse().map_err(|_| unreadable("its correlation id"))?;
        let operation = OperationName::new(self.operation).map_err(|_| unreadable("its operation"))?;
        let outcome = AuditOutcome::ALL.into_iter().find(|outcome| outcome.name() == self.outcome);
        let mut record = AuditRecord::new(id, time, correlation_id, operation);
        record.session = SessionId::new(self.session_id).ok();
        record.outcome = outcome.ok_or_else(|| unreadable("its outcome"))?;
        record.forced = self.forced;
        record.records_stored = self.records_stored;
        record.new_responses = self.new_responses;
        record.tokens = self.tokens;
        record.tokens_replaced = self.tokens_replaced;
        record.tokens_written = self.tokens_written;
        record.figures = BTreeMap::from_iter(self.figures);
        record.duration = Duration::from_micros(self.duration_micros);
        record.error_kind = self.error_kind;
        record.error = self.error;
        record.host = HostName::new(self.host).ok();
        record.version = self.version;
        Ok(record)
    }
}

/// The conditions of a filter, with a `?` for each value.
fn conditions(filter: &AuditFilter) -> Vec<&'static str> {
    let mut conditions = time_conditions(&filter.time);
    conditions.extend(filter.operation.as_ref().map(|_| "operation = ?"));
    conditions.extend(filter.session.as_ref().map(|_| "session_id = ?"));
    conditions.extend(filter.outcome.map(|_| "outcome = ?"));
    conditions.extend(filter.correlation_id.map(|_| "correlation_id = ?"));
    conditions
}

#[async_trait]
impl AuditStore for ClickHouseStore {
    async fn put_audit(&self, records: &[AuditRecord]) -> Result<(), BridgeError> {
        if records.is_empty() {
            return Ok(());
        }
        let rows = &records.iter().map(AuditRow::from).collect::<Vec<_>>();
        self.call_for_audit("write the audit", |tables| async move {
            let mut insert = tables.insert::<AuditRow>("bridge_audit", rows.len()).await?;
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        })
        .await
    }

    async fn audit_records(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError> {
        let conditions = conditions(filter);
        let condition = match conditions.is_empty() {
            true => String::new(),
            false => format!("WHERE {} ", conditions.join(" AND ")),
        };
        let query = &format!(
            "SELECT {COLUMNS} FROM bridge_audit FINAL {condition}ORDER BY time DESC, id DESC LIMIT {}",
            filter.limit
        );
        let rows: Vec<AuditRow> = self
            .call("read the audit", |tables| async move {
                let ends = [filter.time.start, filter.time.end].into_iter().flatten();
                let query = ends.fold(tables.query(query), |query, end| query.bind(end.as_millis()));
                let texts = [
                    filter.operation.as_ref().map(ToString::to_string),
                    filter.session.as_ref().map(ToString::to_string),
                    filter.outcome.map(|outcome| outcome.to_string()),
                    filter.correlation_id.map(|id| id.to_string()),
                ];
                texts.into_iter().flatten().fold(query, |query, text| query.bind(text)).fetch_all().await
            })
            .await?;
        rows.into_iter().map(AuditRow::into_record).collect()
    }
}
