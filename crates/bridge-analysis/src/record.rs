//! From one record of a transcript to its response snapshots, by the counting rule.

use std::borrow::Cow;

use bridge_core::{Origin, ResponseKey, ResponseRank, Timestamp, TokenCounts};

use crate::json::{Raw, array_items, is_present, is_true, object_fields, string, string_bytes};
use crate::usage::{Advisor, Usage, read_usage};

/// A response snapshot, as it stands in a record.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    pub(crate) key: ResponseKey,
    /// The record's session, where it names a readable one.
    pub(crate) session: Option<&'a str>,
    /// The record's time.
    pub(crate) time: Timestamp,
    pub(crate) model: Option<&'a str>,
    pub(crate) cwd: Option<&'a str>,
    pub(crate) agent: Option<&'a str>,
    pub(crate) service_tier: Option<&'a str>,
    pub(crate) counts: TokenCounts,
    pub(crate) cache_split: (u64, u64),
    pub(crate) finished: bool,
    pub(crate) sidechain: bool,
    pub(crate) nested: bool,
    pub(crate) forked: bool,
    pub(crate) origin: Origin,
}

impl Snapshot<'_> {
    /// Where it stands in the order of snapshots, but for the last tie-break.
    pub(crate) fn rank(&self) -> ResponseRank {
        ResponseRank {
            finished: self.finished,
            output: self.counts.output,
            total: self.counts.total(),
            main: !(self.sidechain || self.nested),
            original: !self.forked,
            time: std::cmp::Reverse(self.time),
        }
    }
}

/// What a record holds.
pub(crate) trait RecordSink {
    /// A snapshot that counts.
    fn snapshot(&mut self, snapshot: &Snapshot<'_>);
    /// A snapshot with a counter that is none.
    fn bad_usage(&mut self);
    /// The time of a snapshot whose record has no readable one.
    fn time_before(&mut self) -> Timestamp;
    /// The readable time of a record.
    fn record_time(&mut self, time: Timestamp);
}

/// Reads all snapshots of one record; `record` is valid JSON.
pub(crate) fn read_record(record: &str, sink: &mut impl RecordSink) {
    let keys = [
        "type",
        "timestamp",
        "message",
        "data",
        "requestId",
        "uuid",
        "sessionId",
        "isSidechain",
        "cwd",
        "forkedFrom",
        "agentId",
    ];
    let Some(fields) = object_fields(record, keys) else { return };
    let [kind, time, message, data, request_id, uuid, session, sidechain, cwd, forked, agent] = fields;
    let time = read_time(time);
    let session = session.and_then(string);
    let cwd = cwd.and_then(string);
    let agent = agent.and_then(string);
    let outer = Outer {
        record,
        time,
        session: session.as_deref(),
        cwd: cwd.as_deref(),
        agent: agent.as_deref(),
        sidechain: is_true(sidechain),
        forked: is_present(forked),
    };
    match kind.and_then(string_bytes).as_deref() {
        Some(b"assistant") => outer.read_message(Beside { message, request_id, uuid }, None, sink),
        Some(b"progress") => outer.read_progress(data, sink),
        _ => {}
    }
    if let Some(time) = time {
        sink.record_time(time);
    }
}

/// The time of a record, where it is readable.
fn read_time(time: Option<Raw<'_>>) -> Option<Timestamp> {
    time.and_then(string)?.parse().ok()
}

/// What a message's record says beside it.
struct Beside<'a> {
    message: Option<Raw<'a>>,
    request_id: Option<Raw<'a>>,
    uuid: Option<Raw<'a>>,
}

/// The line's own record: what its messages share.
#[derive(Clone, Copy)]
struct Outer<'a> {
    record: &'a str,
    time: Option<Timestamp>,
    session: Option<&'a str>,
    cwd: Option<&'a str>,
    agent: Option<&'a str>,
    sidechain: bool,
    forked: bool,
}

