//! The audit.

use std::fmt;
use std::str::FromStr;

use axum::response::Response;
use bridge_core::{AuditFilter, AuditId, AuditOutcome, AuditRecord, Timestamp};

use super::answers::AuditPage;
use super::api_request::ApiRequest;
use super::context::Caller;
use super::dashboard::{ROWS_MAX, time_range};
use super::parameters::Parameters;
use super::problem::Problem;

const OUTCOMES: [(&str, AuditOutcome); 4] = [
    ("succeeded", AuditOutcome::Succeeded),
    ("incomplete", AuditOutcome::Incomplete),
    ("failed", AuditOutcome::Failed),
    ("cancelled", AuditOutcome::Cancelled),
];

/// The place in the audit at which a page begins: after this record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    time: Timestamp,
    id: AuditId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.time.as_millis(), self.id)
    }
}

impl Cursor {
    fn after(record: &AuditRecord) -> Self {
        Self { time: record.time, id: record.id }
    }

    fn parse(text: &str) -> Option<Self> {
        let (millis, id) = text.split_once('_')?;
        let time = Timestamp::from_millis(i64::from_str(millis).ok()?).ok()?;
        Some(Self { time, id: id.parse().ok()? })
    }
}

fn filter(parameters: &mut Parameters, now: Timestamp) -> AuditFilter {
    let mut filter = AuditFilter::default();
    filter.time = time_range(parameters, now).0;
    filter.operation = parameters.value("operation");
    filter.actor = parameters.value("actor");
    filter.session = parameters.value("session");
    filter.outcome = parameters.choice("outcome", &OUTCOMES);
    filter.correlation_id = parameters.value("correlation_id");
    if let Some(text) = parameters.text("after") {
        let cursor = Cursor::parse(&text);
        if cursor.is_none() {
            parameters.reject("after", "must be the `next` value of the previous page");
        }
        filter.after = cursor.map(|cursor| (cursor.time, cursor.id));
    }
    filter.limit = parameters.number("limit", 1..=ROWS_MAX).unwrap_or(filter.limit);
    filter
}

pub(super) async fn audit(mut request: ApiRequest) -> Result<Response, Problem> {
    let now = request.now();
    let filter = filter(&mut request.parameters, now);
    let work = async |caller: Caller| {
        // One more than the page shows whether there is another.
        let limit = filter.limit;
        let mut records = caller.bridge.audit_log(&filter.with_limit(limit + 1)).await?;
        let has_more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next = records.last().filter(|_| has_more).map(|last| Cursor::after(last).to_string());
        Ok(AuditPage::new(records, next))
    };
    request.answer("audit", work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor { time: "2026-01-31T12:00:00.001Z".parse().unwrap(), id: AuditId(u128::MAX) };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for wrong in ["", "_", "1_2", "x_00f067aa0ba902b74bf92f3577b34da6", "99999999999999999999_"] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
