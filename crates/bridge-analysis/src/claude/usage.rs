//! The counters of a usage, by the counting rule.

use bridge_core::TokenCounts;

use crate::claude::fields::UsageFields;
use crate::claude::iterations::{Apart, Iterations, read_iterations};
use crate::count::snapshot::Counted;
use crate::json::{Raw, object_fields};

/// A counter above this is no count: the greatest real snapshot sums to 801,500.
const COUNTER_MAX: u64 = 1_000_000_000;

/// A usage with readable counters.
#[derive(Debug)]
pub(crate) struct Usage<'a> {
    /// The response's own counters.
    pub(crate) counted: Counted,
    /// `true` where the counters stand in the iterations alone.
    pub(crate) from_iterations: bool,
    /// The tokens by which the iterations raise the top level.
    pub(crate) raised: u64,
    iterations: Option<Iterations<'a>>,
}

/// A counter is there and no integer from 0 to 10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadUsage;

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
    /// Calls `visit` with each iteration that is a response of its own.
    pub(crate) fn visit_apart(&self, visit: impl FnMut(Apart<'a>)) {
        if let Some(iterations) = &self.iterations {
            iterations.visit_apart(visit);
        }
    }
}

impl Counted {
    /// Raises each counter to the other one where that is greater. The split goes with the counter that it splits.
    fn raised_to(self, other: &Self) -> Self {
        let (a, b) = (self.counts, other.counts);
        let is_split_raised = b.cache_creation > a.cache_creation;
        Self {
            counts: TokenCounts {
                input: a.input.max(b.input),
                output: a.output.max(b.output),
                cache_creation: a.cache_creation.max(b.cache_creation),
                cache_read: a.cache_read.max(b.cache_read),
            },
            cache_split: if is_split_raised { other.cache_split } else { self.cache_split },
        }
    }

    pub(crate) fn checked_add(self, other: Self) -> Result<Self, BadUsage> {
        let counts = self.counts.checked_add(other.counts).map_err(|_| BadUsage)?;
        // Neither split is above its counter, so that these sums fit where that one did.
        let (a, b) = (self.cache_split, other.cache_split);
        Ok(Self { counts, cache_split: (a.0 + b.0, a.1 + b.1) })
    }
}

/// Reads the four counters of a usage or an iteration, and the split of its cache-creation tokens.
pub(crate) fn read_counters(fields: &UsageFields<'_>) -> Result<Counted, BadUsage> {
    let split = fields
        .cache_split
        .and_then(|split| object_fields(split, ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]));
    let mut counts = TokenCounts {
        input: read_counter(fields.input)?,
        output: read_counter(fields.output)?,
        cache_creation: read_counter(fields.cache_creation)?,
        cache_read: read_counter(fields.cache_read)?,
    };
    let Some([short, long]) = split else { return Ok(Counted { counts, cache_split: (0, 0) }) };
    if fields.cache_creation.is_none_or(|count| count == "null") {
        // The split is the count, and held to what a count is held to.
        let cache_split = (read_counter(short)?, read_counter(long)?);
        counts.cache_creation = cache_split.0 + cache_split.1;
        if counts.cache_creation > COUNTER_MAX {
            return Err(BadUsage);
        }
        return Ok(Counted { counts, cache_split });
    }
    // Beside the counter the split decides over nothing: what is unreadable in it is 0, and no part exceeds the whole.
    let short = read_counter(short).unwrap_or(0).min(counts.cache_creation);
    let long = read_counter(long).unwrap_or(0).min(counts.cache_creation - short);
    Ok(Counted { counts, cache_split: (short, long) })
}

/// Reads a counter: absent or null is 0.
pub(crate) fn read_counter(value: Option<Raw<'_>>) -> Result<u64, BadUsage> {
    let Some(value) = value else { return Ok(0) };
    match value {
        "null" | "-0" => Ok(0),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|count| *count <= COUNTER_MAX).ok_or(BadUsage)
        }
        _ => Err(BadUsage),
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
    fn a_cache_split_counts_where_it_stands_alone() {
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
