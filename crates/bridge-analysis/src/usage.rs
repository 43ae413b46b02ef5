//! The counters of a usage, by the counting rule.

use bridge_core::TokenCounts;

use crate::json::{Raw, array_items, object_fields, string, string_bytes};

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
    /// The service tier.
    pub(crate) service_tier: Option<std::borrow::Cow<'a, str>>,
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

/// Reads a usage that is there and not null.
pub(crate) fn read_usage(usage: Raw<'_>) -> Result<Usage<'_>, BadUsage> {
    let keys = ["iterations", "service_tier"];
    let [iterations, service_tier] = object_fields(usage.get(), keys).ok_or(BadUsage)?;
    let (mut counts, mut cache_split) = read_counters(usage)?;
    let mut advisors = Vec::new();
    let mut sum: Option<(TokenCounts, (u64, u64))> = None;
    for (position, iteration) in (0..).zip(iterations.and_then(array_items).unwrap_or_default()) {
        let Some([kind, model]) = object_fields(iteration.get(), ["type", "model"]) else { continue };
        let (own_counts, own_split) = read_counters(iteration)?;
        if kind.and_then(string_bytes).as_deref() == Some(b"advisor_message") {
            advisors.push(Advisor { position, model, counts: own_counts, cache_split: own_split });
        } else {
            let (counts, split) = sum.unwrap_or_default();
            let counts = counts.checked_add(own_counts).map_err(|_| BadUsage)?;
            sum = Some((counts, (split.0 + own_split.0, split.1 + own_split.1)));
        }
    }
    let from_iterations = counts.is_zero() && sum.is_some();
    if let (true, Some((iteration_counts, split))) = (from_iterations, sum) {
        (counts, cache_split) = (iteration_counts, split);
    }
    let service_tier = service_tier.and_then(string);
    Ok(Usage { counts, from_iterations, cache_split, service_tier, advisors })
}

/// The four counters of a usage or an iteration, and the split of its cache-creation tokens.
fn read_counters(object: Raw<'_>) -> Result<(TokenCounts, (u64, u64)), BadUsage> {
    let keys = [
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
    ];
    let Some([input, output, cache_creation, cache_read, split]) = object_fields(object.get(), keys) else {
        return Ok(<(TokenCounts, (u64, u64))>::default());
    };
    let counts = TokenCounts {
        input: read_counter(input)?,
        output: read_counter(output)?,
        cache_creation: read_counter(cache_creation)?,
        cache_read: read_counter(cache_read)?,
    };
    // The split stands beside the counters and never decides over them: what is unreadable in it is 0.
    let split = split
        .and_then(|split| {
            object_fields(split.get(), ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"])
        })
        .map(|[short, long]| (read_counter(short).unwrap_or(0), read_counter(long).unwrap_or(0)));
    Ok((counts, split.unwrap_or_default()))
}

/// A counter: absent or null is 0.
fn read_counter(value: Option<Raw<'_>>) -> Result<u64, BadUsage> {
    let Some(value) = value else { return Ok(0) };
    match value.get() {
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
    use serde_json::value::RawValue;

    fn counts(text: &str) -> Result<(u64, u64, bool, usize), BadUsage> {
        let raw = RawValue::from_string(text.to_owned()).expect("valid JSON");
        let usage = read_usage(&raw)?;
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
        assert_eq!(counts("[]"), Err(BadUsage));
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
