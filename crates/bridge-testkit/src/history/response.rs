//! Responses and the snapshots in which they are written.

use super::{
    filler::{base58, uuid},
    truth::{HistoryTruth, TrueResponse},
    usage::{Iterations, SeparateResponse, Usage},
};
use crate::Counters;
use fastrand::Rng;

const MODELS: [&str; 6] = [
    "claude-sonnet-4-20250514",
    "claude-opus-4-1-20250805",
    "claude-sonnet-4-5-20250929",
    "claude-opus-4-5-20251101",
    "claude-haiku-4-5-20251001",
    "__proto__",
];

/// The fields that identify a response.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// The API's id with the request id, which replays change.
    Api { id: String, request: Option<String> },
    /// A gateway's short id, which it reuses with other request ids.
    Short { id: String, request: Option<String> },
    /// No id, only the record's UUID. Such responses have one line.
    Uuid,
    /// Neither id nor UUID, only the record's bytes. Such responses have one line.
    Bytes,
}

/// The lines of a response that have a stop reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Last,
    Every,
    Never,
}

/// A response as the API returned it.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) identity: Identity,
    pub(crate) model: &'static str,
    /// The last and greatest usage.
    pub(crate) usage: Usage,
    pub(crate) stop: Stop,
    /// Number of lines, one for each content block.
    pub(crate) lines: usize,
    /// `true` if the last line is a gateway's empty chunk: a stop reason with zeros.
    pub(crate) has_empty_end: bool,
}

impl Response {
    /// Generates a response; `number` is its index in the session.
    pub(crate) fn random(rng: &mut Rng, number: usize, context_tokens: u64) -> Self {
        let identity = identity(rng, number);
        let is_one_line = matches!(identity, Identity::Uuid | Identity::Bytes);
        let model = MODELS[if rng.u8(..) < 4 { 5 } else { rng.usize(..5) }];
        let is_weak = matches!(identity, Identity::Short { request: None, .. });
        let counters = Counters {
            // Weak keys contain the input tokens, which must be unique.
            input: if is_weak { rng.u64(1_000_000..900_000_000) } else { rng.u64(1..40) },
            output: 1 + rng.u64(..60) * rng.u64(..60),
            cache_creation: rng.u64(..4000) * u64::from(rng.u8(..) > 30),
            cache_read: context_tokens,
        };
        let stop = [Stop::Last, Stop::Last, Stop::Every, Stop::Never][rng.usize(..4)];
        let lines = if is_one_line { 1 } else { [1, 2, 2, 2, 3, 5][rng.usize(..6)] };
        let has_empty_end = stop == Stop::Last && lines > 1 && !is_weak && rng.u8(..) < 20;
        let usage = if has_empty_end { Usage::plain(counters) } else { usage(rng, counters) };
        Self { identity, model, usage, stop, lines, has_empty_end }
    }

    /// Creates the client's own message about an error.
    pub(crate) fn synthetic(rng: &mut Rng) -> Self {
        Self {
            identity: Identity::Api { id: uuid(rng), request: None },
            model: "<synthetic>",
            usage: Usage::plain(Counters::default()),
            stop: Stop::Every,
            lines: 1,
            has_empty_end: false,
        }
    }

    /// Returns the usage of a line. Earlier lines have less output, but a gateway may lower the input at the end.
    pub(crate) fn usage_on(&self, rng: &mut Rng, line: usize) -> Usage {
        if line + 1 == self.lines && self.has_empty_end {
            return Usage::plain(Counters::default());
        }
        if line + 1 + usize::from(self.has_empty_end) == self.lines {
            return self.usage.clone();
        }
        let is_weak = matches!(self.identity, Identity::Short { request: None, .. });
        let mut counters = self.usage.counters;
        let grown = counters.output * (line as u64 + 1) / self.lines as u64;
        if rng.bool() {
            counters.output = grown;
        }
        if self.stop == Stop::Last && !self.has_empty_end && !is_weak && rng.u8(..) < 20 {
            counters.input += rng.u64(1..50_000);
        }
        Usage::plain(counters)
    }

    /// Returns `true` if the line has the stop reason.
    pub(crate) fn stops_on(&self, line: usize) -> bool {
        match self.stop {
            Stop::Last => line + 1 == self.lines,
            Stop::Every => true,
            Stop::Never => false,
        }
    }

    /// Records the response and its separate responses in the truth.
    pub(crate) fn record_in(&self, session: &str, truth: &mut HistoryTruth) {
        let mut add = |model: &str, counters| {
            let (session, model) = (session.to_owned(), model.to_owned());
            let finished = self.stop != Stop::Never && !self.has_empty_end;
            truth.add_response(TrueResponse { session, model, counters, finished });
        };
        add(self.model, self.usage.counters);
        for separate in &self.usage.separate {
            add(separate.model.as_deref().unwrap_or(self.model), separate.counters);
        }
    }
}

fn identity(rng: &mut Rng, number: usize) -> Identity {
    let request = format!("req_011C{}", base58(rng, 20));
    match rng.u8(..100) {
        0..3 => Identity::Uuid,
        3..5 => Identity::Bytes,
        // The id repeats, but the pair with the request is unique.
        5..10 => Identity::Short { id: format!("msg_{}", number % 3), request: Some(request) },
        10..11 => Identity::Short { id: format!("gen-{}", base58(rng, 12)), request: None },
        11..13 => Identity::Short { id: "msg_proxy_stream".into(), request: None },
        13..15 => Identity::Api { id: format!("msg_01{}", base58(rng, 22)), request: None },
        _ => Identity::Api { id: format!("msg_01{}", base58(rng, 22)), request: Some(request) },
    }
}

fn usage(rng: &mut Rng, counters: Counters) -> Usage {
    let mut usage = Usage::plain(counters);
    usage.iterations = match rng.u8(..100) {
        0..5 => Iterations::Only,
        5..25 => Iterations::Repeated,
        25..28 => Iterations::Raised,
        28..31 => Iterations::Divided,
        31..35 => Iterations::Fallback,
        _ => return usage,
    };
    let mut kinds = vec!["advisor_message", "compaction"];
    match usage.iterations {
        Iterations::Fallback => kinds.extend(["message", "fallback_message"]),
        Iterations::Divided => {}
        _ => kinds.push("tool_search"),
    }
    for _ in 0..[0, 0, 1, 2][rng.usize(..4)] {
        let counters = Counters { input: rng.u64(100..9000), output: rng.u64(1..900), ..Counters::default() };
        let model = rng.bool().then(|| "claude-opus-4-1-20250805".to_owned());
        usage.separate.push(SeparateResponse { kind: kinds[rng.usize(..kinds.len())], model, counters });
    }
    usage
}
