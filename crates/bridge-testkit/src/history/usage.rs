//! The shapes in which usage is written.

use super::line::Tally;
use crate::Counters;
use fastrand::Rng;

/// The `usage` of one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(crate) counters: Counters,
    pub(crate) iterations: Iterations,
    /// The responses of other models in it.
    pub(crate) advisors: Vec<(String, Counters)>,
}

/// What stands in `iterations`, advisors aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iterations {
    /// Nothing: the list is absent.
    Absent,
    /// The same numbers again.
    Repeated,
    /// All there is: the top level is zero, the numbers stand here in two parts.
    Only,
}

impl Usage {
    pub(crate) fn plain(counters: Counters) -> Self {
        Self { counters, iterations: Iterations::Absent, advisors: Vec::new() }
    }

    /// What the snapshot adds to the plain sums.
    pub(crate) fn tally(&self, is_nested: bool) -> Tally {
        let mut tally =
            Tally { advisor_naive: self.advisors.iter().map(|(_, c)| c.total()).sum(), ..Tally::default() };
        let tokens = self.counters.total();
        match (self.iterations, is_nested) {
            (Iterations::Only, _) => tally.from_iterations = tokens,
            (_, false) => tally.naive = tokens,
            (_, true) => tally.nested_naive = tokens,
        }
        tally
    }

    pub(crate) fn json(&self, rng: &mut Rng) -> String {
        let top = if self.iterations == Iterations::Only { Counters::default() } else { self.counters };
        let hour = rng.u64(0..=top.cache_creation);
        let mut fields = counter_fields(&top, rng);
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
        let mut list = Vec::new();
        match self.iterations {
            Iterations::Absent => {}
            Iterations::Repeated => list.push(iteration(r#""type":"message""#, &self.counters, rng)),
            Iterations::Only => {
                let (first, second) = halves(&self.counters);
                list.push(iteration(r#""type":"message""#, &first, rng));
                list.push(iteration(r#""type":"compaction""#, &second, rng));
            }
        }
        for (model, counters) in &self.advisors {
            let head = format!(r#""type":"advisor_message","model":"{model}""#);
            list.push(iteration(&head, counters, rng));
        }
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
