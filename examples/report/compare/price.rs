//! Costs at the prices of a catalog.

use std::collections::HashMap;

use bridge::pricing::{Catalog, Money, Unpriced, Usage};
use bridge::{ResponseUsage, Timestamp, TokenCounts};

use super::figures::canonical;

/// The prices of a catalog, and the time from which each model has one.
pub(crate) struct Prices<'a> {
    catalog: &'a Catalog,
    /// The same without the prices of large requests.
    without_sizes: Catalog,
    first: HashMap<&'a str, Timestamp>,
}

/// A reason why tokens have another price than the model's usual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PriceFactor {
    /// Writes to the cache for an hour.
    HourWrites,
    /// Web searches.
    WebSearches,
    /// The fast mode.
    Speed,
    /// The service tier, for instance the batch API.
    ServiceTier,
    /// The geography.
    Geography,
    /// The size of the request.
    Size,
    /// A discount of the configuration.
    Discount,
}

impl PriceFactor {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::HourWrites,
        Self::WebSearches,
        Self::Speed,
        Self::ServiceTier,
        Self::Geography,
        Self::Size,
        Self::Discount,
    ];
}

/// The cost of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// At its own time.
    Known(Money),
    /// There is none at its own time. At the model's first price it costs this.
    AtFirstPrice(Money),
    /// It has none at all.
    Unpriced,
}

impl Cost {
    /// Returns the amount, at whatever price; 0 without any.
    pub(crate) fn amount(self) -> Money {
        match self {
            Self::Known(amount) | Self::AtFirstPrice(amount) => amount,
            Self::Unpriced => Money::ZERO,
        }
    }
}

impl<'a> Prices<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let mut first = HashMap::new();
        for entry in catalog.entries() {
            for name in entry.names() {
                let start = first.entry(name).or_insert(entry.from);
                *start = entry.from.min(*start);
            }
        }
        let mut entries = catalog.entries().to_vec();
        entries.iter_mut().for_each(|entry| entry.rates.retain(|rates| rates.above == 0));
        let without_sizes = Catalog::new(entries).unwrap_or_else(|_| catalog.clone());
        Self { catalog, without_sizes, first }
    }

    /// Returns the cost of a response with these counters.
    pub(crate) fn cost(&self, row: &ResponseUsage, counts: TokenCounts) -> Cost {
        self.of(usage(row, counts))
    }

    /// Returns the cost of a response with these counters at prices without this factor.
    pub(crate) fn cost_without(&self, factor: PriceFactor, row: &ResponseUsage, counts: TokenCounts) -> Cost {
        let usage = usage(row, counts);
        match factor {
            PriceFactor::HourWrites => self.of(Usage { cache_creation_1h: 0, ..usage }),
            PriceFactor::WebSearches => self.of(Usage { web_searches: 0, ..usage }),
            PriceFactor::Speed => self.of(Usage { speed: None, ..usage }),
            PriceFactor::ServiceTier => self.of(Usage { service_tier: None, ..usage }),
            PriceFactor::Geography => self.of(Usage { inference_geo: None, ..usage }),
            PriceFactor::Size => {
                self.by(usage, |usage| self.without_sizes.price(usage).map(|bill| bill.amount))
            }
            PriceFactor::Discount => self.by(usage, |usage| self.catalog.price(usage).map(|bill| bill.list)),
        }
    }

    fn of(&self, usage: Usage<'_>) -> Cost {
        self.by(usage, |usage| self.catalog.price(usage).map(|bill| bill.amount))
    }

    fn by(&self, usage: Usage<'_>, cost: impl Fn(&Usage<'_>) -> Result<Money, Unpriced>) -> Cost {
        match cost(&usage) {
            Ok(amount) => Cost::Known(amount),
            Err(Unpriced::Date) => {
                let first = usage.model.and_then(|model| self.first_price(model));
                let at_first = first.and_then(|time| cost(&Usage { time, ..usage }).ok());
                at_first.map_or(Cost::Unpriced, Cost::AtFirstPrice)
            }
            Err(_) => Cost::Unpriced,
        }
    }

    fn first_price(&self, model: &str) -> Option<Timestamp> {
        self.first.get(model).or_else(|| self.first.get(&*canonical(model))).copied()
    }
}

fn usage(row: &ResponseUsage, counts: TokenCounts) -> Usage<'_> {
    Usage {
        input: counts.input,
        output: counts.output,
        cache_read: counts.cache_read,
        cache_creation: counts.cache_creation,
        cache_creation_1h: row.cache_creation_1h.min(counts.cache_creation),
        ..Usage::from(row)
    }
}
