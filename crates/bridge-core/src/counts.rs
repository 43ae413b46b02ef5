//! The four counters of a usage, with checked sums.

use serde::{Deserialize, Serialize};

/// Tokens by the four counters that the API reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenCounts {
    /// Input tokens that were neither read from nor written to the cache.
    pub input: u64,
    /// Output tokens, thinking included.
    pub output: u64,
    /// Input tokens written to the cache.
    pub cache_creation: u64,
    /// Input tokens read from the cache.
    pub cache_read: u64,
}

/// A sum of token counts does not fit 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sum of token counts exceeds 64 bits")]
pub struct CountOverflow;

/// Returns the sum of these counts, at most `u64::MAX`: a sum in a report must neither wrap nor fail.
#[must_use]
pub fn saturating_sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

impl TokenCounts {
    /// No tokens.
    pub const ZERO: Self = Self { input: 0, output: 0, cache_creation: 0, cache_read: 0 };

    /// Returns the sum of the four counters.
    ///
    /// # Errors
    ///
    /// The sum does not fit 64 bits.
    pub fn checked_total(&self) -> Result<u64, CountOverflow> {
        self.input
            .checked_add(self.output)
            .and_then(|sum| sum.checked_add(self.cache_creation))
            .and_then(|sum| sum.checked_add(self.cache_read))
            .ok_or(CountOverflow)
    }

    /// Returns the sum of the four counters, at most `u64::MAX`.
    ///
    /// The analyzer accepts counters up to 10^9 only, so sums over any real history are far below
    /// the limit. The validator rejects anything beyond it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.checked_total().unwrap_or(u64::MAX)
    }

    /// Returns the counter-wise sum.
    ///
    /// # Errors
    ///
    /// A counter of the sum does not fit 64 bits.
    pub fn checked_add(self, other: Self) -> Result<Self, CountOverflow> {
        let add = |a: u64, b: u64| a.checked_add(b).ok_or(CountOverflow);
        Ok(Self {
            input: add(self.input, other.input)?,
            output: add(self.output, other.output)?,
            cache_creation: add(self.cache_creation, other.cache_creation)?,
            cache_read: add(self.cache_read, other.cache_read)?,
        })
    }

    /// Returns the counter-wise difference, at least 0.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_sub(other.input),
            output: self.output.saturating_sub(other.output),
            cache_creation: self.cache_creation.saturating_sub(other.cache_creation),
            cache_read: self.cache_read.saturating_sub(other.cache_read),
        }
    }

    /// Returns the counter-wise sum over all of them.
    ///
    /// # Errors
    ///
    /// A counter of the sum does not fit 64 bits.
    pub fn checked_sum(counts: impl IntoIterator<Item = Self>) -> Result<Self, CountOverflow> {
        counts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Returns whether all four counters are 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflowing_sums_are_errors() {
        let most = TokenCounts { input: u64::MAX, ..TokenCounts::ZERO };
        let one = TokenCounts { output: 1, ..TokenCounts::ZERO };
        assert_eq!(most.checked_add(one).map(|sum| sum.checked_total()), Ok(Err(CountOverflow)));
        assert_eq!(most.checked_add(TokenCounts { input: 1, ..one }), Err(CountOverflow));
        assert_eq!(TokenCounts::checked_sum([one, one]).map(|sum| sum.output), Ok(2));
    }
}
