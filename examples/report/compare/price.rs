//! Costs at the prices of a catalog.

use bridge::pricing::{Catalog, Money, Usage};
use bridge::{ModelName, ResponseUsage, TokenCounts};

/// Returns the cost of a response with these counters at its own time; `None` without a price.
pub(crate) fn cost(catalog: &Catalog, row: &ResponseUsage, counts: TokenCounts) -> Option<Money> {
    let usage = Usage {
        input: counts.input,
        output: counts.output,
        cache_read: counts.cache_read,
        cache_creation: counts.cache_creation,
        cache_creation_1h: row.cache_creation_1h.min(counts.cache_creation),
        ..Usage::from(row)
    };
    catalog.price(&usage).ok().map(|bill| bill.amount)
}

/// Returns the cost of a response of another model, with these counters, at the time of this one.
pub(crate) fn cost_as(
    catalog: &Catalog,
    row: &ResponseUsage,
    counts: TokenCounts,
    model: &str,
) -> Option<Money> {
    let mut row = row.clone();
    row.model = ModelName::new(model).ok();
    cost(catalog, &row, counts)
}

/// Returns the cost of a response with all its writes to the cache at the price of those for five minutes.
pub(crate) fn cost_of_short_writes(catalog: &Catalog, row: &ResponseUsage) -> Option<Money> {
    let usage = Usage { cache_creation_1h: 0, ..Usage::from(row) };
    catalog.price(&usage).ok().map(|bill| bill.amount)
}
