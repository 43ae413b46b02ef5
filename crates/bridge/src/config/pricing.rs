//! The user's own prices, names and discounts of a configuration: lists of mappings.

use bridge_core::Timestamp;
use bridge_pricing::{
    Alias, Catalog, Currency, CustomPrice, CustomPrices, Discount, EntryLocation, Factor, Percent, Period,
    Price, Processing, Rates, Speed,
};

use super::BridgeConfig;
use super::error::{ConfigError, ConfigOrigin, ConfigProblem};
use super::form::{Form, RawValue, WrongForm};
use super::node::{Entry, Field, Node, NodeContent};

const PRICES: &str = "pricing.prices";
const ALIASES: &str = "pricing.aliases";
const DISCOUNTS: &str = "pricing.discounts";

const RATES: [&str; 5] = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"];
const PRICE: &str =
    "dollars for a million tokens (for web_search, a thousand searches), like 0.0375, not negative";
const INSTANT: &str = "a date like 2026-11-01 (its first instant, UTC) or a time like 2026-11-01T12:00:00Z";

/// A list of entries of one kind.
pub(super) struct EntryList<T> {
    key: &'static str,
    allowed: &'static str,
    read: fn(&mut Entry<'_>, EntryLocation) -> Option<T>,
    fields: &'static [&'static str],
    location: fn(&T) -> &EntryLocation,
}

pub(super) const PRICE_LIST: EntryList<CustomPrice> = EntryList {
    key: PRICES,
    allowed: "a list of prices like {model: own, provider: us, input: 3, output: 15, from: 2026-11-01}",
    read: price,
    fields: &[
        "model",
        "provider",
        "from",
        "to",
        "currency",
        "input",
        "output",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
        "web_search",
        "geographies",
        "modes",
    ],
    location: |price| &price.location,
};

pub(super) const ALIAS_LIST: EntryList<Alias> = EntryList {
    key: ALIASES,
    allowed: "a list of names like {name: gateway/opus, model: claude-opus-4-6}",
    read: alias,
    fields: &["name", "model", "from", "to"],
    location: |alias| &alias.location,
};

pub(super) const DISCOUNT_LIST: EntryList<Discount> = EntryList {
    key: DISCOUNTS,
    allowed: "a list of discounts like {provider: anthropic, percent: 12.5, from: 2026-11-01}",
    read: discount,
    fields: &["provider", "model", "percent", "from", "to"],
    location: |discount| &discount.location,
};

/// Returns what is wrong with each price.
pub(super) fn price_problems(nodes: &[Node]) -> Vec<ConfigProblem> {
    PRICE_LIST.entries(nodes).err().unwrap_or_default()
}

/// Returns what is wrong with each name.
pub(super) fn alias_problems(nodes: &[Node]) -> Vec<ConfigProblem> {
    ALIAS_LIST.entries(nodes).err().unwrap_or_default()
}

/// Returns what is wrong with each discount.
pub(super) fn discount_problems(nodes: &[Node]) -> Vec<ConfigProblem> {
    DISCOUNT_LIST.entries(nodes).err().unwrap_or_default()
}

impl<T> EntryList<T> {
    fn entries(&self, nodes: &[Node]) -> Result<Vec<T>, Vec<ConfigProblem>> {
        let (mut entries, mut problems) = (Vec::new(), Vec::new());
        for (number, node) in nodes.iter().enumerate() {
            let mut entry = Entry::new(self.key, number, node, self.fields);
            let line = match entry.origin() {
                ConfigOrigin::Line { line, .. } => u64::try_from(*line).ok(),
                _ => None,
            };
            let location = EntryLocation { name: format!("{}[{number}]", self.key), line };
            entries.extend((self.read)(&mut entry, location));
            problems.append(&mut entry.problems);
        }
        if problems.is_empty() { Ok(entries) } else { Err(problems) }
    }
}

impl<T> Form<Vec<T>> for EntryList<T> {
    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Vec<T>, WrongForm> {
        match raw {
            RawValue::Nodes(nodes) => self.entries(nodes).map_err(|_| WrongForm),
            _ => Err(WrongForm),
        }
    }

    fn write(&self, value: &Vec<T>) -> String {
        let names: Vec<_> = value.iter().map(|entry| (self.location)(entry).name.clone()).collect();
        format!("[{}]", names.join(", "))
    }
}

fn price(entry: &mut Entry<'_>, location: EntryLocation) -> Option<CustomPrice> {
    ["model", "input", "output"].into_iter().for_each(|field| entry.require(field));
    let model = name(entry, "model");
    let provider = name(entry, "provider");
    let currency = entry.read("currency", "USD", |text| text.parse::<Currency>().ok());
    let web_search = entry.read("web_search", PRICE, |text| text.parse::<Price>().ok());
    let mut rates = vec![rates(entry)];
    if let Some(field) = entry.get("modes") {
        rates.extend(modes(entry, field));
    }
    let geographies = entry.get("geographies").map(|field| factors(entry, field)).unwrap_or_default();
    Some(CustomPrice {
        location,
        provider,
        period: period(entry),
        model: model?,
        currency: currency.unwrap_or_default(),
        rates,
        web_search,
        geographies,
    })
}

/// Reads the prices of one mode and size.
fn rates(entry: &mut Entry<'_>) -> Rates {
    let [input, output, cache_read, cache_write_5m, cache_write_1h] =
        RATES.map(|kind| entry.read(kind, PRICE, |text| text.parse::<Price>().ok()));
    Rates { input, output, cache_read, cache_write_5m, cache_write_1h, ..Rates::default() }
}

