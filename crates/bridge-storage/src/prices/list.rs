//! A price list in memory, and the price of a response by it.

use std::collections::HashMap;

use bridge_core::{
    Cost, ModelName, ModelProvider, ModelRoute, Money, Origin, PriceRow, ResponseUsage, Timestamp, Unpriced,
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
    pub(crate) lines: Vec<Line>,
}

/// The prices of a mode, size and geography in 10^-18 dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) speed: &'static str,
    pub(crate) processing: &'static str,
    /// The input tokens above which a request has these prices.
    pub(crate) above: u64,
    pub(crate) geography: String,
    /// Of input, output, cache reads, cache writes for five minutes and for an hour, and web searches.
    pub(crate) prices: [Option<u64>; 6],
    /// In thousandths.
    pub(crate) discount: u16,
}

/// The properties of a response that its price depends on, besides the quantities.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) model: &'a str,
    pub(crate) time: Timestamp,
    pub(crate) speed: &'a str,
    pub(crate) service_tier: &'a str,
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
            periods[place].lines.push(Line::new(row));
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

    /// Returns the prices of a model: of that name, or of the canonical one if it is a Claude's in another form of
    /// Anthropic's own API. Names of other services have no price, because theirs may differ.
    pub(crate) fn named(&self, model: &str) -> Option<&NamedPrices> {
        let other_form = || {
            let canonical = ModelName::new(model).ok()?.canonical();
            let is_own =
                canonical.provider == ModelProvider::Anthropic && canonical.route == ModelRoute::Direct;
            is_own.then(|| self.names.get(canonical.name.as_str()))?
        };
        self.names.get(model).or_else(other_form)
    }

    /// Returns the prices of a request.
    pub(crate) fn line(&self, request: &Request<'_>) -> Result<&Line, Unpriced> {
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
        let quantities = quantities(row);
        if row.counts.is_zero() && quantities[5] == 0 {
            return Ok(Priced::default());
        }
        self.line(&Request::of(row))?.price(quantities)
    }
}

impl Period {
    fn line(&self, request: &Request<'_>) -> Result<&Line, Unpriced> {
        let speed = speed(request.speed).ok_or(Unpriced::Speed)?;
        let of_mode = |processing| {
            self.lines.iter().filter(move |line| (line.speed, line.processing) == (speed, processing))
        };
        let processing = processing(request.service_tier);
        let Some(processing) = processing.filter(|mode| of_mode(mode).next().is_some()) else {
            let has_standard = of_mode("standard").next().is_some();
            return Err(if has_standard { Unpriced::ServiceTier } else { Unpriced::Speed });
        };
        let has_place = |place: &str| self.lines.iter().any(|line| line.geography == place);
        let place = match request.geography {
            "global" | "not_available" if !has_place(request.geography) => "",
            place if has_place(place) => place,
            _ => return Err(Unpriced::Geography),
        };
        let reached =
            |line: &&Line| line.geography == place && (line.above == 0 || line.above < request.size);
        let line = of_mode(processing).filter(reached).max_by_key(|line| line.above);
        let line = line.ok_or(Unpriced::ServiceTier)?;
        if request.is_sum && line.above > 0 { Err(Unpriced::RequestSize) } else { Ok(line) }
    }
}

impl Line {
    fn new(row: &PriceRow) -> Self {
        Self {
            speed: row.speed,
            processing: row.processing,
            above: row.above,
            geography: row.geography.clone(),
            prices: [
                row.input,
                row.output,
                row.cache_read,
                row.cache_write_5m,
                row.cache_write_1h,
                row.web_search,
            ],
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
        for (kind, (quantity, price)) in quantities.into_iter().zip(self.prices).enumerate() {
            if quantity > 0 && price.is_none() {
                return Err(if kind == 5 { Unpriced::WebSearch } else { Unpriced::TokenKind });
            }
        }
        let list = sum(quantities, self.prices).ok_or(Unpriced::TooLarge)?;
        // Each price is a multiple of 1,000.
        let amount = list / 1_000 * i128::from(1_000 - self.discount.min(1_000));
        let without_cache = sum(quantities, self.without_cache()).unwrap_or(i128::MAX);
        Ok(Priced { amount, list, without_cache })
    }
}

impl<'a> Request<'a> {
    fn of(row: &'a ResponseUsage) -> Self {
        fn text<T: AsRef<str>>(value: Option<&T>) -> &str {
            value.map_or("", AsRef::as_ref)
        }
        let counts = row.counts;
        Self {
            model: text(row.model.as_ref()),
            time: row.time,
            speed: text(row.attribution.speed.as_ref()),
            service_tier: text(row.service_tier.as_ref()),
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

/// The names of speeds that responses report, with those of price lists.
pub(crate) const SPEEDS: [(&str, &str); 3] = [("", "standard"), ("standard", "standard"), ("fast", "fast")];

/// The names of service tiers that responses report, with those of price lists.
pub(crate) const SERVICE_TIERS: [(&str, &str); 7] = [
    ("", "standard"),
    ("standard", "standard"),
    ("default", "standard"),
    ("batch", "batch"),
    ("priority", "priority"),
    ("fast", "priority"),
    ("flex", "flex"),
];

fn speed(reported: &str) -> Option<&'static str> {
    SPEEDS.into_iter().find(|(name, _)| *name == reported).map(|(_, speed)| speed)
}

fn processing(reported: &str) -> Option<&'static str> {
    SERVICE_TIERS.into_iter().find(|(name, _)| *name == reported).map(|(_, processing)| processing)
}
