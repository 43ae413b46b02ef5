//! The cost of responses.

use serde::{Deserialize, Serialize};

use crate::Money;

/// The cost of several responses, exact. Those without a price are part of it: their tokens are in
/// [`unpriced_tokens`](Self::unpriced_tokens), and a sum of money is never shown without them.
///
/// ```
/// use bridge_core::Cost;
///
/// let dollars = |text: &str| text.parse().unwrap();
/// let (amount, list, without_cache) = (dollars("1.5"), dollars("2"), dollars("9"));
/// let mut sum = Cost { amount, list, without_cache, priced_tokens: 90, unpriced_tokens: 0 };
/// sum.add(&Cost { unpriced_tokens: 10, ..Cost::default() });
/// assert_eq!(sum.to_string(), "at least $1.50");
/// assert_eq!((sum.unpriced_share(), sum.unpriced_percent()), (0.1, "10 %".to_owned()));
/// assert_eq!(sum.cache_savings().to_string(), "$7.00");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cost {
    /// The cost of the priced responses: list prices less discounts.
    pub amount: Money,
    /// The same at list prices.
    pub list: Money,
    /// The same at list prices, if tokens that were read from the cache or written to it had cost as much as other
    /// input. Below [`list`](Self::list) where writing to the cache cost more than reading from it saved.
    pub without_cache: Money,
    /// Tokens of the priced responses.
    pub priced_tokens: u64,
    /// Tokens of the responses without a price.
    pub unpriced_tokens: u64,
}

impl Cost {
    /// Adds the cost of other responses. A sum ends at the greatest amount.
    pub fn add(&mut self, other: &Self) {
        self.amount = self.amount.saturating_add(other.amount);
        self.list = self.list.saturating_add(other.list);
        self.without_cache = self.without_cache.saturating_add(other.without_cache);
        self.priced_tokens = self.priced_tokens.saturating_add(other.priced_tokens);
        self.unpriced_tokens = self.unpriced_tokens.saturating_add(other.unpriced_tokens);
    }

    /// Returns what is left of the cost without that of some of the responses.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self {
            amount: self.amount.saturating_sub(other.amount),
            list: self.list.saturating_sub(other.list),
            without_cache: self.without_cache.saturating_sub(other.without_cache),
            priced_tokens: self.priced_tokens.saturating_sub(other.priced_tokens),
            unpriced_tokens: self.unpriced_tokens.saturating_sub(other.unpriced_tokens),
        }
    }

    /// Returns what the cache saved at list prices; negative where it cost more than it saved.
    #[must_use]
    pub fn cache_savings(&self) -> Money {
        self.without_cache.saturating_sub(self.list)
    }

    /// Returns whether all tokens have a price, so that the amount is what the responses cost, and not a lower bound
    /// of it. Web searches without a price make it a lower bound, too; a dashboard lists them.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unpriced_tokens == 0
    }

    /// Returns the share of the tokens that have no price, from 0 to 1.
    #[must_use]
    pub fn unpriced_share(&self) -> f64 {
        let tokens = self.priced_tokens.saturating_add(self.unpriced_tokens);
        if tokens == 0 { 0.0 } else { self.unpriced_tokens as f64 / tokens as f64 }
    }

    /// Returns that share as a [percentage](unpriced_percent).
    #[must_use]
    pub fn unpriced_percent(&self) -> String {
        unpriced_percent(self.unpriced_tokens, self.priced_tokens.saturating_add(self.unpriced_tokens))
    }
}

/// Returns the percentage of all tokens that have no price, with one decimal place. It is rounded up, so that it is 0
/// % only if all have one.
#[must_use]
pub fn unpriced_percent(unpriced: u64, all: u64) -> String {
    let tenths = (u128::from(unpriced) * 1_000).div_ceil(u128::from(all.max(1)));
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} %"),
        (whole, tenth) => format!("{whole}.{tenth} %"),
    }
}

/// A change of what is stored, in money: what the rows that were written cost, and what those had cost that they
/// replaced.
///
/// ```
/// use bridge_core::{Cost, CostChange};
///
/// let cost = |dollars: &str| Cost { amount: dollars.parse().unwrap(), ..Cost::default() };
/// let mut change = CostChange::new(cost("3"), cost("1"));
/// change.add(&CostChange::new(cost("0.5"), Cost::default()));
/// assert_eq!(change.amount().to_string(), "$2.50");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CostChange {
    /// Cost of the written rows.
    pub added: Cost,
    /// Cost of the replaced rows by the same prices.
    pub removed: Cost,
}

impl CostChange {
    /// Returns the change by rows of this cost that replace rows of that one.
    #[must_use]
    pub fn new(added: Cost, removed: Cost) -> Self {
        Self { added, removed }
    }

    /// Returns the change of the amount; negative where the replaced rows had cost more. It is a bound of nothing if
    /// either cost has unpriced tokens.
    #[must_use]
    pub fn amount(&self) -> Money {
        self.added.amount.saturating_sub(self.removed.amount)
    }

    /// Returns the change of the tokens with and without a price.
    #[must_use]
    pub fn tokens(&self) -> i128 {
        let tokens = |cost: &Cost| i128::from(cost.priced_tokens) + i128::from(cost.unpriced_tokens);
        tokens(&self.added) - tokens(&self.removed)
    }

    /// Adds another change.
    pub fn add(&mut self, other: &Self) {
        self.added.add(&other.added);
        self.removed.add(&other.removed);
    }
}

/// As an amount, "at least" if some tokens have no price.
impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_complete() { self.amount.fmt(f) } else { write!(f, "at least {}", self.amount) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_not_zero_is_never_shown_as_zero() {
        let shown = [(0, 0), (0, 5), (1, u64::MAX), (1, 2000), (31, 1000), (1, 3), (u64::MAX, u64::MAX)]
            .map(|(unpriced, all)| unpriced_percent(unpriced, all));
        assert_eq!(shown, ["0 %", "0 %", "0.1 %", "0.1 %", "3.1 %", "33.4 %", "100 %"]);
    }
}
