//! A usage, by the counting rule: its counters and its iterations.

use crate::claude::counters::{BadUsage, read_counters};
use crate::claude::fields::UsageFields;
use crate::claude::iterations::{Apart, Iterations, read_iterations};
use crate::count::snapshot::Counted;

/// A usage with readable counters.
#[derive(Debug)]
pub(crate) struct Usage<'a> {
    /// The response's own counters.
    pub(crate) counted: Counted,
    /// True if only the iterations hold the counters.
    pub(crate) from_iterations: bool,
    /// The tokens by which the iterations raise the top level.
    pub(crate) raised: u64,
    iterations: Option<Iterations<'a>>,
}

/// Reads a usage.
pub(crate) fn read_usage<'a>(fields: &UsageFields<'a>) -> Result<Usage<'a>, BadUsage> {
    let top = read_counters(fields)?;
    let Some(list) = fields.iterations.filter(|list| *list != "[]") else {
        return Ok(Usage { counted: top, from_iterations: false, raised: 0, iterations: None });
    };
    let iterations = read_iterations(list, &top.counts)?;
    let serving = iterations.serving();
    let from_iterations = top.counts.is_zero() && serving.is_some();
    let counted = serving.map_or(top, |serving| top.raised_to(&serving));
    let raised = if from_iterations { 0 } else { counted.counts.total() - top.counts.total() };
    Ok(Usage { counted, from_iterations, raised, iterations: Some(iterations) })
}

impl<'a> Usage<'a> {
    /// Calls `visit` with each iteration that is a separate response.
    pub(crate) fn visit_apart(&self, visit: impl FnMut(Apart<'a>)) {
        if let Some(iterations) = &self.iterations {
            iterations.visit_apart(visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::fields::UsageDecoder;
    use crate::json::read_object;

    fn read(text: &str) -> Result<Usage<'_>, BadUsage> {
        read_usage(&read_object(text, &mut UsageDecoder).expect("an object"))
    }

    fn counts(text: &str) -> Result<(u64, u64, bool), BadUsage> {
        read(text)
            .map(|usage| (usage.counted.counts.input, usage.counted.counts.output, usage.from_iterations))
    }

    #[test]
    fn a_counter_is_an_integer_from_0_to_a_billion() {
        assert_eq!(
            counts(r#"{"input_tokens":1000000000,"output_tokens":null}"#),
            Ok((1_000_000_000, 0, false))
        );
        assert_eq!(counts(r#"{"input_tokens":-0}"#), Ok((0, 0, false)));
        for bad in ["1000000001", "-1", "1.0", "1e3", "\"5\"", "true", "[]", "{}", "99999999999999999999999"]
        {
            assert_eq!(counts(&format!(r#"{{"input_tokens":{bad}}}"#)), Err(BadUsage), "{bad}");
            assert_eq!(
                counts(&format!(r#"{{"iterations":[{{"output_tokens":{bad}}}]}}"#)),
                Err(BadUsage),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_top_level_is_raised_to_its_iterations_counter_by_counter() {
        let iterations =
            r#""iterations":[5,{"type":"message","input_tokens":2,"output_tokens":3},{"input_tokens":4}]"#;
        assert_eq!(counts(&format!("{{{iterations}}}")), Ok((6, 3, true)));
        let raised = format!("{{\"input_tokens\":9,\"output_tokens\":1,{iterations}}}");
        assert_eq!(counts(&raised), Ok((9, 3, false)));
        assert_eq!(read(&raised).unwrap().raised, 2);
        assert_eq!(
            counts(r#"{"iterations":[{"type":"advisor_message","input_tokens":9}]}"#),
            Ok((0, 0, false))
        );
        assert_eq!(counts(r#"{"iterations":7}"#), Ok((0, 0, false)));
    }

    #[test]
    fn a_cache_split_counts_without_its_counter() {
        let split = r#""cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":7}"#;
        let counted = |text: &str| {
            read(text).map(|usage| (usage.counted.counts.cache_creation, usage.counted.cache_split))
        };
        assert_eq!(counted(&format!("{{{split}}}")), Ok((12, (5, 7))));
        let null = r#""cache_creation_input_tokens":null"#;
        assert_eq!(counted(&format!("{{{null},{split}}}")), Ok((12, (5, 7))));
        let beside = r#""cache_creation_input_tokens":6"#;
        assert_eq!(counted(&format!("{{{beside},{split}}}")), Ok((6, (5, 1))));
        assert_eq!(
            counted(r#"{"cache_creation":{"ephemeral_1h_input_tokens":"7"}}"#),
            Err(BadUsage),
            "a count that is none"
        );
    }
}
