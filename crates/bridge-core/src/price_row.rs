//! One price in the form in which stores keep it.

use crate::{PriceKind, Processing, Speed, Timestamp};

/// The prices of one name of a model, in one period, mode, size and geography: a row of a price list in a store.
///
/// Prices are in 10^-18 dollars for one token or one web search, with the geography's factor and before the discount.
/// All are multiples of 1,000, so that a discount in thousandths is exact. A price that is absent is unknown, not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRow {
    /// The provider that sells the model.
    pub provider: String,
    /// The model's canonical name.
    pub model: String,
    /// The name that responses have.
    pub name: String,
    /// The first instant of the period.
    pub from: Timestamp,
    /// The first instant after it; `None` if it has no end.
    pub to: Option<Timestamp>,
    /// The speed.
    pub speed: Speed,
    /// The processing.
    pub processing: Processing,
    /// The input tokens above which a request has these prices.
    pub above: u64,
    /// The geography; empty for an unrestricted one.
    pub geography: String,
    /// A token of input outside of the cache.
    pub input: Option<u64>,
    /// A token of output.
    pub output: Option<u64>,
    /// A token read from the cache.
    pub cache_read: Option<u64>,
    /// A token written to the cache for five minutes.
    pub cache_write_5m: Option<u64>,
    /// A token written to the cache for an hour.
    pub cache_write_1h: Option<u64>,
    /// A web search.
    pub web_search: Option<u64>,
    /// The discount, in thousandths.
    pub discount: u16,
    /// The page or record that states the prices, or the user's entry.
    pub source: String,
}

impl PriceRow {
    /// Returns the price of a kind, if it is known.
    #[must_use]
    pub fn price(&self, kind: PriceKind) -> Option<u64> {
        match kind {
            PriceKind::Input => self.input,
            PriceKind::Output => self.output,
            PriceKind::CacheRead => self.cache_read,
            PriceKind::CacheWrite5m => self.cache_write_5m,
            PriceKind::CacheWrite1h => self.cache_write_1h,
            PriceKind::WebSearch => self.web_search,
        }
    }
}
