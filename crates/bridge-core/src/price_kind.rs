//! The kinds of prices.

use serde::{Deserialize, Serialize};

/// The kind of tokens that a price is for, or web searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceKind {
    /// Input tokens outside of the cache.
    Input,
    /// Output tokens.
    Output,
    /// Input tokens read from the cache.
    CacheRead,
    /// Input tokens written to the cache for five minutes.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// Input tokens written to the cache for an hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Web searches.
    WebSearch,
}

impl PriceKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Input, Self::Output, Self::CacheRead, Self::CacheWrite5m, Self::CacheWrite1h, Self::WebSearch];

    /// Returns the name, as in JSON and in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::WebSearch => "web_search",
        }
    }
}
