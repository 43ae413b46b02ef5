//! The price of one response, with its parts.

use bridge_core::{Origin, UNRESTRICTED_GEOGRAPHIES};
use serde::Serialize;

use crate::{Entry, Factor, Money, Percent, Price, PriceKind, Processing, Rates, Speed, Unpriced, Usage};

/// One line of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is for.
    pub kind: PriceKind,
    /// Tokens, or web searches.
    pub quantity: u64,
    /// The list price of a million tokens, or of a thousand web searches.
    pub price: Price,
    /// The amount at list prices, with the factor of the geography.
    pub list: Money,
    /// The amount after the discount.
    pub amount: Money,
}

/// The exact price of a response, with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bill<'a> {
    /// The entry with the prices; `None` for an empty response, which costs 0 whatever its model.
    pub entry: Option<&'a Entry>,
    /// The speed.
    pub speed: Speed,
    /// The processing.
    pub processing: Processing,
    /// The input tokens above which the prices apply; 0 below the first limit.
    pub above: u64,
    /// The geography's factor on the prices of tokens.
    pub geography: Factor,
    /// The discount.
    pub discount: Option<Percent>,
    /// One line per kind with a nonzero quantity.
    pub parts: Vec<Part>,
    /// The sum at list prices.
    pub list: Money,
    /// The sum after the discount: what the response costs.
    pub amount: Money,
}

impl<'a> Bill<'a> {
    /// Returns the bill of an empty response.
    pub(crate) fn empty() -> Self {
        Self {
            entry: None,
            speed: Speed::Standard,
            processing: Processing::Standard,
            above: 0,
            geography: Factor::ONE,
            discount: None,
            parts: Vec::new(),
            list: Money::ZERO,
            amount: Money::ZERO,
        }
    }

    /// Returns the bill of a response by the prices of this entry.
    pub(crate) fn new(entry: &'a Entry, usage: &Usage<'_>) -> Result<Self, Unpriced> {
        let (speed, processing) = mode_of(entry, usage)?;
        let geography = geography(entry, usage.inference_geo.unwrap_or_default())?;
        let rates = rates(entry, speed, processing, usage)?;
        let mut parts = Vec::with_capacity(5);
        let quantities = quantities(usage).into_iter().filter(|(_, quantity)| *quantity > 0);
        let price = |(kind, quantity)| match kind {
            // A million of 10^-12 dollars, a thousand of 10^-9.
            PriceKind::WebSearch => {
                Ok((kind, quantity, entry.web_search.ok_or(Unpriced::WebSearch)?, 1_000_000_000))
            }
            _ => {
                let price = rates.price(kind).ok_or(Unpriced::TokenKind)?;
                Ok((kind, quantity, price, 1_000 * u64::from(geography.thousandths())))
            }
        };
        // A price that is missing is the reason even if another part is too large.
        for (kind, quantity, price, unit) in quantities.map(price).collect::<Result<Vec<_>, _>>()? {
            parts.push(part(kind, quantity, price, unit, entry.discount).ok_or(Unpriced::TooLarge)?);
        }
        let sum = |amount: fn(&Part) -> Money| {
            Money::checked_sum(parts.iter().map(amount)).ok_or(Unpriced::TooLarge)
        };
        let (list, amount) = (sum(|part| part.list)?, sum(|part| part.amount)?);
        let (above, discount) = (rates.above, entry.discount);
        Ok(Self { entry: Some(entry), speed, processing, above, geography, discount, parts, list, amount })
    }
}

impl Bill<'_> {
    /// Returns the list price if tokens that were read from the cache or written to it had cost as much as other
    /// input, at most the greatest amount. Without a price of other input it is the list price.
    #[must_use]
    pub fn without_cache(&self) -> Money {
        let rates = self.entry.and_then(|entry| {
            entry.mode(self.speed, self.processing).find(|rates| rates.above == self.above)
        });
        let input = rates.and_then(|rates| rates.input);
        let unit = 1_000 * u64::from(self.geography.thousandths());
        let amount = |part: &Part| match (part.kind, input) {
            (PriceKind::CacheRead | PriceKind::CacheWrite5m | PriceKind::CacheWrite1h, Some(price)) => {
                let list = crate::bill::part(part.kind, part.quantity, price, unit, None);
                list.map_or(Money::from_attodollars(i128::MAX), |part| part.list)
            }
            _ => part.list,
        };
        self.parts.iter().map(amount).fold(Money::ZERO, Money::saturating_add)
    }
}

fn mode_of(entry: &Entry, usage: &Usage<'_>) -> Result<(Speed, Processing), Unpriced> {
    let speed = Speed::reported(usage.speed.unwrap_or_default()).ok_or(Unpriced::Speed)?;
    let has = |processing: &Processing| entry.mode(speed, *processing).next().is_some();
    match Processing::reported(usage.service_tier.unwrap_or_default()).filter(has) {
        Some(processing) => Ok((speed, processing)),
        None if has(&Processing::Standard) => Err(Unpriced::ServiceTier),
        None => Err(Unpriced::Speed),
    }
}

fn geography(entry: &Entry, name: &str) -> Result<Factor, Unpriced> {
    let factor = entry.geographies.get(name).copied();
    let unrestricted = UNRESTRICTED_GEOGRAPHIES.contains(&name).then_some(Factor::ONE);
    factor.or(unrestricted).ok_or(Unpriced::Geography)
}

/// Returns the rates of the largest size that the request exceeds. A sum of requests that exceeds a limit leaves open
/// which of them did.
fn rates<'a>(
    entry: &'a Entry,
    speed: Speed,
    processing: Processing,
    usage: &Usage<'_>,
) -> Result<&'a Rates, Unpriced> {
    let reached = |rates: &&Rates| rates.above == 0 || rates.above < usage.size();
    let rates = entry.mode(speed, processing).filter(reached).max_by_key(|rates| rates.above);
    let rates = rates.ok_or(Unpriced::ServiceTier)?;
    if usage.origin == Origin::Summed && rates.above > 0 { Err(Unpriced::RequestSize) } else { Ok(rates) }
}

fn quantities(usage: &Usage<'_>) -> [(PriceKind, u64); 6] {
    let hour = usage.cache_creation_1h.min(usage.cache_creation);
    [
        (PriceKind::Input, usage.input),
        (PriceKind::Output, usage.output),
        (PriceKind::CacheRead, usage.cache_read),
        (PriceKind::CacheWrite5m, usage.cache_creation - hour),
        (PriceKind::CacheWrite1h, hour),
        (PriceKind::WebSearch, usage.web_searches),
    ]
}

/// Returns a part whose unit of quantity costs `price` millionths of a dollar times `unit` 10^-18 dollars.
fn part(kind: PriceKind, quantity: u64, price: Price, unit: u64, discount: Option<Percent>) -> Option<Part> {
    let list = i128::from(quantity).checked_mul(i128::from(price.micros()))?.checked_mul(i128::from(unit))?;
    // Each unit is a multiple of 1,000, so that nothing is lost.
    let amount = list / 1_000 * i128::from(1_000 - discount.map_or(0, Percent::tenths));
    let [list, amount] = [list, amount].map(Money::from_attodollars);
    Some(Part { kind, quantity, price, list, amount })
}