/// Reads the prices of further modes: `[{speed: fast, input: 6, output: 30}, {above: 200000, input: …}]`.
fn modes(entry: &mut Entry<'_>, field: &Field) -> Vec<Rates> {
    let NodeContent::List(nodes) = &field.value.content else {
        let message = "must be a list of prices like {processing: batch, input: 1.5, output: 7.5}".to_owned();
        entry.report(&field.value.origin, "modes", message);
        return Vec::new();
    };
    let allowed = [&["speed", "processing", "above"], &RATES[..]].concat();
    let mut all = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let mut mode = Entry::new(&format!("{}.modes", entry.name()), number, node, &allowed);
        let speeds = Speed::ALL.map(|speed| (speed.name(), speed));
        let speed = mode.read("speed", "standard or fast", |text| named(&speeds, text));
        let processings = Processing::ALL.map(|processing| (processing.name(), processing));
        let processing =
            mode.read("processing", "standard, batch, priority or flex", |text| named(&processings, text));
        let above = mode.read("above", "a whole number of input tokens", |text| text.parse::<u64>().ok());
        all.push(Rates {
            speed: speed.unwrap_or_default(),
            processing: processing.unwrap_or_default(),
            above: above.unwrap_or_default(),
            ..rates(&mut mode)
        });
        entry.problems.append(&mut mode.problems);
    }
    all
}

fn named<T: Copy>(names: &[(&str, T)], text: &str) -> Option<T> {
    names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

/// Reads the factors of geographies: `{us: 1.1}`.
fn factors(entry: &mut Entry<'_>, field: &Field) -> Vec<(String, Factor)> {
    let NodeContent::Mapping(fields) = &field.value.content else {
        let message = "must be geographies with their factors, like {us: 1.1}".to_owned();
        entry.report(&field.value.origin, "geographies", message);
        return Vec::new();
    };
    let mut factors = Vec::new();
    for Field { name, value, .. } in fields {
        let factor = match &value.content {
            NodeContent::Text(text) => text.parse::<Factor>().ok(),
            _ => None,
        };
        match factor {
            Some(factor) => factors.push((name.clone(), factor)),
            None => {
                let message = "must be a factor from 0 to 100, like 1.1".to_owned();
                entry.report(&value.origin, &format!("geographies.{name}"), message);
            }
        }
    }
    factors
}

fn alias(entry: &mut Entry<'_>, location: EntryLocation) -> Option<Alias> {
    ["name", "model"].into_iter().for_each(|field| entry.require(field));
    let (own, model) = (name(entry, "name"), name(entry, "model"));
    Some(Alias { location, period: period(entry), name: own?, model: model? })
}

fn discount(entry: &mut Entry<'_>, location: EntryLocation) -> Option<Discount> {
    entry.require("percent");
    let percent = entry.read("percent", "a percentage from 0 to 100, like 12.5", |text| {
        text.strip_suffix('%').unwrap_or(text).parse::<Percent>().ok()
    });
    let (provider, model) = (name(entry, "provider"), name(entry, "model"));
    Some(Discount { location, provider, model, period: period(entry), percent: percent? })
}

fn name(entry: &mut Entry<'_>, field: &str) -> Option<String> {
    entry.read(field, "a name", |text| (!text.is_empty()).then(|| text.to_owned()))
}

fn period(entry: &mut Entry<'_>) -> Period {
    let instant = |text: &str| {
        let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        whole.parse::<Timestamp>().ok()
    };
    let [from, to] = ["from", "to"].map(|field| entry.read(field, INSTANT, instant));
    Period { from, to }
}

/// `pricing`: what responses cost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PricingConfig {
    /// True if a built bridge puts its price list in use: the shipped prices and the entries below.
    pub enabled: bool,
    /// Own prices, in the place of shipped ones.
    pub prices: Vec<CustomPrice>,
    /// Own names of models.
    pub aliases: Vec<Alias>,
    /// Discounts, on own prices too.
    pub discounts: Vec<Discount>,
}

impl Default for PricingConfig {
    fn default() -> Self {
        Self { enabled: true, prices: Vec::new(), aliases: Vec::new(), discounts: Vec::new() }
    }
}

impl PricingConfig {
    /// Returns the entries as they go on top of a catalog.
    #[must_use]
    pub fn custom(&self) -> CustomPrices {
        let (prices, aliases, discounts) =
            (self.prices.clone(), self.aliases.clone(), self.discounts.clone());
        CustomPrices { prices, aliases, discounts }
    }
}

impl BridgeConfig {
    /// Returns the price list of the configuration: the shipped prices with its own prices, names and discounts on top.
    ///
    /// ```
    /// use bridge::config::BridgeConfig;
    ///
    /// let config = BridgeConfig::from_yaml_str(
    ///     "enhanced_token_bridge:\n  pricing:\n    discounts:\n      - {provider: anthropic, percent: 12.5, from: 2026-11-01}\n",
    /// )?;
    /// assert!(config.catalog()?.entries().len() > bridge::pricing::Catalog::shipped().entries().len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Entries that contradict each other or the shipped prices, each with its line.
    pub fn catalog(&self) -> Result<Catalog, ConfigError> {
        let problem = |problem: bridge_pricing::Problem| {
            let key = problem.location.name.split('[').next().unwrap_or_default().to_owned();
            let line = problem.location.line.and_then(|line| usize::try_from(line).ok());
            let mut found = self.problem(&key, problem.kind.to_string());
            if let (ConfigOrigin::Line { line: of_key, column, .. }, Some(line)) = (&mut found.origin, line) {
                (*of_key, *column) = (line, 1);
            }
            found.key = format!("{}.{}", super::ROOT, problem.location.name);
            found
        };
        let catalog = Catalog::shipped().with(&self.pricing.custom());
        catalog.map_err(|problems| ConfigError::new(problems.into_iter().map(problem).collect()))
    }
}
