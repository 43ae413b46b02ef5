//! Turns one record of a transcript into its response snapshots, by the counting rule.

use std::borrow::Cow;

use bridge_core::{Attribution, Origin, ResponseKey, Timestamp};

use crate::claude::extras::{credit_status, read_extras};
use crate::claude::fields::{DataFields, MessageFields, RecordDecoder, RecordFields, UsageValue};
use crate::claude::iterations::Apart;
use crate::claude::superseded::visit_superseded;
use crate::claude::usage::{Usage, read_usage};
use crate::count::context::session;
use crate::count::snapshot::{RawNames, Snapshot, SnapshotSink};
use crate::count::time::read_time;
use crate::json::{Raw, array_items, is_present, is_true, read_object, string_bytes};

/// Reads all snapshots of one record, and returns its time.
pub(crate) fn read_record(record: &RecordFields<'_>, sink: &mut impl SnapshotSink) -> Option<Timestamp> {
    let time = record.time.and_then(read_time);
    let outer = Outer {
        text: record.text,
        time,
        session: session_name(record.session, record.session_id),
        cwd: text(record.cwd),
        agent: text(record.agent),
        request_id: text(record.request_id),
        attribution: texts(record.attribution),
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
    time
}

/// Returns the raw name of a record's session: `session_id` counts if `sessionId` names none.
pub(crate) fn session_name<'a>(first: Option<Raw<'a>>, second: Option<Raw<'a>>) -> Option<Raw<'a>> {
    match (first, second) {
        (first, None) => first,
        (Some(first), Some(_)) if session(first).is_some() => Some(first),
        (_, second) => second,
    }
}

/// Returns the value if it is a string.
fn text(value: Option<Raw<'_>>) -> Option<Raw<'_>> {
    value.filter(|value| value.starts_with('"'))
}

fn texts<'a>(values: Attribution<Raw<'a>>) -> Attribution<Raw<'a>> {
    values.and_then(|value| text(Some(value)))
}

/// The line's own record: the values that its messages share.
#[derive(Clone, Copy)]
struct Outer<'a> {
    text: &'a str,
    time: Option<Timestamp>,
    session: Option<Raw<'a>>,
    cwd: Option<Raw<'a>>,
    agent: Option<Raw<'a>>,
    request_id: Option<Raw<'a>>,
    attribution: Attribution<Raw<'a>>,
    sidechain: bool,
    forked: bool,
}

