//! From a top-level record to its snapshots.

use super::{
    iterations::Usage,
    json::Value,
    snapshot::{MessageKey, Place, ResponseKey, Snapshot},
    time,
};
use crate::Counters;

const COUNTER_MAX: u64 = 1_000_000_000;
const SESSION_BYTES_MAX: usize = 512;
const LONG_ID_BYTES: usize = 20;

/// What the lines before a record and its file say about it.
pub(crate) struct Surroundings<'a> {
    /// The nearest earlier readable time in the file, else the file's.
    pub(crate) time_millis: i64,
    /// The session where the record names none.
    pub(crate) stem: &'a str,
}

/// What a record holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) snapshots: Vec<Snapshot>,
    /// Snapshots whose usage is present and not readable.
    pub(crate) bad_usage: u64,
}

/// The readable time of a record.
pub(crate) fn timestamp(record: Value<'_>) -> Option<i64> {
    record.string("timestamp").and_then(time::millis)
}

/// The snapshots of a top-level record whose own bytes are `bytes`.
pub(crate) fn snapshots(record: Value<'_>, bytes: &[u8], surroundings: &Surroundings<'_>) -> Found {
    let mut found = Found::default();
    if record.is_string("type", "assistant") {
        Carrier { record, outer: record, place: Place::Assistant, bytes, index: 0 }
            .read(surroundings, &mut found);
    } else if record.is_string("type", "progress")
        && let Some(data) = record.get("data")
    {
        // A message of its own has index 0, whether it is there or not.
        let listed = (1..).zip(data.get("normalizedMessages").into_iter().flat_map(Value::entries));
        let own = data.get("message").map(|message| (0, message));
        for (index, nested) in own.into_iter().chain(listed) {
            if nested.is_string("type", "assistant") {
                let carrier = Carrier { record: nested, outer: record, place: Place::Nested, bytes, index };
                carrier.read(surroundings, &mut found);
            }
        }
    }
    found
}

/// A record that carries a message, and the top-level record that is or holds it.
struct Carrier<'d> {
    record: Value<'d>,
    outer: Value<'d>,
    place: Place,
    bytes: &'d [u8],
    index: usize,
}

impl Carrier<'_> {
    fn read(&self, surroundings: &Surroundings<'_>, found: &mut Found) {
        let Some(message) = self.record.get("message").filter(|message| message.is_object()) else { return };
        let Some(usage) = message.get_some("usage") else { return };
        let Some(usage) = Usage::read(usage) else {
            found.bad_usage += 1;
            return;
        };
        let main = Snapshot {
            key: ResponseKey { message: self.key(message, &usage.own), iteration: None },
            place: self.place,
            counters: usage.own,
            written: usage.written.total(),
            finished: message.get_some("stop_reason").is_some(),
            sidechain: self.record.is_true("isSidechain"),
            forked: [self.record, self.outer].iter().any(|record| record.get_some("forkedFrom").is_some()),
            time_millis: [self.record, self.outer]
                .into_iter()
                .find_map(timestamp)
                .unwrap_or(surroundings.time_millis),
            session: session(self.outer).unwrap_or(surroundings.stem).to_owned(),
            model: model(message),
        };
        for apart in usage.apart {
            let mut snapshot = main.clone();
            snapshot.key.iteration = Some((apart.why, apart.position));
            snapshot.counters = apart.counters;
            snapshot.model = apart.model.or(snapshot.model);
            found.snapshots.push(snapshot);
        }
        found.snapshots.push(main);
    }

    fn key(&self, message: Value<'_>, counters: &Counters) -> MessageKey {
        if let Some(id) = message.string("id").filter(|id| !id.is_empty()) {
            if id.len() >= LONG_ID_BYTES {
                return MessageKey::Id(id.to_vec());
            }
            return match self.record.string("requestId").filter(|request| !request.is_empty()) {
                Some(request) => MessageKey::IdAndRequest(id.to_vec(), request.to_vec()),
                None => {
                    let input_side = [counters.input, counters.cache_creation, counters.cache_read];
                    MessageKey::Weak(id.to_vec(), input_side)
                }
            };
        }
        match self.record.string("uuid").filter(|uuid| !uuid.is_empty()) {
            Some(uuid) => MessageKey::Uuid(uuid.to_vec()),
            None => MessageKey::Record(self.bytes.to_vec(), self.index),
        }
    }
}

/// The session a top-level record names, under either spelling, where that is text of a bearable length.
fn session(record: Value<'_>) -> Option<&str> {
    ["sessionId", "session_id"].into_iter().find_map(|name| {
        let id = record.string(name).filter(|id| (1..=SESSION_BYTES_MAX).contains(&id.len()))?;
        std::str::from_utf8(id).ok()
    })
}

pub(crate) fn model(object: Value<'_>) -> Option<String> {
    object.string("model").map(|model| String::from_utf8_lossy(model).into_owned())
}

/// The four counters; `None` is bad usage.
pub(crate) fn counters(object: Value<'_>) -> Option<Counters> {
    Some(Counters {
        input: counter(object, "input_tokens")?,
        output: counter(object, "output_tokens")?,
        cache_creation: match object.get_some("cache_creation_input_tokens") {
            Some(_) => counter(object, "cache_creation_input_tokens")?,
            None => sum_of_split(object)?,
        },
        cache_read: counter(object, "cache_read_input_tokens")?,
    })
}

/// The count where only its parts are given.
fn sum_of_split(object: Value<'_>) -> Option<u64> {
    let Some(split) = object.get("cache_creation").filter(|split| split.is_object()) else { return Some(0) };
    let parts = ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"];
    let sum = parts.into_iter().map(|part| counter(split, part)).sum::<Option<u64>>()?;
    Some(sum).filter(|sum| *sum <= COUNTER_MAX)
}

/// A counter: absent and null are 0, `None` is unreadable.
fn counter(object: Value<'_>, name: &str) -> Option<u64> {
    let Some(value) = object.get_some(name) else { return Some(0) };
    let text = std::str::from_utf8(value.number()?).ok()?;
    if text == "-0" {
        return Some(0);
    }
    // What the grammar allows of numbers and this refuses: a sign, a fraction, an exponent, 21 digits.
    text.parse().ok().filter(|count| *count <= COUNTER_MAX)
}
