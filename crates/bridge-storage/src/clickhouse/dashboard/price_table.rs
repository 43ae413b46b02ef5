//! The prices that the stored responses can have, in the form in which the statement of a dashboard looks them up.
//!
//! A response's code states all that its price depends on besides the quantities: bits of the model's place among the
//! stored ones, of the last instant at which any price of them began or ended, of the speed, the service tier, the
//! geography and the size. The reasons are decided in [`PriceList`] alone: the table lists the codes that have
//! a price, and the code of a response without one is turned back into its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bridge_core::{Processing, Speed, Timestamp, UNRESTRICTED_GEOGRAPHIES, Unpriced};

use super::statement::SEARCHES_MAX;
use crate::prices::{PriceLine, PriceList, PriceRequest};

pub(super) const MODEL: u32 = 28;
pub(super) const BOUND: u32 = 16;
const SPEED: u32 = 14;
const TIER: u32 = 11;
const PLACE: u32 = 7;
pub(super) const SIZE: u32 = 4;
/// The amount is too large.
pub(super) const TOO_LARGE: u64 = 1;
/// The code is that of responses without a price.
pub(super) const IS_UNPRICED: u64 = 1 << 44;
/// A counter is so large that narrow sums may have wrapped.
pub(super) const IS_LARGE_ROW: u64 = 1 << 45;
/// The first of the bits that say what was found: [`KNOWN`] and the kinds of quantities that lack a price.
pub(super) const FOUND: u32 = 48;
/// The code has a line of prices.
pub(super) const KNOWN: u64 = 1;
/// The kind of web searches, after those of tokens.
const SEARCHES: usize = 5;
/// The kind of sums of several requests, which have no price above a limit of size.
const SUM: usize = 6;

/// The place of models that the table does not know, because their first response came after it was made.
pub(super) const NEW_MODEL: u64 = 0xffff;
const UNKNOWN_SPEED: u64 = 3;
const UNKNOWN_TIER: u64 = 7;
const UNKNOWN_PLACE: u64 = 15;

/// The bits of a narrow price: two are looked up at once.
pub(super) const PRICE_BITS: u32 = 32;

#[derive(Debug)]
pub(crate) struct PriceTable {
    list: Arc<PriceList>,
    pub(super) models: Vec<String>,
    /// The instants from which on prices may differ, the first before all times.
    pub(super) bounds: Vec<i64>,
    /// The geographies with prices of their own; the first is none.
    pub(super) places: Vec<String>,
    /// The sizes above which prices differ.
    pub(super) sizes: Vec<u64>,
    /// Codes of a model and a bound, with the period that they lie in, from 1.
    pub(super) periods: BTreeMap<u64, u64>,
    /// Codes of a period and a mode, with the line of their prices, from 1.
    pub(super) codes: BTreeMap<u64, u64>,
    pub(super) lines: Vec<PriceLine>,
    /// All prices are multiples of this many 10^-18 dollars.
    pub(super) unit: u64,
}

impl PriceTable {
    /// Returns the table of these models; `None` if there are more models, bounds or geographies than the codes have room
    /// for.
    pub(crate) fn new(list: Arc<PriceList>, models: Vec<String>) -> Option<Self> {
        let named = || models.iter().filter_map(|model| list.named(model));
        let periods = || named().flat_map(|named| &named.periods);
        let lines = || periods().flat_map(|period| &period.lines);
        let changes = periods().flat_map(|period| [Some(period.from), period.to]).flatten();
        let bounds: BTreeSet<i64> =
            changes.chain([Timestamp::MIN]).map(|change| change.as_millis()).collect();
        let places: BTreeSet<&str> = lines().map(|line| &*line.geography).chain([""]).collect();
        let sizes: BTreeSet<u64> = lines().map(|line| line.above).filter(|above| *above > 0).collect();
        let mut table = Self {
            bounds: bounds.into_iter().collect(),
            places: places.into_iter().map(str::to_owned).collect(),
            sizes: sizes.into_iter().collect(),
            periods: BTreeMap::new(),
            codes: BTreeMap::new(),
            lines: Vec::new(),
            unit: 1,
            models: Vec::new(),
            list: Arc::clone(&list),
        };
        let has_room = models.len() < 0xffff
            && table.bounds.len() < 1 << 12
            && table.places.len() < 15
            && table.sizes.len() < 1 << 3;
        if !has_room {
            return None;
        }
        table.models = models;
        table.add_periods();
        table.unit = table.prices().fold(0, greatest_divisor).max(1);
        Some(table)
    }

