//! A price list in memory, and the price of a response by it.

use std::collections::HashMap;

use bridge_core::{
    Cost, Money, Origin, PriceKind, PriceRow, Processing, ResponseUsage, Speed, Timestamp,
    UNRESTRICTED_GEOGRAPHIES, Unpriced, price_names,
};

/// A price list of a store in memory: the rows of one catalog, by name. Returned by
/// [`PriceStore::price_list`](crate::PriceStore::price_list).
#[derive(Debug, Clone, Default)]
pub struct PriceList {
    pub(crate) digest: String,
    names: HashMap<String, NamedPrices>,
}

/// The prices of one name of a model.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamedPrices {
    /// By time, without overlaps.
    pub(crate) periods: Vec<Period>,
}

#[derive(Debug, Clone)]
pub(crate) struct Period {
    pub(crate) from: Timestamp,
    pub(crate) to: Option<Timestamp>,
    pub(crate) lines: Vec<PriceLine>,
}

/// The prices of a mode, size and geography in 10^-18 dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PriceLine {
    pub(crate) speed: Speed,
    pub(crate) processing: Processing,
    /// The input tokens above which a request has these prices.
    pub(crate) above: u64,
    pub(crate) geography: String,
    /// In the order of [`PriceKind::ALL`].
    pub(crate) prices: [Option<u64>; 6],
    /// In thousandths.
    pub(crate) discount: u16,
}

/// The properties of a response that its price depends on, besides the quantities.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PriceRequest<'a> {
    pub(crate) model: &'a str,
    pub(crate) time: Timestamp,
    /// `None` if it is unknown.
    pub(crate) speed: Option<Speed>,
    /// `None` if it is unknown.
    pub(crate) processing: Option<Processing>,
    pub(crate) geography: &'a str,
    pub(crate) size: u64,
    pub(crate) is_sum: bool,
}

/// The cost of a response, in 10^-18 dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Priced {
    pub(crate) amount: i128,
    pub(crate) list: i128,
    pub(crate) without_cache: i128,
}

impl PriceList {
    pub(crate) fn new(digest: &str, rows: &[PriceRow]) -> Self {
        let mut list = Self { digest: digest.to_owned(), names: HashMap::new() };
        for row in rows {
            let periods = &mut list.names.entry(row.name.clone()).or_default().periods;
            let place = match periods.binary_search_by_key(&row.from, |period| period.from) {
                Ok(place) => place,
                Err(place) => {
                    periods.insert(place, Period { from: row.from, to: row.to, lines: Vec::new() });
                    place
                }
            };
            periods[place].lines.push(PriceLine::new(row));
        }
        list
    }

    /// Returns the digest of its catalog.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns what a response costs: its tokens are those with a price, or those without.
    #[must_use]
    pub fn cost(&self, row: &ResponseUsage) -> Cost {
        let tokens = row.counts.total();
        match self.price(row) {
            Ok(priced) => priced.cost(tokens),
            Err(_) => Cost { unpriced_tokens: tokens, ..Cost::default() },
        }
    }

    /// Returns the prices of a model.
    pub(crate) fn named(&self, model: &str) -> Option<&NamedPrices> {
        price_names(model).find_map(|name| self.names.get(&*name))
    }

    /// Returns the prices of a request.
    pub(crate) fn line(&self, request: &PriceRequest<'_>) -> Result<&PriceLine, Unpriced> {
        if request.model.is_empty() {
            return Err(Unpriced::NoModel);
        }
        let named = self.named(request.model).ok_or(Unpriced::UnknownModel)?;
        let valid =
            |period: &&Period| period.from <= request.time && period.to.is_none_or(|to| request.time < to);
        named.periods.iter().find(valid).ok_or(Unpriced::Date)?.line(request)
    }

    /// Returns what a response costs. One of nothing costs 0.
    pub(crate) fn price(&self, row: &ResponseUsage) -> Result<Priced, Unpriced> {
        if row.counts.is_zero() && row.web_search_requests.unwrap_or(0) == 0 {
            return Ok(Priced::default());
        }
        self.line(&PriceRequest::new(row))?.price(quantities(row))
    }
}

