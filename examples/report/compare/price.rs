//! Costs at the prices of a catalog.

use std::collections::HashMap;

use bridge::pricing::{Catalog, Money, Unpriced, Usage};
use bridge::{ModelName, ResponseUsage, Timestamp, TokenCounts};

use super::figures::canonical;

/// The prices of a catalog, and the time from which each model has one.
pub(crate) struct Prices<'a> {
    catalog: &'a Catalog,
    first: HashMap<&'a str, Timestamp>,
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
        Self { catalog, first }
    }

    /// Returns the cost of a response with these counters.
    pub(crate) fn cost(&self, row: &ResponseUsage, counts: TokenCounts) -> Cost {
        self.of(Usage {
            input: counts.input,
            output: counts.output,
            cache_read: counts.cache_read,
            cache_creation: counts.cache_creation,
            cache_creation_1h: row.cache_creation_1h.min(counts.cache_creation),
            ..Usage::from(row)
        })
    }

    /// Returns the cost of a response of another model, with these counters, at the time of this one.
    pub(crate) fn cost_as(&self, row: &ResponseUsage, counts: TokenCounts, model: &str) -> Cost {
        let mut row = row.clone();
        row.model = ModelName::new(model).ok();
        self.cost(&row, counts)
    }

    /// Returns the cost of a response with these counters, all writes to the cache at the price of those for five minutes.
    pub(crate) fn cost_of_short_writes(&self, row: &ResponseUsage, counts: TokenCounts, model: &str) -> Cost {
        self.cost_as(&ResponseUsage { cache_creation_1h: 0, ..row.clone() }, counts, model)
    }

    fn of(&self, usage: Usage<'_>) -> Cost {
        let cost = |usage: &Usage<'_>| self.catalog.price(usage).map(|bill| bill.amount);
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
