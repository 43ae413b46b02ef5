//! A user's own prices, discounts and names, in the form that a configuration fills.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use bridge_core::{Escaped, Timestamp};

use crate::{Catalog, Factor, PartKind, Percent, Price, Problem, ProblemKind, Rates};

/// A user's own prices, discounts and names for models, on top of a [`Catalog`](crate::Catalog).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomPrices {
    /// Prices in the place of those that the catalog has in their periods.
    pub prices: Vec<CustomPrice>,
    /// Names that the catalog does not have.
    pub aliases: Vec<Alias>,
    /// Discounts, on the user's own prices too.
    pub discounts: Vec<Discount>,
}

/// Place of an entry in its source, for messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The entry's name, for example `pricing.prices[2]`.
    pub name: String,
    /// The line, if it is known.
    pub line: Option<u64>,
}

/// From one instant up to another; without either since ever, or without an end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// The first instant.
    pub from: Option<Timestamp>,
    /// The first instant after the period.
    pub to: Option<Timestamp>,
}

/// The currency of prices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Currency {
    /// Dollars of the United States. Exchange rates are not modeled.
    #[default]
    Usd,
}

/// The currency is not one that prices can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the currency of prices must be USD")]
pub struct UnknownCurrency;

/// A model's own prices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomPrice {
    /// The entry.
    pub place: Place,
    /// Who sells the model; needed for one that the catalog does not have.
    pub provider: Option<String>,
    /// Any name of the model. The prices are those of all its names.
    pub model: String,
    /// When they apply.
    pub period: Period,
    /// Their currency.
    pub currency: Currency,
    /// Prices of tokens. Those of the standard mode must have input and output.
    pub rates: Vec<Rates>,
    /// Dollars for a thousand web searches.
    pub web_search: Option<Price>,
    /// Factors by geography.
    pub geographies: Vec<(String, Factor)>,
}

/// A discount on list prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discount {
    /// The entry.
    pub place: Place,
    /// Only on the models of this provider.
    pub provider: Option<String>,
    /// Only on this model, by any of its names.
    pub model: Option<String>,
    /// When it applies.
    pub period: Period,
    /// What it takes off.
    pub percent: Percent,
}

/// Another name of a model: the user's statement that it costs the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alias {
    /// The entry.
    pub place: Place,
    /// The name, which the catalog does not have.
    pub name: String,
    /// Any name of the model whose prices it has.
    pub model: String,
    /// When they apply.
    pub period: Period,
}

impl CustomPrices {
    /// Returns a warning for each entry whose model none of these responses' models is, by any name of it. `catalog` is the one
    /// [with](Catalog::with) these entries.
    #[must_use]
    pub fn unused(&self, catalog: &Catalog, models: &BTreeSet<&str>) -> Vec<Problem> {
        let is_priced = |model: &str| {
            let own = catalog.own_name(model).unwrap_or(model);
            models.iter().any(|name| catalog.is_priced_as(name, own))
        };
        let is_named = |alias: &str| models.iter().any(|name| catalog.own_name(name) == Some(alias));
        let prices = self.prices.iter().map(|price| (&price.place, &price.model));
        let discounts =
            self.discounts.iter().filter_map(|discount| Some((&discount.place, discount.model.as_ref()?)));
        let aliases = self.aliases.iter().map(|alias| (&alias.place, &alias.name));
        let unused = (prices.filter(|(_, model)| !is_priced(model)))
            .chain(aliases.filter(|(_, name)| !is_named(name)))
            .chain(discounts.filter(|(_, model)| !is_priced(model)));
        let problem = |(place, model): (&Place, &String)| Problem {
            place: place.clone(),
            kind: ProblemKind::Unused(Escaped::text(model).to_string()),
        };
        unused.map(problem).collect()
    }

    /// Returns a warning for each own price that lacks what the prices in its place have: responses with it have no price.
    /// `catalog` is the one without these entries.
    #[must_use]
    pub fn lacking(&self, catalog: &Catalog) -> Vec<Problem> {
        let problem = |price: &CustomPrice| {
            let model = catalog.own_name(&price.model).unwrap_or(&price.model);
            let replaced = catalog.entries().iter().filter(|entry| {
                entry.period().and(&price.period).is_some() && entry.names().any(|name| name == model)
            });
            let known: BTreeSet<_> =
                replaced.flat_map(|entry| kinds(&entry.rates, entry.web_search)).collect();
            let own: BTreeSet<_> = kinds(&price.rates, price.web_search).collect();
            let lacking: Vec<_> = known.difference(&own).map(|kind| kind.name()).collect();
            let kind = ProblemKind::Lacking(lacking.join(", "));
            (!lacking.is_empty()).then(|| Problem { place: price.place.clone(), kind })
        };
        self.prices.iter().filter_map(problem).collect()
    }
}

/// Returns what has a price in the standard mode.
fn kinds(rates: &[Rates], web_search: Option<Price>) -> impl Iterator<Item = PartKind> {
    let standard = rates.iter().find(|rates| rates.is_standard());
    PartKind::ALL.into_iter().filter(move |kind| match kind {
        PartKind::WebSearch => web_search.is_some(),
        kind => standard.is_some_and(|rates| rates.price(*kind).is_some()),
    })
}

impl Place {
    /// Returns the place of an entry whose line is unknown.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), line: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} (line {line})", Escaped::text(&self.name)),
            None => write!(f, "{}", Escaped::text(&self.name)),
        }
    }
}

impl Period {
    /// Returns the first instant; the first possible one without a beginning.
    pub(crate) fn start(&self) -> Timestamp {
        self.from.unwrap_or(Timestamp::MIN)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.to.is_some_and(|to| to <= self.start())
    }

    /// Returns what both have in common, if there is anything.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        let from = self.from.max(other.from);
        let to = [self.to, other.to].into_iter().flatten().min();
        let common = Self { from, to };
        (!common.is_empty()).then_some(common)
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        if text == "USD" { Ok(Self::Usd) } else { Err(UnknownCurrency) }
    }
}
