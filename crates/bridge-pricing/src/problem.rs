//! Problems of price entries.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use crate::{Entry, Place, instant, mode};

/// Something wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The entry.
    pub place: Place,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// The kind of problem of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Its period ends before it begins, or when it begins.
    #[error("its period must end after it starts")]
    EmptyPeriod,
    /// Another entry has a price of the same name, or a discount on the same prices, at the same time.
    #[error("its period overlaps with that of {0}")]
    Overlap(String),
    /// It has no rates of the standard mode below all limits of size, or they lack the price of input or output.
    #[error("it must have the prices of input and output in the standard mode")]
    MissingPrice,
    /// It has rates of one mode and size twice.
    #[error("it has the prices of one mode and size twice")]
    SameModeTwice,
    /// A mode has a limit of size, but no prices below it.
    #[error("a mode with prices above a size must have prices below it")]
    NoPricesBelow,
    /// It has a factor for requests that are not restricted to a geography, or more than ten factors.
    #[error("its geographies must be up to ten, none of them empty, `global` or `not_available`")]
    Geography,
    /// The price list has more different limits of size, or geographies, than a store tells apart.
    #[error("a price list has at most {1} different {0}")]
    TooMany(&'static str, usize),
    /// A name or source is empty.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// The catalog does not have the model or provider that it refers to.
    #[error("the price catalog does not have {0} at that time")]
    Unknown(String),
    /// The name already has its own price.
    #[error("{0} has its own price at that time")]
    NameTaken(String),
    /// No stored response has the model.
    #[error("no response has the model {0}")]
    Unused(String),
    /// It lacks prices that those in its place have.
    #[error("it has no price of {0}, which the replaced prices have")]
    Lacking(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

impl std::error::Error for Problem {}

/// Returns all problems as one clause.
pub(crate) fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// Returns what is wrong with entries alone and together. `names` has the places of each name's entries by time.
pub(crate) fn of_entries(entries: &[Entry], names: &HashMap<String, Vec<usize>>) -> Vec<Problem> {
    let alone = |entry| of_entry(entry).into_iter().map(move |kind| Problem { place: place(entry), kind });
    let mut problems: Vec<_> = entries.iter().flat_map(alone).collect();
    if let Some(last) = entries.last() {
        let kinds = of_variety(entries.iter()).into_iter();
        problems.extend(kinds.map(|kind| Problem { place: place(last), kind }));
    }
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    for (name, places) in names {
        for pair in places.windows(2) {
            let (first, second) = (&entries[pair[0]], &entries[pair[1]]);
            if first.to.is_none_or(|to| second.from < to) {
                let kind = ProblemKind::Overlap(format!("{} ({name})", place(first)));
                problems.push(Problem { place: place(second), kind });
            }
        }
    }
    problems
}

/// Maximum number of different limits of size in a catalog: as many as dashboards with costs tell apart.
const SIZES_MAX: usize = 7;
/// Maximum number of different geographies in a catalog.
const GEOGRAPHIES_MAX: usize = 10;

/// Returns the problems of entries that together have too many limits of size, or geographies.
pub(crate) fn of_variety<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<ProblemKind> {
    let (mut sizes, mut geographies) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        sizes.extend(entry.rates.iter().map(|rates| rates.above).filter(|above| *above > 0));
        geographies.extend(entry.geographies.keys());
    }
    let too_many = [
        (sizes.len() > SIZES_MAX).then_some(ProblemKind::TooMany("limits of size", SIZES_MAX)),
        (geographies.len() > GEOGRAPHIES_MAX).then_some(ProblemKind::TooMany("geographies", GEOGRAPHIES_MAX)),
    ];
    too_many.into_iter().flatten().collect()
}

fn place(entry: &Entry) -> Place {
    Place::new(format!("{} from {}", entry.model, instant::text(entry.from)))
}

/// Returns what is wrong with one entry.
pub(crate) fn of_entry(entry: &Entry) -> Vec<ProblemKind> {
    let mut problems = Vec::new();
    let texts =
        [("its provider", &entry.provider), ("its model", &entry.model), ("its source", &entry.source)];
    problems
        .extend(texts.iter().filter(|(_, text)| text.is_empty()).map(|(what, _)| ProblemKind::Empty(what)));
    if entry.aliases.iter().any(String::is_empty) {
        problems.push(ProblemKind::Empty("an alias"));
    }
    if entry.to.is_some_and(|to| to <= entry.from) {
        problems.push(ProblemKind::EmptyPeriod);
    }
    if entry.geographies.len() > 10 || entry.geographies.keys().any(|name| mode::is_anywhere(name)) {
        problems.push(ProblemKind::Geography);
    }
    let mut sizes: Vec<_> =
        entry.rates.iter().map(|rates| (rates.speed, rates.processing, rates.above)).collect();
    sizes.sort_unstable();
    if sizes.windows(2).any(|pair| pair[0] == pair[1]) {
        problems.push(ProblemKind::SameModeTwice);
    }
    if sizes.iter().any(|(speed, processing, _)| !sizes.contains(&(*speed, *processing, 0))) {
        problems.push(ProblemKind::NoPricesBelow);
    }
    let standard = entry.mode(Default::default(), Default::default()).find(|rates| rates.above == 0);
    if standard.is_none_or(|rates| rates.input.is_none() || rates.output.is_none()) {
        problems.push(ProblemKind::MissingPrice);
    }
    problems
}
