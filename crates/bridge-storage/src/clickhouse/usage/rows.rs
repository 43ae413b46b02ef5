//! Rows as they travel.

use ::clickhouse::Row;
use ::clickhouse::types::UInt256;
use bridge_core::{
    AgentId, AnalysisNote, BridgeError, Epoch, HostName, InvalidValue, ModelName, Origin, ProjectName,
    ResponseKey, ResponseUsage, ResponseVersion, RuleRevision, ServiceTier, SessionId, Timestamp,
    TokenCounts,
};
use serde::Deserialize;
use serde_repr::Deserialize_repr;

use super::native::{NativeRow, NativeValue};
use crate::capabilities::StoredResponse;
use crate::clickhouse::connection::errors::corrupt;
use crate::merge::Stored;
use crate::store::ReplacedRow;

/// The condition of rows that are counted; see [`Origin::is_counted`]. Behind `FINAL`, never in a `PREWHERE`: a marker
/// has to hide the rows that it covers before it is left out itself.
pub(crate) const COUNTED: &str = "origin NOT IN ('covered', 'analysis')";

macro_rules! usage_rows {
    ($first:ident: $first_written:ty => $first_read:ty, $($column:ident: $written:ty => $read:ty,)+) => {
        /// The columns of a row of `token_usage`, as a list.
        pub(crate) const USAGE_COLUMNS: &str = concat!(stringify!($first) $(, ", ", stringify!($column))+);

        /// A row of `token_usage` that is written, without the time of storing, which the database sets.
        #[derive(Debug)]
        pub(crate) struct UsageRow<'a> {
            $first: $first_written,
            $($column: $written,)+
        }

        impl<'a> NativeRow for UsageRow<'a> {
            const COLUMNS: &'static [(&'static str, &'static str)] =
                &[(stringify!($first), <$first_written as NativeValue>::TYPE),
                    $((stringify!($column), <$written as NativeValue>::TYPE),)+];

            fn put(&self, columns: &mut [Vec<u8>]) {
                let mut columns = columns.iter_mut();
                self.$first.put(columns.next().expect("a column for each value"));
                $(self.$column.put(columns.next().expect("a column for each value"));)+
            }
        }

        /// A row that was read.
        #[derive(Debug, Row, Deserialize)]
        #[allow(dead_code, reason = "the run's id and the epoch stand among the columns and say nothing to a reader")]
        pub(crate) struct StoredUsage {
            $first: $first_read,
            $($column: $read,)+
        }
    };
}

usage_rows! {
    key: u128 => u128,
    session_id: &'a str => String,
    time: StoredTime => i64,
    model: &'a str => String,
    project: &'a str => String,
    host: &'a str => String,
    agent: &'a str => String,
    service_tier: &'a str => String,
    input_tokens: u64 => u64,
    output_tokens: u64 => u64,
    cache_creation_tokens: u64 => u64,
    cache_read_tokens: u64 => u64,
    cache_creation_5m_tokens: u64 => u64,
    cache_creation_1h_tokens: u64 => u64,
    finished: bool => bool,
    sidechain: bool => bool,
    nested: bool => bool,
    forked: bool => bool,
    origin: StoredOrigin => StoredOrigin,
    weak_key: bool => bool,
    rule_revision: u8 => u8,
    analysis: &'a str => String,
    version: UInt256 => UInt256,
    run_id: u128 => u128,
    epoch: u32 => u32,
}

/// Milliseconds since 1970.
#[derive(Debug)]
struct StoredTime(i64);

impl NativeValue for StoredTime {
    const TYPE: &'static str = "DateTime64(3, 'UTC')";

    fn put(&self, column: &mut Vec<u8>) {
        column.extend_from_slice(&self.0.to_le_bytes());
    }
}

#[derive(Debug, Clone, Copy, Deserialize_repr)]
#[repr(i8)]
enum StoredOrigin {
    Assistant = 0,
    Nested = 1,
    Iterations = 2,
    Advisor = 3,
    Summed = 4,
    Compaction = 5,
    Declined = 6,
    Other = 7,
    Covered = 8,
    Analysis = 9,
}

impl NativeValue for StoredOrigin {
    // The database makes it the `Enum8` of these numbers.
    const TYPE: &'static str = i8::TYPE;

    fn put(&self, column: &mut Vec<u8>) {
        (*self as i8).put(column);
    }
}

/// What stands under a key.
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
        let row = ReplacedRow { session, tokens: self.tokens, rule_revision };
        let version = response_version(self.version);
        Ok((key, Stored { version, row, is_covered: self.is_covered > 0 }))
    }
}

pub(crate) fn response_version(version: UInt256) -> ResponseVersion {
    ResponseVersion::from_le_bytes(version.to_le_bytes())
}