impl<'a> Outer<'a> {
    /// Reads the records nested in a `progress` record: a subagent's responses.
    fn read_progress(self, data: Option<&DataFields<'a>>, sink: &mut impl SnapshotSink) {
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

    fn read_nested(self, record: Raw<'a>, index: u64, sink: &mut impl SnapshotSink) {
        let Some(record) = read_object(record, &mut RecordDecoder::default()) else { return };
        if record.kind.and_then(string_bytes).as_deref() != Some(b"assistant") {
            return;
        }
        let nested = Outer {
            time: record.time.and_then(read_time).or(self.time),
            cwd: text(record.cwd).or(self.cwd),
            agent: text(record.agent).or(self.agent),
            // A nested record's request is not the one of the line.
            request_id: text(record.request_id),
            attribution: texts(record.attribution).or(self.attribution),
            sidechain: is_true(record.sidechain) || self.sidechain,
            forked: is_present(record.forked) || self.forked,
            ..self
        };
        nested.read_message(&record, Some(index), sink);
    }

    /// Reads the snapshot of a record's message; `nested` is its place among the records nested in the line.
    fn read_message(self, record: &RecordFields<'a>, nested: Option<u64>, sink: &mut impl SnapshotSink) {
        let Some(message) = &record.message else { return };
        let fields = match &message.usage {
            Some(UsageValue::Object(fields)) => fields,
            None | Some(UsageValue::Other("null")) => return,
            Some(UsageValue::Other(_)) => return sink.bad_usage(),
        };
        let identity = Identity::new(self.text, message, record, nested);
        let finished = is_present(message.stop_reason);
        let Ok(usage) = read_usage(fields) else {
            visit_superseded(identity.key_1(), finished, fields, |key| sink.superseded(key));
            return sink.bad_usage();
        };
        let weak_id = identity.weak_id();
        let snapshot = Snapshot {
            key: weak_id.map_or_else(
                || identity.key_1(),
                |id| ResponseKey::of_weak_message(id, &usage.counted.counts),
            ),
            time: self.time.unwrap_or_else(|| sink.time_before()),
            named: RawNames {
                session: self.session,
                cwd: self.cwd,
                agent: self.agent,
                model: text(message.model),
                service_tier: fields.service_tier,
                attribution: Attribution {
                    speed: text(fields.speed),
                    inference_geo: text(fields.inference_geo),
                    fallback_credit: text(credit_status(fields)),
                    ..self.attribution
                },
            },
            request_id: self.request_id,
            counted: usage.counted,
            extras: read_extras(fields, usage.counted.counts.output),
            raised: usage.raised,
            weak_key: weak_id.is_some(),
            finished,
            sidechain: self.sidechain,
            nested: nested.is_some(),
            forked: self.forked,
            origin: origin(&usage, nested.is_some()),
        };
        sink.snapshot(&snapshot);
        usage.visit_apart(|apart| read_apart(&snapshot, &apart, sink));
        if weak_id.is_some() {
            visit_superseded(identity.key_1(), finished, fields, |key| sink.superseded(key));
        }
    }
}

/// The identity of a snapshot's response.
enum Identity<'a> {
    Message {
        id: Cow<'a, [u8]>,
        request: Cow<'a, [u8]>,
    },
    Uuid(Cow<'a, [u8]>),
    /// The record's own bytes, and the snapshot's index in it.
    Record(&'a [u8], u64),
}

impl<'a> Identity<'a> {
    fn new(
        text: &'a str,
        message: &MessageFields<'a>,
        record: &RecordFields<'a>,
        nested: Option<u64>,
    ) -> Self {
        let name = |value: Option<Raw<'a>>| value.and_then(string_bytes).filter(|text| !text.is_empty());
        if let Some(id) = name(message.id) {
            let request = if ResponseKey::is_unique_message_id(&id) { None } else { name(record.request_id) };
            return Self::Message { id, request: request.unwrap_or_default() };
        }
        name(record.uuid).map_or(Self::Record(text.as_bytes(), nested.unwrap_or(0)), Self::Uuid)
    }

    /// Returns an id that gateways reuse, if there is no request id to distinguish its uses.
    fn weak_id(&self) -> Option<&[u8]> {
        match self {
            Self::Message { id, request } if request.is_empty() && !ResponseKey::is_unique_message_id(id) => {
                Some(id)
            }
            _ => None,
        }
    }

    /// Returns the key or, if it is weak, the one that revision 1 gave.
    fn key_1(&self) -> ResponseKey {
        match self {
            Self::Message { id, request } => ResponseKey::of_message(id, request),
            Self::Uuid(uuid) => ResponseKey::of_uuid(uuid),
            Self::Record(bytes, index) => ResponseKey::of_record(bytes, *index),
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

/// Reads an iteration that is a separate response, finished when its parent is.
fn read_apart(parent: &Snapshot<'_>, apart: &Apart<'_>, sink: &mut impl SnapshotSink) {
    // An empty name names no model.
    let model = text(apart.model).filter(|model| *model != "\"\"");
    sink.snapshot(&Snapshot {
        key: parent.key.iteration(apart.origin, apart.position),
        named: RawNames { model: model.or(parent.named.model), ..parent.named },
        counted: apart.counted,
        extras: apart.extras,
        raised: 0,
        origin: apart.origin,
        ..*parent
    });
}
