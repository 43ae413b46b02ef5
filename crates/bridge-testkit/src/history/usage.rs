//! The formats of usage.

use super::line::LineTotals;
use crate::Counters;
use fastrand::Rng;

/// The `usage` of one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(crate) counters: Counters,
    pub(crate) iterations: Iterations,
    /// The iterations that are responses of their own.
    pub(crate) separate: Vec<SeparateResponse>,
}

/// An iteration that is a response of its own.
#[derive(Debug, Clone)]
pub(crate) struct SeparateResponse {
    pub(crate) kind: &'static str,
    /// The model; `None` stands for the response's own.
    pub(crate) model: Option<String>,
    pub(crate) counters: Counters,
}

/// The relation of the response's own counters to `iterations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iterations {
    /// The list is absent.
    Absent,
    /// One iteration repeats the counters.
    Repeated,
    /// Two iterations, one of an unknown type, share the counters.
    Divided,
    /// The fallback that answered repeats the counters.
    Fallback,
    /// Two iterations share the counters, and the top level is zero.
    Only,
    /// One iteration has the counters, and the top level has only part of them.
    Raised,
}

impl Usage {
    pub(crate) fn plain(counters: Counters) -> Self {
        Self { counters, iterations: Iterations::Absent, separate: Vec::new() }
    }

    /// Returns the snapshot's contribution to the naive sums.
    pub(crate) fn totals(&self, is_nested: bool) -> LineTotals {
        let mut totals = LineTotals::default();
        for separate in &self.separate {
            let is_advisor = separate.kind == "advisor_message";
            *(if is_advisor { &mut totals.advisor_naive } else { &mut totals.apart_naive }) +=
                separate.counters.total();
        }
        let written = self.top().total();
        *(if is_nested { &mut totals.nested_naive } else { &mut totals.naive }) += written;
        *(if written == 0 { &mut totals.from_iterations } else { &mut totals.raised }) +=
            self.counters.total() - written;
        totals
    }

    fn top(&self) -> Counters {
        match self.iterations {
            Iterations::Only => Counters::default(),
            Iterations::Raised => halves(&self.counters).0,
            _ => self.counters,
        }
    }

    pub(crate) fn json(&self, rng: &mut Rng) -> String {
        let top = self.top();
        let hour = rng.u64(0..=top.cache_creation);
        let mut fields = counter_fields(&top, rng);
        if rng.u8(..) < 12 {
            // Leaves only the split.
            fields.retain(|field| !field.starts_with(r#""cache_creation_input_tokens""#));
        }
        fields.push(format!(
            r#""cache_creation":{{"ephemeral_5m_input_tokens":{},"ephemeral_1h_input_tokens":{hour}}}"#,
            top.cache_creation - hour
        ));
        fields.push(r#""service_tier":"standard""#.into());
        if rng.bool() {
            fields.push(r#""server_tool_use":{"web_search_requests":0,"web_fetch_requests":0}"#.into());
        }
        let iterations = self.iteration_list(rng);
        if !iterations.is_empty() || rng.u8(..) < 40 {
            fields.push(format!(r#""iterations":[{}]"#, iterations.join(",")));
        }
        format!("{{{}}}", fields.join(","))
    }

    fn iteration_list(&self, rng: &mut Rng) -> Vec<String> {
        let (first, second) = halves(&self.counters);
        let own: &[(&str, Counters)] = match self.iterations {
            Iterations::Absent => &[],
            Iterations::Repeated | Iterations::Raised => &[(r#""type":"message""#, self.counters)],
            Iterations::Divided => &[(r#""type":"message""#, first), (r#""type":"search""#, second)],
            Iterations::Fallback => &[(r#""type":"fallback_message""#, self.counters)],
            Iterations::Only => &[(r#""type":"message""#, first), (r#""type":null"#, second)],
        };
        let mut list: Vec<String> =
            own.iter().map(|(head, counters)| iteration(head, counters, rng)).collect();
        for SeparateResponse { kind, model, counters } in &self.separate {
            let model = model.as_ref().map_or(String::new(), |model| format!(r#","model":"{model}""#));
            list.push(iteration(&format!(r#""type":"{kind}"{model}"#), counters, rng));
        }
        // The last fallback is the one that answered.
        list.rotate_left(own.len());
        list
    }
}

fn iteration(head: &str, counters: &Counters, rng: &mut Rng) -> String {
    format!("{{{head},{}}}", counter_fields(counters, rng).join(","))
}

/// Writes the four counters in one of the clients' orders; zeros are occasionally absent or null.
fn counter_fields(counters: &Counters, rng: &mut Rng) -> Vec<String> {
    let mut fields = vec![
        ("input_tokens", counters.input),
        ("cache_creation_input_tokens", counters.cache_creation),
        ("cache_read_input_tokens", counters.cache_read),
        ("output_tokens", counters.output),
    ];
    if rng.bool() {
        fields.rotate_right(1);
        fields.swap(0, 1);
    }
    fields.retain(|(_, count)| *count > 0 || rng.u8(..) > 20);
    let value = |count: u64, rng: &mut Rng| {
        if count == 0 && rng.u8(..) < 20 { "null".into() } else { count.to_string() }
    };
    fields.into_iter().map(|(name, count)| format!(r#""{name}":{}"#, value(count, rng))).collect()
}

fn halves(counters: &Counters) -> (Counters, Counters) {
    let first = Counters {
        input: counters.input / 2,
        output: counters.output / 3,
        cache_creation: counters.cache_creation,
        cache_read: 0,
    };
    let second = Counters {
        input: counters.input - first.input,
        output: counters.output - first.output,
        cache_creation: 0,
        cache_read: counters.cache_read,
    };
    (first, second)
}
