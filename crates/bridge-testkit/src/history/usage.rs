//! The shapes in which usage is written.

use super::line::Tally;
use crate::Counters;
use fastrand::Rng;

/// The `usage` of one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(crate) counters: Counters,
    pub(crate) iterations: Iterations,
    /// The iterations that are responses of their own.
    pub(crate) apart: Vec<Apart>,
}

/// An iteration that is a response of its own.
#[derive(Debug, Clone)]
pub(crate) struct Apart {
    pub(crate) kind: &'static str,
    /// The response's own, where none is named.
    pub(crate) model: Option<String>,
    pub(crate) counters: Counters,
}

/// How the response's own numbers stand in `iterations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iterations {
    /// Not at all: the list is absent.
    Absent,
    /// The same numbers again.
    Repeated,
    /// The same numbers again, in two parts, one of a type that nobody knows.
    Divided,
    /// The same numbers again, as the fallback that answered.
    Fallback,
    /// All there is: the top level is zero, the numbers stand here in two parts.
    Only,
    /// The numbers; the top level tells a part of them.
    Raised,
}

impl Usage {
    pub(crate) fn plain(counters: Counters) -> Self {
        Self { counters, iterations: Iterations::Absent, apart: Vec::new() }
    }

    /// What the snapshot adds to the plain sums.
    pub(crate) fn tally(&self, is_nested: bool) -> Tally {
        let mut tally = Tally::default();
        for apart in &self.apart {
            let is_advice = apart.kind == "advisor_message";
            *(if is_advice { &mut tally.advisor_naive } else { &mut tally.apart_naive }) +=
                apart.counters.total();
        }
        let written = self.top().total();
        *(if is_nested { &mut tally.nested_naive } else { &mut tally.naive }) += written;
        *(if written == 0 { &mut tally.from_iterations } else { &mut tally.raised }) +=
            self.counters.total() - written;
        tally
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
            // The split alone.
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
        for Apart { kind, model, counters } in &self.apart {
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

/// The four counters, in one of the orders that were seen; a zero is absent or null now and then.
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
