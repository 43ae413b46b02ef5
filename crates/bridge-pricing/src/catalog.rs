//! All prices, and the lookup of the one that a response has.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use bridge_core::{ModelName, ModelProvider, ModelRoute, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Bill, CatalogDigest, Entry, Problem, Unpriced, Usage, problem};

static SHIPPED: LazyLock<Catalog> = LazyLock::new(|| {
    include_str!("../data/catalog.jsonl").parse().expect("a test parses the shipped catalog")
});

/// Dated prices of models.
///
/// As text it is a line of JSON about the file, and one for each [`Entry`].
#[derive(Debug, Clone)]
pub struct Catalog {
    header: Header,
    entries: Vec<Entry>,
    /// Places of the entries of each name, by time.
    names: HashMap<String, Vec<usize>>,
    digest: CatalogDigest,
}

/// The first line of a catalog's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: u32,
    currency: String,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// A text is not a catalog.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A line is not what it must be.
    #[error("line {line} of the price catalog is invalid")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The error.
        source: serde_json::Error,
    },
    /// The first line states another format or currency, or there is none.
    #[error("the price catalog must begin with a line that states format 1 and the currency USD")]
    Header,
    /// Entries that are invalid or contradict each other.
    #[error("the price catalog is invalid: {}", problem::list(.0))]
    Entries(Vec<Problem>),
}

impl Catalog {
    /// Returns the shipped list prices. They are parsed once, when they are needed first.
    #[must_use]
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Returns a catalog of these entries, in a fixed order.
    ///
    /// # Errors
    ///
    /// Entries that are invalid, or of one name at the same time: all of them.
    pub fn new(entries: Vec<Entry>) -> Result<Self, Vec<Problem>> {
        let header = Header { format: 1, currency: "USD".to_owned(), rest: BTreeMap::new() };
        Self::with_header(header, entries)
    }

    fn with_header(header: Header, mut entries: Vec<Entry>) -> Result<Self, Vec<Problem>> {
        entries.sort_by(|a, b| (&a.provider, &a.model, a.from).cmp(&(&b.provider, &b.model, b.from)));
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, entry) in entries.iter().enumerate() {
            for name in entry.names() {
                names.entry(name.to_owned()).or_default().push(place);
            }
        }
        names.values_mut().for_each(|places| places.sort_by_key(|place| entries[*place].from));
        let problems = problem::of_entries(&entries, &names);
        if !problems.is_empty() {
            return Err(problems);
        }
        let digest = CatalogDigest::of(&lines(&entries));
        Ok(Self { header, entries, names, digest })
    }

    /// Returns the entries, by provider, model and time.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the digest of the entries.
    #[must_use]
    pub fn digest(&self) -> CatalogDigest {
        self.digest
    }

    /// Returns the entry of a model, by any of its names, at an instant.
    ///
    /// # Errors
    ///
    /// [`Unpriced::UnknownModel`] or [`Unpriced::Date`].
    pub fn entry(&self, model: &str, time: Timestamp) -> Result<&Entry, Unpriced> {
        let places = self.places(model).ok_or(Unpriced::UnknownModel)?;
        let after = places.partition_point(|place| self.entries[*place].from <= time);
        let entry = after.checked_sub(1).map(|last| &self.entries[places[last]]);
        entry.filter(|entry| entry.is_valid_at(time)).ok_or(Unpriced::Date)
    }

    /// Returns the places of a name's entries.
    fn places(&self, name: &str) -> Option<&Vec<usize>> {
        self.found(name).map(|(_, places)| places)
    }

    /// Returns the name in the catalog by which a model's name is found, and its places. A name of a Claude in another form of
    /// Anthropic's own API (with a date, with the width of the context) is that model's; names of other services are not,
    /// because their prices may differ.
    fn found(&self, name: &str) -> Option<(&String, &Vec<usize>)> {
        let by_other_form = || self.names.get_key_value(&other_form(name)?);
        self.names.get_key_value(name).or_else(by_other_form)
    }

    /// Returns the catalog's name of a model.
    pub(crate) fn own_name(&self, name: &str) -> Option<&str> {
        self.found(name).map(|(own, _)| &**own)
    }

    /// Returns whether a model's name has the prices of this model, by any name of it, at some time.
    pub(crate) fn is_priced_as(&self, name: &str, model: &str) -> bool {
        let mut entries = self.places(name).into_iter().flatten().map(|place| &self.entries[*place]);
        entries.any(|entry| entry.names().any(|own| own == model))
    }

    /// Returns what a response costs, exactly. An empty response costs 0.
    ///
    /// # Errors
    ///
    /// The reason why it has no price.
    pub fn price(&self, usage: &Usage<'_>) -> Result<Bill<'_>, Unpriced> {
        if usage.tokens() == 0 && usage.web_searches == 0 {
            return Ok(Bill::empty());
        }
        let model = usage.model.filter(|model| !model.is_empty()).ok_or(Unpriced::NoModel)?;
        Bill::new(self.entry(model, usage.time)?, usage)
    }
}

/// Returns the name of the Claude of which this is another form.
pub(crate) fn other_form(name: &str) -> Option<String> {
    let model = ModelName::new(name).ok()?.canonical();
    let is_own = model.provider == ModelProvider::Anthropic && model.route == ModelRoute::Direct;
    is_own.then(|| model.name.as_str().to_owned())
}

impl PartialEq for Catalog {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Catalog {}

impl FromStr for Catalog {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, CatalogError> {
        let mut lines = text.lines().zip(1..);
        let (first, _) = lines.next().ok_or(CatalogError::Header)?;
        let header: Header = serde_json::from_str(first).map_err(|_| CatalogError::Header)?;
        if header.format != 1 || header.currency != "USD" {
            return Err(CatalogError::Header);
        }
        let entry =
            |(text, line)| serde_json::from_str(text).map_err(|source| CatalogError::Line { line, source });
        let entries = lines.map(entry).collect::<Result<Vec<Entry>, _>>()?;
        Self::with_header(header, entries).map_err(CatalogError::Entries)
    }
}

impl fmt::Display for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = serde_json::to_string(&self.header).map_err(|_| fmt::Error)?;
        write!(f, "{header}\n{}", lines(&self.entries))
    }
}

fn lines(entries: &[Entry]) -> String {
    let line = |entry| {
        serde_json::to_string(entry).expect("entries are of texts and numbers, with texts as keys") + "\n"
    };
    entries.iter().map(line).collect()
}
