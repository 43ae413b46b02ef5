//! Splits a usage and its iterations into the response's own counters and separate responses.

use super::{
    attribution::Numbers,
    json::Value,
    record::{counters, model},
    snapshot::Iteration,
};
use crate::Counters;

/// A valid usage.
pub(crate) struct Usage {
    /// The response's own counters.
    pub(crate) own: Counters,
    /// The counters at the top level.
    pub(crate) written: Counters,
    /// The iterations that are responses of their own.
    pub(crate) separate: Vec<SeparateResponse>,
}

/// An iteration that is a response of its own.
pub(crate) struct SeparateResponse {
    pub(crate) kind: Iteration,
    pub(crate) position: usize,
    pub(crate) counters: Counters,
    pub(crate) model: Option<String>,
    pub(crate) numbers: Numbers,
}

/// An entry of `iterations` that is an object with valid counters.
struct Entry<'d> {
    position: usize,
    value: Value<'d>,
    counters: Counters,
}

impl Entry<'_> {
    fn is(&self, kind: &str) -> bool {
        self.value.is_string("type", kind)
    }

    fn is_message(&self) -> bool {
        self.is("message") || self.value.get_some("type").is_none()
    }

    fn is_unknown(&self) -> bool {
        let named = ["message", "fallback_message", "advisor_message", "compaction"];
        !self.is_message() && !named.into_iter().any(|kind| self.is(kind))
    }

    fn separate(&self, kind: Iteration) -> SeparateResponse {
        let model = model(self.value).filter(|model| !model.is_empty());
        let numbers = Numbers::read(self.value, self.counters.output);
        SeparateResponse { kind, position: self.position, counters: self.counters, model, numbers }
    }
}

impl Usage {
    /// Reads a usage; `None` means bad usage.
    pub(crate) fn read(usage: Value<'_>) -> Option<Self> {
        if !usage.is_object() {
            return None;
        }
        let written = counters(usage)?;
        let listed = usage.get("iterations").into_iter().flat_map(Value::entries).enumerate();
        let entries = listed
            .filter(|(_, value)| value.is_object())
            .map(|(position, value)| Some(Entry { position, value, counters: counters(value)? }))
            .collect::<Option<Vec<_>>>()?;
        let fallback =
            entries.iter().filter(|entry| entry.is("fallback_message")).map(|entry| entry.position).max();
        let serves = |entry: &Entry<'_>| match fallback {
            Some(last) => entry.position == last,
            None => entry.is_message(),
        };
        let serving = sum(entries.iter().filter(|entry| serves(entry)));
        let with_unknown = sum(entries.iter().filter(|entry| serves(entry) || entry.is_unknown()));
        let written_excludes_unknown = maximum(&written, &with_unknown) != written;
        let kind = |entry: &Entry<'_>| {
            let is_attempt = entry.is_message() || entry.is("fallback_message");
            if entry.is("advisor_message") {
                Some(Iteration::Advisor)
            } else if entry.is("compaction") {
                Some(Iteration::Compaction)
            } else if is_attempt {
                (fallback.is_some() && !serves(entry)).then_some(Iteration::Declined)
            } else {
                written_excludes_unknown.then_some(Iteration::Other)
            }
        };
        let separate = entries.iter().filter_map(|entry| Some(entry.separate(kind(entry)?))).collect();
        Some(Self { own: maximum(&written, &serving), written, separate })
    }
}

fn sum<'e, 'd: 'e>(entries: impl Iterator<Item = &'e Entry<'d>>) -> Counters {
    let mut sum = Counters::default();
    entries.for_each(|entry| sum += entry.counters);
    sum
}

/// Returns the maximum of each counter.
fn maximum(a: &Counters, b: &Counters) -> Counters {
    Counters {
        input: a.input.max(b.input),
        output: a.output.max(b.output),
        cache_creation: a.cache_creation.max(b.cache_creation),
        cache_read: a.cache_read.max(b.cache_read),
    }
}
