//! A response as it is given, and the snapshots it is written in.

use super::{
    prose::{base58, uuid},
    truth::{HistoryTruth, TrueResponse},
    usage::{Iterations, Usage},
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

/// What a response is known by.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// An id of the API and its request, which replays change.
    Api { id: String, request: Option<String> },
    /// The short id of a gateway, which uses it again with another request.
    Short { id: String, request: Option<String> },
    /// No id: the record's uuid. One line each.
    Uuid,
    /// Neither: the record's bytes. One line each.
    Bytes,
}

/// On which of its lines a response has a stop reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Last,
    Every,
    Never,
}

/// A response as it was given.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) identity: Identity,
    pub(crate) model: &'static str,
    /// Its last and greatest usage.
    pub(crate) usage: Usage,
    pub(crate) stop: Stop,
    /// One line for each content block.
    pub(crate) lines: usize,
}

impl Response {
    /// Any response; `number` tells it from the others of its session.
    pub(crate) fn any(rng: &mut Rng, number: usize, context_tokens: u64) -> Self {
        let identity = identity(rng, number);
        let is_one_line = matches!(identity, Identity::Uuid | Identity::Bytes);
        let model = MODELS[if rng.u8(..) < 4 { 5 } else { rng.usize(..5) }];
        let counters = Counters {
            input: rng.u64(1..40),
            output: 1 + rng.u64(..60) * rng.u64(..60),
            cache_creation: rng.u64(..4000) * u64::from(rng.u8(..) > 30),
            cache_read: context_tokens,
        };
        Self {
            identity,
            model,
            usage: usage(rng, counters),
            stop: [Stop::Last, Stop::Last, Stop::Every, Stop::Never][rng.usize(..4)],
            lines: if is_one_line { 1 } else { [1, 2, 2, 2, 3, 5][rng.usize(..6)] },
        }
    }

    /// A local record: the client's own message about an error.
    pub(crate) fn synthetic(rng: &mut Rng) -> Self {
        Self {
            identity: Identity::Api { id: uuid(rng), request: None },
            model: "<synthetic>",
            usage: Usage::plain(Counters::default()),
            stop: Stop::Every,
            lines: 1,
        }
    }

    /// The usage on a line: that of an earlier one is smaller, except for what a gateway lowers at the end.
    pub(crate) fn usage_on(&self, rng: &mut Rng, line: usize) -> Usage {
        if line + 1 == self.lines {
            return self.usage.clone();
        }
        let mut counters = self.usage.counters;
        let grown = counters.output * (line as u64 + 1) / self.lines as u64;
        if rng.bool() {
            counters.output = grown;
        }
        if self.stop == Stop::Last && rng.u8(..) < 20 {
            counters.input += rng.u64(1..50_000);
        }
        Usage::plain(counters)
    }

    /// Whether a line has the stop reason.
    pub(crate) fn stops_on(&self, line: usize) -> bool {
        match self.stop {
            Stop::Last => line + 1 == self.lines,
            Stop::Every => true,
            Stop::Never => false,
        }
    }

    /// Notes the response, and its advisors', as given in a session.
    pub(crate) fn note(&self, session: &str, truth: &mut HistoryTruth) {
        let mut add = |model: &str, counters| {
            let (session, model) = (session.to_owned(), model.to_owned());
            truth.add_response(TrueResponse { session, model, counters, finished: self.stop != Stop::Never });
        };
        add(self.model, self.usage.counters);
        for (model, counters) in &self.usage.advisors {
            add(model, *counters);
        }
    }
}

fn identity(rng: &mut Rng, number: usize) -> Identity {
    let request = format!("req_011C{}", base58(rng, 20));
    match rng.u8(..100) {
        0..3 => Identity::Uuid,
        3..5 => Identity::Bytes,
        // The pair is another for each response: the id is used again, the request is not.
        5..10 => Identity::Short { id: format!("msg_{}", number % 3), request: Some(request) },
        10..12 => Identity::Short { id: format!("gen-{}", base58(rng, 12)), request: None },
        12..14 => Identity::Api { id: format!("msg_01{}", base58(rng, 22)), request: None },
        _ => Identity::Api { id: format!("msg_01{}", base58(rng, 22)), request: Some(request) },
    }
}

fn usage(rng: &mut Rng, counters: Counters) -> Usage {
    let mut usage = Usage::plain(counters);
    match rng.u8(..100) {
        0..5 => usage.iterations = Iterations::Only,
        5..25 => usage.iterations = Iterations::Repeated,
        25..30 => {
            usage.iterations = Iterations::Repeated;
            let advice =
                Counters { input: rng.u64(100..9000), output: rng.u64(1..900), ..Counters::default() };
            usage.advisors.push(("claude-opus-4-1-20250805".into(), advice));
        }
        _ => {}
    }
    usage
}