impl Period {
    fn line(&self, request: &PriceRequest<'_>) -> Result<&PriceLine, Unpriced> {
        let speed = request.speed.ok_or(Unpriced::Speed)?;
        let of_mode = |processing| {
            self.lines.iter().filter(move |line| (line.speed, line.processing) == (speed, processing))
        };
        let Some(processing) = request.processing.filter(|mode| of_mode(*mode).next().is_some()) else {
            let has_standard = of_mode(Processing::Standard).next().is_some();
            return Err(if has_standard { Unpriced::ServiceTier } else { Unpriced::Speed });
        };
        let geography = self.geography(request.geography)?;
        let reached =
            |line: &&PriceLine| line.geography == geography && (line.above == 0 || line.above < request.size);
        let line = of_mode(processing).filter(reached).max_by_key(|line| line.above);
        let line = line.ok_or(Unpriced::ServiceTier)?;
        if request.is_sum && line.above > 0 { Err(Unpriced::RequestSize) } else { Ok(line) }
    }

    /// Returns the geography whose prices a response has that reports this one.
    fn geography<'a>(&self, reported: &'a str) -> Result<&'a str, Unpriced> {
        if self.lines.iter().any(|line| line.geography == reported) {
            Ok(reported)
        } else if UNRESTRICTED_GEOGRAPHIES.contains(&reported) {
            Ok("")
        } else {
            Err(Unpriced::Geography)
        }
    }
}

impl PriceLine {
    fn new(row: &PriceRow) -> Self {
        Self {
            speed: row.speed,
            processing: row.processing,
            above: row.above,
            geography: row.geography.clone(),
            prices: PriceKind::ALL.map(|kind| row.price(kind)),
            discount: row.discount,
        }
    }

    /// Returns the prices as if there were no cache: that of input for all input that has a price.
    pub(crate) fn without_cache(&self) -> [Option<u64>; 6] {
        let [input, output, cached @ .., searches] = self.prices;
        let [read, short, long] = cached.map(|price| price.and(input).or(price));
        [input, output, read, short, long, searches]
    }

    fn price(&self, quantities: [u64; 6]) -> Result<Priced, Unpriced> {
        for (kind, (quantity, price)) in
            PriceKind::ALL.into_iter().zip(quantities.into_iter().zip(self.prices))
        {
            if quantity > 0 && price.is_none() {
                let is_search = kind == PriceKind::WebSearch;
                return Err(if is_search { Unpriced::WebSearch } else { Unpriced::TokenKind });
            }
        }
        let list = sum(quantities, self.prices).ok_or(Unpriced::TooLarge)?;
        // Each price is a multiple of 1,000.
        let amount = list / 1_000 * i128::from(1_000 - self.discount.min(1_000));
        let without_cache = sum(quantities, self.without_cache()).unwrap_or(i128::MAX);
        Ok(Priced { amount, list, without_cache })
    }
}

impl<'a> PriceRequest<'a> {
    fn new(row: &'a ResponseUsage) -> Self {
        fn text<T: AsRef<str>>(value: Option<&T>) -> &str {
            value.map_or("", AsRef::as_ref)
        }
        let counts = row.counts;
        Self {
            model: text(row.model.as_ref()),
            time: row.time,
            speed: Speed::reported(text(row.attribution.speed.as_ref())),
            processing: Processing::reported(text(row.service_tier.as_ref())),
            geography: text(row.attribution.inference_geo.as_ref()),
            size: counts.input.saturating_add(counts.cache_creation).saturating_add(counts.cache_read),
            is_sum: row.origin == Origin::Summed,
        }
    }
}

impl Priced {
    /// Returns the cost of one response with these tokens.
    pub(crate) fn cost(self, tokens: u64) -> Cost {
        let [amount, list, without_cache] =
            [self.amount, self.list, self.without_cache].map(Money::from_attodollars);
        Cost { amount, list, without_cache, priced_tokens: tokens, unpriced_tokens: 0 }
    }
}

/// Returns the quantities in the order of [`PriceKind::ALL`].
fn quantities(row: &ResponseUsage) -> [u64; 6] {
    let counts = row.counts;
    let hour = row.cache_creation_1h.min(counts.cache_creation);
    let searches = row.web_search_requests.unwrap_or(0);
    [counts.input, counts.output, counts.cache_read, counts.cache_creation - hour, hour, searches]
}

fn sum(quantities: [u64; 6], prices: [Option<u64>; 6]) -> Option<i128> {
    let parts = quantities.into_iter().zip(prices);
    parts
        .map(|(quantity, price)| i128::from(quantity).checked_mul(i128::from(price.unwrap_or(0))))
        .try_fold(0_i128, |sum, part| sum.checked_add(part?))
}
