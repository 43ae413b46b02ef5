//! The columns of the report.

use bridge::{TokenCounts, UsageSums};
use bridge_examples::number::number;
use serde_json::{Value, json};

/// A column of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Responses,
    Input,
    Output,
    CacheCreation,
    CacheRead,
    Total,
    Cost,
}

impl Column {
    /// All columns, in the order of the output.
    const ALL: [Self; 7] = [
        Self::Responses,
        Self::Input,
        Self::Output,
        Self::CacheCreation,
        Self::CacheRead,
        Self::Total,
        Self::Cost,
    ];

    /// Those that a narrow terminal goes without, the first one first.
    pub(crate) const DISPENSABLE: [Self; 5] =
        [Self::Input, Self::Responses, Self::CacheCreation, Self::CacheRead, Self::Output];

    /// Returns the columns, with or without the cost.
    pub(crate) fn all(with_cost: bool) -> &'static [Self] {
        if with_cost { &Self::ALL } else { &Self::ALL[..Self::ALL.len() - 1] }
    }

    /// Returns the name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheCreation => "cache creation",
            Self::CacheRead => "cache read",
            Self::Total => "total tokens",
            Self::Cost => "cost",
        }
    }

    /// Returns the name for programs.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Input => "input_tokens",
            Self::Output => "output_tokens",
            Self::CacheCreation => "cache_creation_tokens",
            Self::CacheRead => "cache_read_tokens",
            Self::Total => "total_tokens",
            Self::Cost => "cost_usd",
        }
    }

    /// Returns the amount for people. What has no price is not 0: a cost that lacks it has a mark.
    pub(crate) fn text(self, sums: &UsageSums) -> String {
        match (self.count(sums), sums.cost) {
            (Some(count), _) => number(count),
            (None, Some(cost)) if cost.unpriced_tokens > 0 => format!("≥ {}", cost.amount),
            (None, cost) => cost.map(|cost| cost.amount.to_string()).unwrap_or_default(),
        }
    }

    /// Returns the amount of the totals for people: those of unfinished responses are lower bounds, their cost is, too.
    pub(crate) fn total_text(self, totals: &UsageSums) -> String {
        let text = self.text(totals);
        let is_floor = totals.unfinished_responses > 0 && matches!(self, Self::Total | Self::Cost);
        if is_floor && !text.is_empty() && !text.starts_with('≥') { format!("≥ {text}") } else { text }
    }

    /// Returns the amount with all digits.
    pub(crate) fn exact(self, sums: &UsageSums) -> String {
        match self.count(sums) {
            Some(count) => count.to_string(),
            None => sums.cost.map(|cost| cost.amount.exact()).unwrap_or_default(),
        }
    }

    /// Returns the amount for JSON: a number, or a decimal text.
    pub(crate) fn json(self, sums: &UsageSums) -> Value {
        match self.count(sums) {
            Some(count) => count.into(),
            None => json!(sums.cost.map(|cost| cost.amount.exact())),
        }
    }

    fn count(self, sums: &UsageSums) -> Option<u64> {
        let TokenCounts { input, output, cache_creation, cache_read } = sums.counts;
        match self {
            Self::Responses => Some(sums.responses),
            Self::Input => Some(input),
            Self::Output => Some(output),
            Self::CacheCreation => Some(cache_creation),
            Self::CacheRead => Some(cache_read),
            Self::Total => Some(sums.counts.total()),
            Self::Cost => None,
        }
    }

    /// Returns whether the amount is known for what is not listed, of which there are no single counters.
    pub(crate) fn is_known_of_others(self) -> bool {
        matches!(self, Self::Responses | Self::Total | Self::Cost)
    }
}
