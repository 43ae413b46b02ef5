//! The counters of a usage, by the counting rule.

use bridge_core::TokenCounts;

use crate::fields::{UsageFields, usage_fields};
use crate::json::{Raw, array_items, object_fields, string_bytes};

/// A counter above this is no count: the greatest real snapshot sums to 801,500.
const COUNTER_MAX: u64 = 1_000_000_000;

/// A usage with readable counters.
#[derive(Debug)]
pub(crate) struct Usage<'a> {
    /// The four counters: the usage's own, or the sums over its iterations.
    pub(crate) counts: TokenCounts,
    /// Whether the counters are the iterations' sums.
    pub(crate) from_iterations: bool,
    /// Of the cache-creation tokens, those kept for five minutes and for one hour.
    pub(crate) cache_split: (u64, u64),
    /// The advisors' iterations: responses of their own.
    pub(crate) advisors: Vec<Advisor<'a>>,
}

/// An `advisor_message` iteration.
#[derive(Debug)]
pub(crate) struct Advisor<'a> {
    /// Its place in `iterations`.
    pub(crate) position: u64,
    pub(crate) model: Option<Raw<'a>>,
    pub(crate) counts: TokenCounts,
    pub(crate) cache_split: (u64, u64),
}

/// A counter is there and no integer from 0 to 10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadUsage;

/// Reads a usage.
pub(crate) fn read_usage<'a>(fields: &UsageFields<'a>) -> Result<Usage<'a>, BadUsage> {
    let (mut counts, mut cache_split) = read_counters(fields)?;
    let iterations = read_iterations(fields.iterations)?;
    let from_iterations = counts.is_zero() && iterations.sum.is_some();
    if let (true, Some((sum, split))) = (from_iterations, iterations.sum) {
        (counts, cache_split) = (sum, split);
    }
    Ok(Usage { counts, from_iterations, cache_split, advisors: iterations.advisors })
}

/// What stands in the iterations of a usage.
#[derive(Default)]
struct Iterations<'a> {
    /// The sums over those that are no advisor's, where there is one.
    sum: Option<(TokenCounts, (u64, u64))>,
    advisors: Vec<Advisor<'a>>,
}

fn read_iterations(list: Option<Raw<'_>>) -> Result<Iterations<'_>, BadUsage> {
    let mut iterations = Iterations::default();
    let Some(list) = list.filter(|list| *list != "[]") else { return Ok(iterations) };
    let mut outcome = Ok(());
    let mut position = 0;
    array_items(list, |item| {
        if outcome.is_ok() {
            outcome = iterations.add(item, position);
        }
        position += 1;
    });
    outcome.map(|()| iterations)
}

impl<'a> Iterations<'a> {
    fn add(&mut self, item: Raw<'a>, position: u64) -> Result<(), BadUsage> {
        let Some(fields) = usage_fields(item) else { return Ok(()) };
        let (counts, cache_split) = read_counters(&fields)?;
        if fields.kind.and_then(string_bytes).as_deref() == Some(b"advisor_message") {
            self.advisors.push(Advisor { position, model: fields.model, counts, cache_split });
            return Ok(());
        }
        let (sum, split) = self.sum.unwrap_or_default();
        let sum = sum.checked_add(counts).map_err(|_| BadUsage)?;
        self.sum = Some((sum, (split.0 + cache_split.0, split.1 + cache_split.1)));
        Ok(())
    }
}

/// The four counters of a usage or an iteration, and the split of its cache-creation tokens.
fn read_counters(fields: &UsageFields<'_>) -> Result<(TokenCounts, (u64, u64)), BadUsage> {
    let counts = TokenCounts {
        input: read_counter(fields.input)?,
        output: read_counter(fields.output)?,
        cache_creation: read_counter(fields.cache_creation)?,
        cache_read: read_counter(fields.cache_read)?,
    };
    // The split stands beside the counters and never decides over them: what is unreadable in it is 0.
    let split = fields
        .cache_split
        .and_then(|split| object_fields(split, ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]))
        .map(|[short, long]| (read_counter(short).unwrap_or(0), read_counter(long).unwrap_or(0)));
    Ok((counts, split.unwrap_or_default()))
}

/// A counter: absent or null is 0.
fn read_counter(value: Option<Raw<'_>>) -> Result<u64, BadUsage> {
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

    fn counts(text: &str) -> Result<(u64, u64, bool, usize), BadUsage> {
        let usage = read_usage(&usage_fields(text).expect("an object"))?;
        Ok((usage.counts.input, usage.counts.output, usage.from_iterations, usage.advisors.len()))
    }

    #[test]
    fn a_counter_is_an_integer_from_0_to_a_billion() {
        assert_eq!(
            counts(r#"{"input_tokens":1000000000,"output_tokens":null}"#),
            Ok((1_000_000_000, 0, false, 0))
        );
        assert_eq!(counts(r#"{"input_tokens":-0}"#), Ok((0, 0, false, 0)));
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
    fn iterations_count_only_where_the_usage_says_nothing() {
        let iterations =
            r#""iterations":[5,{"type":"message","input_tokens":2,"output_tokens":3},{"input_tokens":4}]"#;
        assert_eq!(counts(&format!("{{{iterations}}}")), Ok((6, 3, true, 0)));
        assert_eq!(counts(&format!("{{\"input_tokens\":1,{iterations}}}")), Ok((1, 0, false, 0)));
        assert_eq!(
            counts(r#"{"iterations":[{"type":"advisor_message","input_tokens":9}]}"#),
            Ok((0, 0, false, 1))
        );
        assert_eq!(counts(r#"{"iterations":7}"#), Ok((0, 0, false, 0)));
    }
}
