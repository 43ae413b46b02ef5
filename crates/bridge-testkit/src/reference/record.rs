//! Extracts the snapshots of a top-level record.

use super::{
    attribution::Attribution,
    iterations::Usage,
    json::Value,
    place,
    snapshot::{MessageKey, Place, ResponseKey, Snapshot},
    time,
};
use crate::Counters;

const COUNTER_MAX: u64 = 1_000_000_000;
const SESSION_BYTES_MAX: usize = 512;
const MODEL_BYTES_MAX: usize = 512;
const LONG_ID_BYTES: usize = 20;

/// Values that a record inherits from preceding lines and from its file.
pub(crate) struct Context<'a> {
    /// The last preceding valid time in the file, or the file's modification time.
    pub(crate) time_millis: i64,
    /// The session if the record names none.
    pub(crate) stem: &'a str,
    /// The name of the project's folder.
    pub(crate) folder: Option<&'a str>,
}

/// The content of a record.
#[derive(Debug, Default)]
pub(crate) struct RecordContent {
    pub(crate) snapshots: Vec<Snapshot>,
    /// Number of snapshots with invalid usage.
    pub(crate) bad_usage: u64,
}

/// Returns the record's time if it is valid.
pub(crate) fn timestamp(record: Value<'_>) -> Option<i64> {
    record.string("timestamp").and_then(time::millis)
}

/// Returns the snapshots of a top-level record. `bytes` are the record's own bytes.
pub(crate) fn snapshots(record: Value<'_>, bytes: &[u8], context: &Context<'_>) -> RecordContent {
    let mut found = RecordContent::default();
    if record.is_string("type", "assistant") {
        Carrier { record, outer: record, place: Place::Assistant, bytes, index: 0 }.read(context, &mut found);
    } else if record.is_string("type", "progress")
        && let Some(data) = record.get("data")
    {
        // Index 0 is reserved for `data.message`, also when it is absent.
        let listed = (1..).zip(data.get("normalizedMessages").into_iter().flat_map(Value::entries));
        let own = data.get("message").map(|message| (0, message));
        for (index, nested) in own.into_iter().chain(listed) {
            if nested.is_string("type", "assistant") {
                let carrier = Carrier { record: nested, outer: record, place: Place::Nested, bytes, index };
                carrier.read(context, &mut found);
            }
        }
    }
    found
}

/// A record that contains a message, and the top-level record that is or contains it.
struct Carrier<'d> {
    record: Value<'d>,
    outer: Value<'d>,
    place: Place,
    bytes: &'d [u8],
    index: usize,
}

impl Carrier<'_> {
    fn read(&self, context: &Context<'_>, found: &mut RecordContent) {
        let Some(message) = self.record.get("message").filter(|message| message.is_object()) else { return };
        let Some(value) = message.get_some("usage") else { return };
        let Some(usage) = Usage::read(value) else {
            found.bad_usage += 1;
            return;
        };
        let cwd = [self.record, self.outer].into_iter().find_map(|record| record.string("cwd"));
        let cwd = cwd.map(String::from_utf8_lossy).filter(|cwd| !cwd.is_empty());
        let (project, worktree) = place::place(context.folder, cwd.as_deref());
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
                .unwrap_or(context.time_millis),
            session: session(self.outer).unwrap_or(context.stem).to_owned(),
            model: model(message),
            project,
            attribution: Attribution::read([self.record, self.outer], value, usage.own.output, worktree),
        };
        for separate in usage.separate {
            let mut snapshot = main.clone();
            snapshot.key.iteration = Some((separate.kind, separate.position));
            snapshot.counters = separate.counters;
            snapshot.attribution.numbers = separate.numbers;
            snapshot.model = separate.model.or(snapshot.model);
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

/// Returns the session of a top-level record, under either spelling, if it is valid UTF-8 and not too long.
pub(crate) fn session(record: Value<'_>) -> Option<&str> {
    ["sessionId", "session_id"].into_iter().find_map(|name| {
        let id = record.string(name).filter(|id| (1..=SESSION_BYTES_MAX).contains(&id.len()))?;
        std::str::from_utf8(id).ok()
    })
}

pub(crate) fn model(object: Value<'_>) -> Option<String> {
    object.string("model").map(|model| without_account(&String::from_utf8_lossy(model)))
}

/// Returns a model's name without the 12 digits of an account in its ARN. One that is too long to be stored stays.
fn without_account(name: &str) -> String {
    let Some(arn) = name.find("arn:").filter(|_| name.len() <= MODEL_BYTES_MAX) else {
        return name.to_owned();
    };
    let (before, arn) = name.split_at(arn);
    let fields = arn.split(':').map(|field| {
        let (head, rest) = field.split_at(field.find('/').unwrap_or(field.len()));
        if head.len() == 12 && head.bytes().all(|byte| byte.is_ascii_digit()) { rest } else { field }
    });
    format!("{before}{}", fields.collect::<Vec<_>>().join(":"))
}

/// Reads the four counters; `None` means bad usage.
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

/// Sums the split of cache creation tokens, used if the total is absent.
fn sum_of_split(object: Value<'_>) -> Option<u64> {
    let Some(split) = object.get("cache_creation").filter(|split| split.is_object()) else { return Some(0) };
    let parts = ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"];
    let sum = parts.into_iter().map(|part| counter(split, part)).sum::<Option<u64>>()?;
    Some(sum).filter(|sum| *sum <= COUNTER_MAX)
}

/// Reads a counter: absent and null are 0, `None` means invalid.
fn counter(object: Value<'_>, name: &str) -> Option<u64> {
    let Some(value) = object.get_some(name) else { return Some(0) };
    let text = std::str::from_utf8(value.number()?).ok()?;
    if text == "-0" {
        return Some(0);
    }
    // Rejects valid JSON numbers that no counter can have: a sign, a fraction, an exponent, 21 digits.
    text.parse().ok().filter(|count| *count <= COUNTER_MAX)
}
