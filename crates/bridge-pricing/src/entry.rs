//! One model's prices in one period.

use std::collections::BTreeMap;

use bridge_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Factor, Percent, Period, Price, PriceKind, Processing, Speed};

/// A model's prices in a period. All are list prices in dollars, before the [`discount`](Self::discount).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who sells it, for example `anthropic`.
    pub provider: String,
    /// The model's canonical name.
    pub model: String,
    /// Other names of the same model, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The first instant of the period.
    #[serde(with = "crate::instant")]
    pub from: Timestamp,
    /// The first instant after it; `None` if it has no end.
    #[serde(default, with = "crate::instant::option", skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Dollars for a thousand web searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search: Option<Price>,
    /// Factors on the prices of tokens, by the geography that the response reports. Other geographies are unpriced,
    /// unless unrestricted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub geographies: BTreeMap<String, Factor>,
    /// The user's discount on everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Percent>,
    /// The prices of tokens, by mode and size.
    pub rates: Vec<Rates>,
    /// The page or record that states the standard prices, or the user's entry.
    pub source: String,
    /// The day of the source.
    #[serde(with = "crate::instant")]
    pub dated: Timestamp,
}

/// The prices of one mode and size, in dollars per million tokens. A price that is absent is unknown, not 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// The speed of the mode.
    #[serde(default, skip_serializing_if = "is_default")]
    pub speed: Speed,
    /// The processing of the mode.
    #[serde(default, skip_serializing_if = "is_default")]
    pub processing: Processing,
    /// They apply to all tokens of a request with more input tokens than this, cached ones included.
    #[serde(default, skip_serializing_if = "is_default")]
    pub above: u64,
    /// Input that is neither read from nor written to the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Price>,
    /// Output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Price>,
    /// Input read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Price>,
    /// Input written to the cache for five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<Price>,
    /// Input written to the cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<Price>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Entry {
    /// Returns whether the period includes this instant.
    #[must_use]
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        self.from <= time && self.to.is_none_or(|to| time < to)
    }

    /// Returns the canonical name and the aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.model).chain(self.aliases.iter().map(|alias| &**alias))
    }

    /// Returns the time in which it is valid.
    pub(crate) fn period(&self) -> Period {
        Period { from: Some(self.from), to: self.to }
    }

    /// Returns the rates of a mode, by size.
    pub(crate) fn mode(&self, speed: Speed, processing: Processing) -> impl Iterator<Item = &Rates> {
        self.rates.iter().filter(move |rates| (rates.speed, rates.processing) == (speed, processing))
    }
}

impl Rates {
    /// Returns whether these are the rates of the standard mode for requests of any size.
    pub(crate) fn is_standard(&self) -> bool {
        (self.speed, self.processing, self.above) == (Speed::Standard, Processing::Standard, 0)
    }

    /// Returns the price of a kind of tokens, if it is known.
    #[must_use]
    pub fn price(&self, kind: PriceKind) -> Option<Price> {
        match kind {
            PriceKind::Input => self.input,
            PriceKind::Output => self.output,
            PriceKind::CacheRead => self.cache_read,
            PriceKind::CacheWrite5m => self.cache_write_5m,
            PriceKind::CacheWrite1h => self.cache_write_1h,
            PriceKind::WebSearch => None,
        }
    }
}
