//! From one record of a transcript to its response snapshots, by the counting rule.

use bridge_core::{Origin, ResponseKey, Timestamp, TokenCounts};

use crate::fields::{DataFields, MessageFields, RecordFields, UsageValue, record_fields};
use crate::json::{Raw, array_items, is_present, is_true, string_bytes};
use crate::time::read_time;
use crate::usage::{Advisor, Usage, read_usage};

/// A response snapshot, as it stands in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot<'a> {
    pub(crate) key: ResponseKey,
    pub(crate) time: Timestamp,
    /// What it shares with its neighbours.
    pub(crate) named: Named<'a>,
    pub(crate) counts: TokenCounts,
    pub(crate) cache_split: (u64, u64),
    pub(crate) finished: bool,
    pub(crate) sidechain: bool,
    pub(crate) nested: bool,
    pub(crate) forked: bool,
    pub(crate) origin: Origin,
}

/// The names that a snapshot gives, as raw JSON values: none of them needs be a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) session: Option<Raw<'a>>,
    pub(crate) cwd: Option<Raw<'a>>,
    pub(crate) agent: Option<Raw<'a>>,
    pub(crate) model: Option<Raw<'a>>,
    pub(crate) service_tier: Option<Raw<'a>>,
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

/// Reads all snapshots of one record.
pub(crate) fn read_record(record: &RecordFields<'_>, sink: &mut impl RecordSink) {
    let time = record.time.and_then(read_time);
    let outer = Outer {
        text: record.text,
        time,
        session: record.session,
        cwd: text(record.cwd),
        agent: text(record.agent),
        sidechain: is_true(record.sidechain),
        forked: is_present(record.forked),
    };
    match record.kind.and_then(string_bytes).as_deref() {
        Some(b"assistant") => outer.read_message(record, None, sink),
        Some(b"progress") => outer.read_progress(record.data.as_ref(), sink),
        _ => {}
    }
    if let Some(time) = time {
        sink.record_time(time);
    }
}

/// The value where it is a string.
fn text(value: Option<Raw<'_>>) -> Option<Raw<'_>> {
    value.filter(|value| value.starts_with('"'))
}

/// The line's own record: what its messages share.
#[derive(Clone, Copy)]
struct Outer<'a> {
    text: &'a str,
    time: Option<Timestamp>,
    session: Option<Raw<'a>>,
    cwd: Option<Raw<'a>>,
    agent: Option<Raw<'a>>,
    sidechain: bool,
    forked: bool,
}

impl<'a> Outer<'a> {
    /// The records nested in a `progress` record: a subagent's responses.
    fn read_progress(self, data: Option<&DataFields<'a>>, sink: &mut impl RecordSink) {
        let Some(data) = data else { return };
        let outer = Outer { agent: text(data.agent).or(self.agent), ..self };
        if let Some(message) = data.message {
            outer.read_nested(message, 0, sink);
        }
        if let Some(normalized) = data.normalized.filter(|list| *list != "[]") {
            let mut places = 1..;
            array_items(normalized, |record| {
                outer.read_nested(record, places.next().unwrap_or(u64::MAX), sink);
            });
        }
    }

    fn read_nested(self, record: Raw<'a>, index: u64, sink: &mut impl RecordSink) {
        let Some(record) = record_fields(record, None) else { return };
        if record.kind.and_then(string_bytes).as_deref() != Some(b"assistant") {
            return;
        }
        let nested = Outer {
            time: record.time.and_then(read_time).or(self.time),
            cwd: text(record.cwd).or(self.cwd),
            agent: text(record.agent).or(self.agent),
            sidechain: is_true(record.sidechain) || self.sidechain,
            forked: is_present(record.forked) || self.forked,
            ..self
        };
        nested.read_message(&record, Some(index), sink);
    }

    /// The snapshot of a record's message; `nested` is its place among the records nested in the line.
    fn read_message(self, record: &RecordFields<'a>, nested: Option<u64>, sink: &mut impl RecordSink) {
        let Some(message) = &record.message else { return };
        let usage = match &message.usage {
            Some(UsageValue::Object(fields)) => read_usage(fields).map(|usage| (usage, fields.service_tier)),
            None | Some(UsageValue::Other("null")) => return,
            Some(UsageValue::Other(_)) => return sink.bad_usage(),
        };
        let Ok((usage, service_tier)) = usage else { return sink.bad_usage() };
        let snapshot = Snapshot {
            key: self.response_key(message, record, nested),
            time: self.time.unwrap_or_else(|| sink.time_before()),
            named: Named {
                session: self.session,
                cwd: self.cwd,
                agent: self.agent,
                model: text(message.model),
                service_tier,
            },
            counts: usage.counts,
            cache_split: usage.cache_split,
            finished: is_present(message.stop_reason),
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

    fn response_key(
        self,
        message: &MessageFields<'_>,
        record: &RecordFields<'_>,
        nested: Option<u64>,
    ) -> ResponseKey {
        if let Some(id) = message.id.and_then(string_bytes).filter(|id| !id.is_empty()) {
            return ResponseKey::of_message(id, record.request_id.and_then(string_bytes).unwrap_or_default());
        }
        match record.uuid.and_then(string_bytes).filter(|uuid| !uuid.is_empty()) {
            Some(uuid) => ResponseKey::of_uuid(uuid),
            None => ResponseKey::of_record(self.text.as_bytes(), nested.unwrap_or(0)),
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
    sink.snapshot(&Snapshot {
        key: parent.key.iteration(Origin::Advisor, advisor.position),
        named: Named { model: text(advisor.model).or(parent.named.model), ..parent.named },
        counts: advisor.counts,
        cache_split: advisor.cache_split,
        origin: Origin::Advisor,
        ..*parent
    });
}
