//! The four counters of a usage or an iteration.

use bridge_core::TokenCounts;

use crate::claude::fields::UsageFields;
use crate::count::snapshot::Counted;
use crate::json::{Raw, object_fields};

/// A counter above this is not a count: the greatest real snapshot sums to 801,500.
const COUNTER_MAX: u64 = 1_000_000_000;

/// A counter is present and is not an integer from 0 to 10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadUsage;

impl Counted {
    /// Raises each counter to the other one if that is greater. The split belongs to the counter that it splits.
    pub(crate) fn raised_to(self, other: &Self) -> Self {
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
        // Neither split exceeds its counter, so these sums fit if that one did.
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
        // The split is the count, and subject to the same limits.
        let cache_split = (read_counter(short)?, read_counter(long)?);
        counts.cache_creation = cache_split.0 + cache_split.1;
        if counts.cache_creation > COUNTER_MAX {
            return Err(BadUsage);
        }
        return Ok(Counted { counts, cache_split });
    }
    // Next to a counter, the split decides nothing: an unreadable part is 0, and no part exceeds the whole.
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