    pub(crate) fn digest(&self) -> &str {
        &self.list.digest
    }

    fn add_periods(&mut self) {
        let list = Arc::clone(&self.list);
        let mut starts = BTreeMap::new();
        for (model, name) in self.models.clone().iter().enumerate() {
            let Some(named) = list.named(name) else { continue };
            for period in &named.periods {
                let from = period.from.as_millis();
                let to = period.to.map_or(i64::MAX, Timestamp::as_millis);
                let next = starts.len() as u64 + 1;
                // Names of one entry have one period.
                let number = *starts.entry((std::ptr::from_ref(named) as usize, from)).or_insert(next);
                for (bound, start) in self.bounds.iter().enumerate() {
                    if (from..to).contains(start) {
                        let code = (model as u64) << MODEL | (bound as u64) << BOUND;
                        self.periods.insert(code, number << BOUND);
                    }
                }
                if number == next {
                    self.add_codes(&list, name, period.from, number);
                }
            }
        }
    }

    /// Adds the lines of one period, in each mode.
    fn add_codes(&mut self, list: &PriceList, model: &str, time: Timestamp, period: u64) {
        let sizes: Vec<u64> = [0].into_iter().chain(self.sizes.iter().map(|above| above + 1)).collect();
        for (speed_bits, speed) in (0_u64..).zip(Speed::ALL) {
            for (tier_bits, processing) in (0_u64..).zip(Processing::ALL) {
                for (place, geography) in self.places.clone().iter().enumerate() {
                    for (class, size) in sizes.iter().enumerate() {
                        let request = PriceRequest {
                            model,
                            time,
                            speed: Some(speed),
                            processing: Some(processing),
                            geography,
                            size: *size,
                            is_sum: false,
                        };
                        let Ok(line) = list.line(&request) else { continue };
                        let number = self.number_of(line);
                        let mode = speed_bits << SPEED | tier_bits << TIER | (place as u64) << PLACE;
                        self.codes.insert(period << BOUND | mode | (class as u64) << SIZE, number);
                    }
                }
            }
        }
    }

    fn number_of(&mut self, line: &PriceLine) -> u64 {
        let same = |other: &PriceLine| {
            (other.prices, other.discount, other.above > 0) == (line.prices, line.discount, line.above > 0)
        };
        let place = self.lines.iter().position(same).unwrap_or_else(|| {
            self.lines.push(line.clone());
            self.lines.len() - 1
        });
        place as u64 + 1
    }

    fn prices(&self) -> impl Iterator<Item = u64> {
        let discounted = |line: &PriceLine| {
            let discount = line.discount;
            line.prices.map(|price| price.map(|price| discounted(price, discount)))
        };
        self.lines.iter().flat_map(move |line| line.prices.into_iter().chain(discounted(line))).flatten()
    }

    /// Returns the bit that says that a kind has no price.
    pub(super) fn flag(kind: usize) -> u64 {
        KNOWN << (kind + 1)
    }

    /// Returns [`KNOWN`] and the flags of the kinds that a line has no price for.
    pub(super) fn flags(line: &PriceLine) -> u64 {
        let lacking = (0..).zip(line.prices).filter(|(_, price)| price.is_none()).map(|(kind, _)| kind);
        let sum = (line.above > 0).then_some(SUM);
        lacking.chain(sum).map(Self::flag).fold(KNOWN, |all, flag| all | flag)
    }

    /// Returns whether all prices are narrow.
    pub(super) fn is_narrow(&self) -> bool {
        self.prices().all(|price| price / self.unit < 1 << PRICE_BITS)
    }

