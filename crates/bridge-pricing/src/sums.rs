//! Sums of money, with what has no price.

use std::collections::BTreeMap;
use std::fmt;

use bridge_core::{Escaped, Timestamp, saturating_sum, unpriced_percent};
use serde::Serialize;

use crate::{Bill, Money, Unpriced, Usage};

/// The cost of several responses. Those without a price are part of it: a sum of money is never shown without them.
///
/// ```
/// use bridge_pricing::{Catalog, CostSums, Usage};
///
/// let time = "2026-06-01T00:00:00Z".parse()?;
/// let mut sums = CostSums::default();
/// for model in ["claude-opus-4-6", "claude-next"] {
///     let usage = Usage { output: 1_000, ..Usage::new(model, time) };
///     sums.add(&usage, &Catalog::shipped().price(&usage));
/// }
/// assert_eq!(
///     sums.to_string(),
///     "at least $0.0250; 50 % of tokens unpriced: claude-next since 2026-06-01 (the model is not in the price catalog)"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CostSums {
    /// What the priced responses cost.
    pub amount: Money,
    /// The same at list prices, without discounts.
    pub list: Money,
    /// Tokens of the priced responses.
    pub priced_tokens: u64,
    /// What has no price, by model and reason.
    #[serde(serialize_with = "as_list")]
    pub unpriced: BTreeMap<(Option<String>, Unpriced), UnpricedTokens>,
}

/// Responses of one model without a price, for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnpricedTokens {
    /// Their tokens.
    pub tokens: u64,
    /// Their web searches.
    pub web_searches: u64,
    /// How many they are.
    pub responses: u64,
    /// The time of the first.
    pub since: Timestamp,
}

impl CostSums {
    /// Adds a response. A sum that would not fit 128 bits leaves it unpriced.
    pub fn add(&mut self, usage: &Usage<'_>, price: &Result<Bill<'_>, Unpriced>) {
        let reason = match price {
            Ok(bill) => match (self.amount.checked_add(bill.amount), self.list.checked_add(bill.list)) {
                (Some(amount), Some(list)) => {
                    (self.amount, self.list) = (amount, list);
                    self.priced_tokens = self.priced_tokens.saturating_add(usage.tokens());
                    return;
                }
                _ => Unpriced::TooLarge,
            },
            Err(reason) => *reason,
        };
        let (tokens, web_searches) = (usage.tokens(), usage.web_searches);
        let unpriced = UnpricedTokens { tokens, web_searches, responses: 1, since: usage.time };
        self.add_unpriced(usage.model.map(str::to_owned), reason, unpriced);
    }

    /// Adds responses without a price.
    pub fn add_unpriced(&mut self, model: Option<String>, reason: Unpriced, tokens: UnpricedTokens) {
        self.unpriced.entry((model, reason)).and_modify(|sum| sum.add(&tokens)).or_insert(tokens);
    }

    /// Adds other sums; `None`, and nothing changed, if the money does not fit 128 bits.
    #[must_use]
    pub fn checked_merge(&mut self, other: &Self) -> Option<()> {
        let (amount, list) = (self.amount.checked_add(other.amount)?, self.list.checked_add(other.list)?);
        (self.amount, self.list) = (amount, list);
        self.priced_tokens = self.priced_tokens.saturating_add(other.priced_tokens);
        for ((model, reason), tokens) in &other.unpriced {
            self.add_unpriced(model.clone(), *reason, *tokens);
        }
        Some(())
    }

    /// Returns the tokens without a price.
    #[must_use]
    pub fn unpriced_tokens(&self) -> u64 {
        saturating_sum(self.unpriced.values().map(|sum| sum.tokens))
    }

    /// Returns whether everything has a price, so that the amount is what the responses cost.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unpriced.is_empty()
    }
}

impl UnpricedTokens {
    fn add(&mut self, other: &Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.web_searches = self.web_searches.saturating_add(other.web_searches);
        self.responses = self.responses.saturating_add(other.responses);
        self.since = self.since.min(other.since);
    }
}

/// Of the models without a price this many are shown, those with the most tokens.
const SHOWN_MAX: usize = 3;

impl fmt::Display for CostSums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_complete() {
            return write!(f, "{}", self.amount);
        }
        let unpriced = self.unpriced_tokens();
        let share = unpriced_percent(unpriced, unpriced.saturating_add(self.priced_tokens));
        write!(f, "at least {}; {share} of tokens unpriced", self.amount)?;
        let mut sums: Vec<_> = self.unpriced.iter().collect();
        sums.sort_by_key(|(key, sum)| (std::cmp::Reverse(sum.tokens), *key));
        for (place, ((model, reason), sum)) in sums.iter().take(SHOWN_MAX).enumerate() {
            let model = model.as_deref().filter(|model| !model.is_empty()).unwrap_or("no model");
            let separator = if place == 0 { ":" } else { "," };
            write!(f, "{separator} {} since {} ({reason})", Escaped::text(model), sum.since.date())?;
        }
        match sums.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

fn as_list<S: serde::Serializer>(
    unpriced: &BTreeMap<(Option<String>, Unpriced), UnpricedTokens>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Line<'a> {
        model: Option<&'a str>,
        reason: Unpriced,
        #[serde(flatten)]
        sum: &'a UnpricedTokens,
    }
    serializer.collect_seq(unpriced.iter().map(|((model, reason), sum)| Line {
        model: model.as_deref(),
        reason: *reason,
        sum,
    }))
}