impl<'a> UsageRow<'a> {
    pub(crate) fn new(row: &'a ResponseUsage, version: ResponseVersion, run_id: u128, epoch: Epoch) -> Self {
        fn text<T: AsRef<str>>(name: Option<&T>) -> &str {
            name.map(AsRef::as_ref).unwrap_or_default()
        }
        Self {
            key: row.key.0,
            session_id: row.session.as_str(),
            time: StoredTime(row.time.as_millis()),
            model: text(row.model.as_ref()),
            project: text(row.project.as_ref()),
            host: text(row.host.as_ref()),
            agent: text(row.agent.as_ref()),
            service_tier: text(row.service_tier.as_ref()),
            input_tokens: row.counts.input,
            output_tokens: row.counts.output,
            cache_creation_tokens: row.counts.cache_creation,
            cache_read_tokens: row.counts.cache_read,
            cache_creation_5m_tokens: row.cache_creation_5m,
            cache_creation_1h_tokens: row.cache_creation_1h,
            finished: row.finished,
            sidechain: row.sidechain,
            nested: row.nested,
            forked: row.forked,
            origin: match row.origin {
                Origin::Assistant => StoredOrigin::Assistant,
                Origin::Nested => StoredOrigin::Nested,
                Origin::Iterations => StoredOrigin::Iterations,
                Origin::Advisor => StoredOrigin::Advisor,
                Origin::Summed => StoredOrigin::Summed,
                Origin::Compaction => StoredOrigin::Compaction,
                Origin::Declined => StoredOrigin::Declined,
                Origin::Other => StoredOrigin::Other,
                Origin::Covered => StoredOrigin::Covered,
                Origin::Analysis => StoredOrigin::Analysis,
            },
            weak_key: row.weak_key,
            rule_revision: row.rule_revision.0,
            analysis: row.note.as_ref().map_or("", AnalysisNote::as_str),
            version: UInt256::from_le_bytes(version.to_le_bytes()),
            run_id,
            epoch: epoch.0,
        }
    }
}

impl StoredUsage {
    /// The row as it is stored, readable or not.
    pub(crate) fn into_stored(self) -> StoredResponse {
        let (key, version) = (ResponseKey(self.key), response_version(self.version));
        StoredResponse { key, version, usage: self.into_response().ok() }
    }

    /// The response that the row was written for, if it is as the bridge wrote it.
    pub(crate) fn into_vouched_response(self) -> Result<ResponseUsage, BridgeError> {
        let version = response_version(self.version);
        let response = self.into_response()?;
        if version.verifies(&response) {
            return Ok(response);
        }
        let message = format!("response {}: its version does not vouch for what it says", response.key);
        Err(corrupt("read responses", message))
    }

    /// The response that the row was written for.
    fn into_response(self) -> Result<ResponseUsage, BridgeError> {
        fn name<T: std::str::FromStr<Err = InvalidValue>>(text: &str) -> Result<Option<T>, InvalidValue> {
            if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
        }
        let key = ResponseKey(self.key);
        let unreadable =
            |why: &dyn std::fmt::Display| corrupt("read responses", format!("response {key}: {why}"));
        let text = |error: InvalidValue| unreadable(&error);
        let time = |error: InvalidValue| unreadable(&error);
        Ok(ResponseUsage {
            key,
            session: SessionId::new(self.session_id).map_err(text)?,
            time: Timestamp::from_millis(self.time).map_err(time)?,
            model: name::<ModelName>(&self.model).map_err(text)?,
            project: name::<ProjectName>(&self.project).map_err(text)?,
            host: name::<HostName>(&self.host).map_err(text)?,
            agent: name::<AgentId>(&self.agent).map_err(text)?,
            service_tier: name::<ServiceTier>(&self.service_tier).map_err(text)?,
            counts: TokenCounts {
                input: self.input_tokens,
                output: self.output_tokens,
                cache_creation: self.cache_creation_tokens,
                cache_read: self.cache_read_tokens,
            },
            cache_creation_5m: self.cache_creation_5m_tokens,
            cache_creation_1h: self.cache_creation_1h_tokens,
            finished: self.finished,
            sidechain: self.sidechain,
            nested: self.nested,
            forked: self.forked,
            origin: match self.origin {
                StoredOrigin::Assistant => Origin::Assistant,
                StoredOrigin::Nested => Origin::Nested,
                StoredOrigin::Iterations => Origin::Iterations,
                StoredOrigin::Advisor => Origin::Advisor,
                StoredOrigin::Summed => Origin::Summed,
                StoredOrigin::Compaction => Origin::Compaction,
                StoredOrigin::Declined => Origin::Declined,
                StoredOrigin::Other => Origin::Other,
                StoredOrigin::Covered => Origin::Covered,
                StoredOrigin::Analysis => Origin::Analysis,
            },
            weak_key: self.weak_key,
            rule_revision: RuleRevision(self.rule_revision),
            note: Some(self.analysis).filter(|text| !text.is_empty()).map(AnalysisNote::from_stored),
            forced: response_version(self.version).forced(),
        })
    }
}