    /// Returns whether the amounts of this number of responses and tokens, none of them with large counters, may exceed
    /// 64 bits.
    pub(super) fn may_wrap(&self, responses: u64, tokens: u64) -> bool {
        let most = |kinds: std::ops::Range<usize>| {
            let prices = self.lines.iter().flat_map(|line| &line.prices[kinds.clone()]).flatten();
            u128::from(prices.max().copied().unwrap_or_default() / self.unit)
        };
        let searches = u128::from(responses) * u128::from(SEARCHES_MAX);
        let of_tokens = u128::from(tokens).saturating_mul(most(0..SEARCHES));
        let of_searches = searches.saturating_mul(most(SEARCHES..SEARCHES + 1));
        of_tokens.saturating_add(of_searches) > u128::from(u64::MAX)
    }

    /// Returns the values of a column that states the speed, with the bits of each, and those of any other.
    pub(super) fn speeds() -> (Vec<(&'static str, u64)>, u64) {
        let bits = |speed| place(&Speed::ALL, &speed) << SPEED;
        (Speed::REPORTED.map(|(reported, speed)| (reported, bits(speed))).to_vec(), UNKNOWN_SPEED << SPEED)
    }

    /// As [`speeds`](Self::speeds), of the service tier.
    pub(super) fn tiers() -> (Vec<(&'static str, u64)>, u64) {
        let bits = |processing| place(&Processing::ALL, &processing) << TIER;
        let tiers = Processing::REPORTED.map(|(reported, processing)| (reported, bits(processing)));
        (tiers.to_vec(), UNKNOWN_TIER << TIER)
    }

    /// As [`speeds`](Self::speeds), of the geography.
    pub(super) fn geographies(&self) -> (Vec<(&str, u64)>, u64) {
        let mut bits: Vec<_> = (0_u64..).zip(&self.places).map(|(n, place)| (&**place, n << PLACE)).collect();
        for anywhere in UNRESTRICTED_GEOGRAPHIES {
            if !self.places.iter().any(|place| place == anywhere) {
                bits.push((anywhere, 0));
            }
        }
        (bits, UNKNOWN_PLACE << PLACE)
    }

    /// Returns the model of a code, and the reason why such responses have no price.
    pub(super) fn reason(&self, code: u64) -> Option<(&str, Unpriced)> {
        let bits = |low: u32, number: u32| (code >> low) & ((1 << number) - 1);
        let lacks = |kind| code >> FOUND & Self::flag(kind) != 0;
        let model = self.models.get(usize::try_from(bits(MODEL, 16)).ok()?)?;
        let bound = *self.bounds.get(usize::try_from(bits(BOUND, MODEL - BOUND)).ok()?)?;
        let size =
            usize::try_from(bits(SIZE, 3)).ok()?.checked_sub(1).and_then(|class| self.sizes.get(class));
        let place = usize::try_from(bits(PLACE, 4)).ok().and_then(|place| self.places.get(place));
        let request = PriceRequest {
            model,
            time: Timestamp::from_millis(bound).ok()?,
            speed: usize::try_from(bits(SPEED, 2)).ok().and_then(|place| Speed::ALL.get(place)).copied(),
            processing: usize::try_from(bits(TIER, 3))
                .ok()
                .and_then(|place| Processing::ALL.get(place))
                .copied(),
            geography: place.map_or("unknown", String::as_str),
            size: size.map_or(0, |above| above + 1),
            is_sum: lacks(SUM),
        };
        let reason = match self.list.line(&request) {
            Err(reason) => reason,
            Ok(_) if (0..SEARCHES).any(lacks) => Unpriced::TokenKind,
            Ok(_) if lacks(SEARCHES) => Unpriced::WebSearch,
            Ok(_) => Unpriced::TooLarge,
        };
        Some((model, reason))
    }
}

/// Returns the place of a value among all.
fn place<T: PartialEq>(all: &[T], value: &T) -> u64 {
    all.iter().position(|other| other == value).unwrap_or_default() as u64
}

/// Returns a price after a discount in thousandths; each price is a multiple of 1,000.
pub(super) fn discounted(price: u64, discount: u16) -> u64 {
    price / 1_000 * u64::from(1_000 - discount.min(1_000))
}

fn greatest_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}
