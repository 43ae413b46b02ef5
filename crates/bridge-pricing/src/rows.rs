//! A catalog as rows of a store.

use bridge_core::PriceRow;

use crate::{Catalog, Entry, Factor, Percent, Price, Rates};

impl Catalog {
    /// Returns the prices one by one, for a store: each of each name, period, mode, size and geography.
    pub fn rows(&self) -> impl Iterator<Item = PriceRow> {
        self.entries().iter().flat_map(|entry| {
            entry.names().flat_map(move |name| {
                entry.rates.iter().flat_map(move |rates| {
                    let geographies = entry.geographies.iter().map(|(place, factor)| (&**place, *factor));
                    let all = std::iter::once(("", Factor::ONE)).chain(geographies);
                    all.map(move |(geography, factor)| row(entry, name, rates, geography, factor))
                })
            })
        })
    }
}

fn row(entry: &Entry, name: &str, rates: &Rates, geography: &str, factor: Factor) -> PriceRow {
    // A millionth of a dollar for a million tokens is 10^-12 dollars for one; at most 10^18 in 10^-18 dollars.
    let token = |price: Option<Price>| Some(price?.micros() * 1_000 * u64::from(factor.thousandths()));
    PriceRow {
        provider: entry.provider.clone(),
        model: entry.model.clone(),
        name: name.to_owned(),
        from: entry.from,
        to: entry.to,
        speed: rates.speed,
        processing: rates.processing,
        above: rates.above,
        geography: geography.to_owned(),
        input: token(rates.input),
        output: token(rates.output),
        cache_read: token(rates.cache_read),
        cache_write_5m: token(rates.cache_write_5m),
        cache_write_1h: token(rates.cache_write_1h),
        // A millionth of a dollar for a thousand; at most 10^19.
        web_search: entry.web_search.map(|price| price.micros() * 1_000_000_000),
        discount: entry.discount.map_or(0, Percent::tenths),
        source: entry.source.clone(),
    }
}
