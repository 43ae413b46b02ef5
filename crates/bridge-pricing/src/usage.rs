//! The usage that a price depends on.

use bridge_core::{Origin, ResponseUsage, Timestamp};

/// The usage that a response's price depends on, borrowed from its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage<'a> {
    /// The model that answered.
    pub model: Option<&'a str>,
    /// When.
    pub time: Timestamp,
    /// Input tokens outside of the cache.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from the cache.
    pub cache_read: u64,
    /// Input tokens written to the cache, however long they are kept.
    pub cache_creation: u64,
    /// Of those, the ones kept for one hour; the others are kept for five minutes. A record without the split has
    /// five-minute ones only, which is the API's default.
    pub cache_creation_1h: u64,
    /// The speed that the API reported.
    pub speed: Option<&'a str>,
    /// The service tier that the API reported.
    pub service_tier: Option<&'a str>,
    /// The geography that the API reported.
    pub inference_geo: Option<&'a str>,
    /// Web searches.
    pub web_searches: u64,
    /// Place of the counters. Sums of a session are not one request, so their size is only an upper bound of it.
    pub origin: Origin,
}

impl<'a> Usage<'a> {
    /// Returns a usage of nothing by this model, to be filled in.
    #[must_use]
    pub fn new(model: &'a str, time: Timestamp) -> Self {
        Self {
            model: Some(model),
            time,
            input: 0,
            output: 0,
            cache_read: 0,
            cache_creation: 0,
            cache_creation_1h: 0,
            speed: None,
            service_tier: None,
            inference_geo: None,
            web_searches: 0,
            origin: Origin::Assistant,
        }
    }

    /// Returns all tokens, at most `u64::MAX`.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.size().saturating_add(self.output)
    }

    /// Returns the size of the request: its input, cached tokens included, at most `u64::MAX`.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.input.saturating_add(self.cache_creation).saturating_add(self.cache_read)
    }
}

impl<'a> From<&'a ResponseUsage> for Usage<'a> {
    fn from(row: &'a ResponseUsage) -> Self {
        Self {
            model: row.model.as_ref().map(|model| model.as_str()),
            time: row.time,
            input: row.counts.input,
            output: row.counts.output,
            cache_read: row.counts.cache_read,
            cache_creation: row.counts.cache_creation,
            cache_creation_1h: row.cache_creation_1h,
            speed: row.attribution.speed.as_ref().map(|speed| speed.as_str()),
            service_tier: row.service_tier.as_ref().map(|tier| tier.as_str()),
            inference_geo: row.attribution.inference_geo.as_ref().map(|geography| geography.as_str()),
            web_searches: row.web_search_requests.unwrap_or(0),
            origin: row.origin,
        }
    }
}