impl Outer<'_> {
    /// The records nested in a `progress` record: a subagent's responses.
    fn read_progress(self, data: Option<Raw<'_>>, sink: &mut impl RecordSink) {
        let keys = ["message", "normalizedMessages", "agentId"];
        let Some([message, normalized, agent]) = data.and_then(|data| object_fields(data.get(), keys)) else {
            return;
        };
        let agent = agent.and_then(string);
        let outer = Outer { agent: agent.as_deref().or(self.agent), ..self };
        let normalized = normalized.and_then(array_items).unwrap_or_default();
        let records = message.into_iter().map(|record| (0, record)).chain((1..).zip(normalized));
        for (index, record) in records {
            outer.read_nested(record, index, sink);
        }
    }

    fn read_nested(self, record: Raw<'_>, index: u64, sink: &mut impl RecordSink) {
        let keys = [
            "type",
            "timestamp",
            "message",
            "requestId",
            "uuid",
            "isSidechain",
            "cwd",
            "forkedFrom",
            "agentId",
        ];
        let Some(fields) = object_fields(record.get(), keys) else { return };
        let [kind, time, message, request_id, uuid, sidechain, cwd, forked, agent] = fields;
        if kind.and_then(string_bytes).as_deref() != Some(b"assistant") {
            return;
        }
        let cwd = cwd.and_then(string);
        let agent = agent.and_then(string);
        let nested = Outer {
            time: read_time(time).or(self.time),
            cwd: cwd.as_deref().or(self.cwd),
            agent: agent.as_deref().or(self.agent),
            sidechain: is_true(sidechain) || self.sidechain,
            forked: is_present(forked) || self.forked,
            ..self
        };
        nested.read_message(Beside { message, request_id, uuid }, Some(index), sink);
    }

    /// The snapshot of one message; `nested` is its place among the records nested in the line.
    fn read_message(self, beside: Beside<'_>, nested: Option<u64>, sink: &mut impl RecordSink) {
        let keys = ["id", "model", "stop_reason", "usage"];
        let fields = beside.message.and_then(|message| object_fields(message.get(), keys));
        let Some([id, model, stop_reason, usage]) = fields else { return };
        let Some(usage) = usage.filter(|usage| is_present(Some(usage))) else { return };
        let Ok(usage) = read_usage(usage) else { return sink.bad_usage() };

        let model = model.and_then(string);
        let snapshot = Snapshot {
            key: self.response_key(id, &beside, nested),
            session: self.session,
            time: self.time.unwrap_or_else(|| sink.time_before()),
            model: model.as_deref(),
            cwd: self.cwd,
            agent: self.agent,
            service_tier: usage.service_tier.as_deref(),
            counts: usage.counts,
            cache_split: usage.cache_split,
            finished: is_present(stop_reason),
            sidechain: self.sidechain,
            nested: nested.is_some(),
            forked: self.forked,
            origin: origin(&usage, nested.is_some()),
        };
        sink.snapshot(&snapshot);
        for advisor in &usage.advisors {
            read_advisor(&snapshot, advisor, sink);
        }
    }

    fn response_key(self, id: Option<Raw<'_>>, beside: &Beside<'_>, nested: Option<u64>) -> ResponseKey {
        let text = |value: Option<Raw<'_>>| {
            value.and_then(string_bytes).map(Cow::into_owned).filter(|bytes| !bytes.is_empty())
        };
        if let Some(id) = id.and_then(string_bytes).filter(|id| !id.is_empty()) {
            let request_id = beside.request_id.and_then(string_bytes).unwrap_or_default();
            return ResponseKey::of_message(id, request_id);
        }
        match text(beside.uuid) {
            Some(uuid) => ResponseKey::of_uuid(uuid),
            None => ResponseKey::of_record(self.record.as_bytes(), nested.unwrap_or(0)),
        }
    }
}

fn origin(usage: &Usage<'_>, nested: bool) -> Origin {
    match (usage.from_iterations, nested) {
        (true, _) => Origin::Iterations,
        (false, true) => Origin::Nested,
        (false, false) => Origin::Assistant,
    }
}

/// An advisor's iteration: a response of its own, finished when its parent is.
fn read_advisor(parent: &Snapshot<'_>, advisor: &Advisor<'_>, sink: &mut impl RecordSink) {
    let model = advisor.model.and_then(string);
    sink.snapshot(&Snapshot {
        key: parent.key.advisor(advisor.position),
        model: model.as_deref().or(parent.model),
        counts: advisor.counts,
        cache_split: advisor.cache_split,
        origin: Origin::Advisor,
        ..*parent
    });
}
