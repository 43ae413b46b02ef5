//! The table of the audit.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bridge_core::{
    Actor, AuditFilter, AuditId, AuditOutcome, AuditRecord, BridgeError, CorrelationId, HostName,
    OperationName, SessionId, Timestamp,
};

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::row::table_row;
use super::usage::read::time_conditions;
use crate::capabilities::AuditStore;

table_row! {
    /// A row of `bridge_audit`.
    row AuditRow of AuditRecord, columns COLUMNS;
    new(id: AuditId = id, time: Timestamp = time, correlation_id: CorrelationId = correlation_id,
        operation: OperationName = operation,)
    fields {
        actor: Option<Actor> = actor,
        session_id: Option<SessionId> = session,
        outcome: AuditOutcome = outcome,
        forced: bool = forced,
        records_stored: u64 = records_stored,
        new_responses: u64 = new_responses,
        tokens: u64 = tokens,
        tokens_replaced: u64 = tokens_replaced,
        tokens_written: u64 = tokens_written,
        figures: BTreeMap<String, u64> = counts,
        duration_micros: Duration = duration,
        error_kind: String = error_kind,
        error: String = error,
        host: Option<HostName> = host,
        version: String = version,
    }
    extra {}
}

/// The conditions of a filter, with a `?` for each value.
fn conditions(filter: &AuditFilter) -> Vec<&'static str> {
    let mut conditions = time_conditions(&filter.time);
    conditions.extend(filter.operation.as_ref().map(|_| "operation = ?"));
    conditions.extend(filter.actor.as_ref().map(|_| "actor = ?"));
    conditions.extend(filter.session.as_ref().map(|_| "session_id = ?"));
    conditions.extend(filter.outcome.map(|_| "outcome = ?"));
    conditions.extend(filter.correlation_id.map(|_| "correlation_id = ?"));
    conditions.extend(
        filter.after.map(|_| "(time, id) < (fromUnixTimestamp64Milli(toInt64(?), 'UTC'), toUInt128(?))"),
    );
    conditions
}

#[async_trait]
impl AuditStore for ClickHouseStore {
    async fn put_audit(&self, records: &[AuditRecord]) -> Result<(), BridgeError> {
        if records.is_empty() {
            return Ok(());
        }
        let rows = &records.iter().map(AuditRow::store).collect::<Vec<_>>();
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
                    filter.actor.as_ref().map(ToString::to_string),
                    filter.session.as_ref().map(ToString::to_string),
                    filter.outcome.map(|outcome| outcome.to_string()),
                    filter.correlation_id.map(|id| id.to_string()),
                ];
                let query = texts.into_iter().flatten().fold(query, |query, text| query.bind(text));
                let query = match filter.after {
                    Some((time, id)) => query.bind(time.as_millis()).bind(id.0.to_string()),
                    None => query,
                };
                query.fetch_all().await
            })
            .await?;
        let record = |row: AuditRow| {
            let id = AuditId(row.id);
            row.into_record().map_err(|why| corrupt("read the audit", format!("record {:032x}: {why}", id.0)))
        };
        rows.into_iter().map(record).collect()
    }
}
