//! The cost of responses by a store's price list.

use bridge_core::{ModelName, Timestamp};

/// The cost of the responses of one model, or the reason why they have no price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRow {
    /// The model, if the records name one.
    pub model: Option<ModelName>,
    /// The reason why they have no price, as `bridge_pricing::Unpriced::name` returns it; `None` if they have one.
    pub unpriced: Option<String>,
    /// The number of responses.
    pub responses: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Their web searches.
    pub web_searches: u64,
    /// The time of the first.
    pub since: Timestamp,
    /// The sum at list prices in 10^-18 dollars; 0 without a price.
    pub list_attodollars: i128,
    /// The sum after discounts in 10^-18 dollars; 0 without a price.
    pub attodollars: i128,
}
