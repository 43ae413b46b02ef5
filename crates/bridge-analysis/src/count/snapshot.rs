//! A snapshot of a response, as the reader of an agent's format hands it over.

use bridge_core::{Attribution, Origin, ResponseKey, SupersededKey, Timestamp, TokenCounts};

use crate::count::activity::RecordActivity;
use crate::count::categories::CategoryCounter;
use crate::json::Raw;

/// A snapshot of a response, as a record has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot<'a> {
    pub(crate) key: ResponseKey,
    pub(crate) time: Timestamp,
    /// Names that it usually shares with its neighbors.
    pub(crate) named: RawNames<'a>,
    pub(crate) request_id: Option<Raw<'a>>,
    pub(crate) counted: Counted,
    pub(crate) extras: Extras,
    /// Of the tokens, those by which iterations raise the top level.
    pub(crate) raised: u64,
    pub(crate) weak_key: bool,
    pub(crate) finished: bool,
    pub(crate) sidechain: bool,
    pub(crate) nested: bool,
    pub(crate) forked: bool,
    pub(crate) origin: Origin,
}

/// The names in a snapshot, as raw JSON values, which need not be strings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RawNames<'a> {
    pub(crate) session: Option<Raw<'a>>,
    pub(crate) cwd: Option<Raw<'a>>,
    pub(crate) agent: Option<Raw<'a>>,
    pub(crate) model: Option<Raw<'a>>,
    pub(crate) service_tier: Option<Raw<'a>>,
    pub(crate) attribution: Attribution<Raw<'a>>,
}

/// Takes the contents of records.
pub(crate) trait SnapshotSink {
    /// Takes a snapshot that counts.
    fn snapshot(&mut self, snapshot: &Snapshot<'_>);
    /// Takes a key that revision 1 of the rule gave and the current one does not.
    fn superseded(&mut self, key: SupersededKey);
    /// Notes a snapshot with an unreadable counter.
    fn bad_usage(&mut self);
    /// Returns the time of a snapshot whose record has no readable one.
    fn time_before(&mut self) -> Timestamp;
    /// Notes the readable time of a record.
    fn record_time(&mut self, time: Timestamp);
    /// Takes the activity of a record, if it is asked for.
    fn activity(&mut self, activity: &RecordActivity<'_>);
    /// Returns the counter of texts by category, if it is asked for.
    fn categories(&mut self) -> Option<&mut CategoryCounter>;
}

/// Four counters, and of the cache-creation tokens those kept for five minutes and for one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) counts: TokenCounts,
    pub(crate) cache_split: (u64, u64),
}

/// Numbers besides the counters, if the record has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// Of the output tokens.
    pub(crate) thinking_tokens: Option<u64>,
    pub(crate) web_search_requests: Option<u64>,
    pub(crate) web_fetch_requests: Option<u64>,
}
