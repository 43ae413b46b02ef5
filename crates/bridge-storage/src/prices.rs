//! The cost of responses by a store's price list.

mod list;

use std::time::Duration;

use bridge_core::{BridgeError, ModelName, Money, StorageKind, Timestamp, Unpriced};
use serde::{Deserialize, Serialize};

pub use list::PriceList;
#[cfg(feature = "clickhouse")]
pub(crate) use list::{Line, Request, SERVICE_TIERS, SPEEDS};

/// The cost of the responses of one model, or the reason why they have no price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRow {
    /// The model, if the records name one.
    pub model: Option<ModelName>,
    /// The reason why they have no price; `None` if they have one.
    pub unpriced: Option<Unpriced>,
    /// The number of responses.
    pub responses: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Their web searches.
    pub web_searches: u64,
    /// The time of the first.
    pub since: Timestamp,
    /// The sum at list prices; 0 without a price.
    pub list: Money,
    /// The sum after discounts; 0 without a price.
    pub amount: Money,
}

/// Returns the time at which a price list counts as put in use: after the last one, whatever the clocks of hosts say.
pub(crate) fn next_activation(last: Timestamp, now: Timestamp) -> Timestamp {
    now.max(last.saturating_add(Duration::from_millis(1)))
}

/// Returns the error of a query by a price list that was never stored.
pub(crate) fn unknown_list(operation: &'static str) -> BridgeError {
    BridgeError::storage(StorageKind::UnknownPrices, operation, "no price list has this digest")
}

/// The price list of an answer, and the responses that it has no price for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedBy {
    /// The digest of the price list. The same answer can be had again by it.
    pub digest: String,
    /// The responses without a price, by model and reason, most tokens first.
    pub unpriced: Vec<UnpricedSums>,
}

/// Responses of one model without a price, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpricedSums {
    /// The model, if the records name one.
    pub model: Option<ModelName>,
    /// The reason.
    pub reason: Unpriced,
    /// Their tokens.
    pub tokens: u64,
    /// Their web searches.
    pub web_searches: u64,
    /// The number of responses.
    pub responses: u64,
    /// The time of the first.
    pub since: Timestamp,
}

impl UnpricedSums {
    /// Adds others of the same model and reason.
    pub(crate) fn add(&mut self, other: &Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.web_searches = self.web_searches.saturating_add(other.web_searches);
        self.responses = self.responses.saturating_add(other.responses);
        self.since = self.since.min(other.since);
    }
}

impl PricedBy {
    /// Returns the list with the sums of equal models and reasons added up.
    pub(crate) fn new(digest: String, unpriced: impl IntoIterator<Item = UnpricedSums>) -> Self {
        let mut sums = std::collections::BTreeMap::<_, UnpricedSums>::new();
        for more in unpriced {
            let key = (more.model.clone(), more.reason);
            sums.entry(key).and_modify(|sum| sum.add(&more)).or_insert(more);
        }
        let mut unpriced: Vec<_> = sums.into_values().collect();
        unpriced.sort_by_key(|sums| std::cmp::Reverse(sums.tokens));
        Self { digest, unpriced }
    }
}
