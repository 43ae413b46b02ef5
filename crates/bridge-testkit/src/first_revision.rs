//! Rows as stored by programs of revision 1 of the counting rule, for tests of the upgrade to a newer revision.
//!
//! As simple as [`mod@crate::reference`], and limited to what is needed to fill a store: rows with the keys and the
//! revision number of that time. Revision 1 did not know iteration types, weak keys, `session_id`, byte order marks, or
//! a cache split without its sum, and it treated snapshots without tokens as finished if they had a `stop_reason`.

use bridge_core::{
    HostName, ModelName, Origin, ResponseKey, ResponseUsage, RuleRevision, SessionId, Timestamp, TokenCounts,
};

use crate::reference::ReferenceFile;
use crate::reference::json::{Document, Value};
use crate::reference::time;

const COUNTER_MAX: u64 = 1_000_000_000;

/// Returns the rows of all snapshots in a file, before merging.
pub fn rows(file: &ReferenceFile, host: &HostName) -> Vec<ResponseUsage> {
    let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
    let mut reader = FileReader {
        stem: SessionId::new(stem).expect("the file's stem is a valid session id"),
        host: host.clone(),
        millis: file.modified_millis,
        rows: Vec::new(),
    };
    for line in file.content.split(|byte| *byte == b'\n') {
        let Ok(document) = Document::parse(line) else { continue };
        for (record, bytes) in document.roots() {
            reader.record(record, bytes);
        }
    }
    reader.rows
}

struct FileReader {
    stem: SessionId,
    host: HostName,
    /// The last valid time.
    millis: i64,
    rows: Vec<ResponseUsage>,
}

impl FileReader {
    fn record(&mut self, record: Value<'_>, bytes: &[u8]) {
        self.millis = millis(record).unwrap_or(self.millis);
        if record.is_string("type", "assistant") {
            self.message(record, record, Origin::Assistant, bytes, 0);
        }
        let Some(data) = record.get("data").filter(|_| record.is_string("type", "progress")) else { return };
        let own = data.get("message").map(|nested| (0, nested));
        let listed = (1..).zip(data.get("normalizedMessages").into_iter().flat_map(Value::entries));
        for (index, nested) in own.into_iter().chain(listed) {
            if nested.is_string("type", "assistant") {
                self.message(nested, record, Origin::Nested, bytes, index);
            }
        }
    }

    fn message(&mut self, record: Value<'_>, outer: Value<'_>, place: Origin, bytes: &[u8], index: u64) {
        let Some(message) = record.get("message").filter(|message| message.is_object()) else { return };
        let Some(usage) = message.get("usage").filter(|usage| usage.is_object()) else { return };
        let Some((own, from_iterations, advisors)) = read(usage) else { return };
        let text = |value: Value<'_>, key: &str| {
            value.string(key).and_then(|text| String::from_utf8(text.into()).ok())
        };
        let session = text(outer, "sessionId").and_then(|id| SessionId::new(id).ok());
        let time = Timestamp::from_millis(millis(record).unwrap_or(self.millis)).expect("the time is valid");
        let key = key(message, record, bytes, index);
        let mut row = ResponseUsage::new(key, session.unwrap_or_else(|| self.stem.clone()), time);
        row.rule_revision = RuleRevision::FIRST;
        row.host = Some(self.host.clone());
        row.model = text(message, "model").and_then(|model| ModelName::new(model).ok());
        row.counts = own;
        row.finished = message.get_some("stop_reason").is_some();
        row.sidechain = record.is_true("isSidechain") || outer.is_true("isSidechain");
        row.nested = place == Origin::Nested;
        row.forked = [record, outer].iter().any(|record| record.get_some("forkedFrom").is_some());
        row.origin = if from_iterations { Origin::Iterations } else { place };
        for (position, counts) in advisors {
            let key = key.iteration(Origin::Advisor, position);
            self.rows.push(ResponseUsage { key, counts, origin: Origin::Advisor, ..row.clone() });
        }
        self.rows.push(row);
    }
}

fn millis(record: Value<'_>) -> Option<i64> {
    record.string("timestamp").and_then(time::millis)
}

fn key(message: Value<'_>, record: Value<'_>, bytes: &[u8], index: u64) -> ResponseKey {
    if let Some(id) = message.string("id").filter(|id| !id.is_empty()) {
        return ResponseKey::of_message(id, record.string("requestId").unwrap_or_default());
    }
    match record.string("uuid").filter(|uuid| !uuid.is_empty()) {
        Some(uuid) => ResponseKey::of_uuid(uuid),
        None => ResponseKey::of_record(bytes, index),
    }
}

/// The counts, `true` if they come from iterations, and the advisors' positions and counts.
type UsageCounts = (TokenCounts, bool, Vec<(u64, TokenCounts)>);

/// Reads the top-level counts or, if they are all 0, the sum over all iterations except advisors.
fn read(usage: Value<'_>) -> Option<UsageCounts> {
    let (mut own, mut sum, mut advisors) = (counts(usage)?, None, Vec::new());
    let entries = usage.get("iterations").into_iter().flat_map(Value::entries);
    for (position, entry) in (0..).zip(entries).filter(|(_, entry)| entry.is_object()) {
        let counts = counts(entry)?;
        if entry.is_string("type", "advisor_message") {
            advisors.push((position, counts));
        } else {
            sum = Some(sum.unwrap_or(TokenCounts::ZERO).checked_add(counts).ok()?);
        }
    }
    let from_iterations = own.is_zero() && sum.is_some();
    if from_iterations {
        own = sum.unwrap_or_default();
    }
    Some((own, from_iterations, advisors))
}

fn counts(object: Value<'_>) -> Option<TokenCounts> {
    let count = |key: &str| {
        let Some(value) = object.get_some(key) else { return Some(0) };
        let digits = std::str::from_utf8(value.number()?).ok()?;
        if digits == "-0" { Some(0) } else { digits.parse().ok().filter(|count| *count <= COUNTER_MAX) }
    };
    Some(TokenCounts {
        input: count("input_tokens")?,
        output: count("output_tokens")?,
        cache_creation: count("cache_creation_input_tokens")?,
        cache_read: count("cache_read_input_tokens")?,
    })
}
