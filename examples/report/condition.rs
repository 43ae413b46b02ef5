//! Conditions on the responses that are counted.

use std::collections::BTreeMap;
use std::str::FromStr;

use bridge::{DashboardQuery, Dimension};

/// A condition: the dimension has this value, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    dimension: Dimension,
    value: String,
    negated: bool,
}

impl Condition {
    pub(crate) fn equal(dimension: Dimension, value: &str) -> Self {
        Self { dimension, value: value.to_owned(), negated: false }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected DIMENSION=VALUE or DIMENSION!=VALUE")?;
        let (name, negated) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
        let dimension = name.parse::<Dimension>().map_err(|error| error.to_string())?;
        Ok(Self { dimension, value: value.to_owned(), negated })
    }
}

/// Narrows the query: values of one dimension are alternatives, dimensions must all fit.
pub(crate) fn narrowed(mut query: DashboardQuery, conditions: Vec<Condition>) -> DashboardQuery {
    let mut admitted: BTreeMap<Dimension, Vec<String>> = BTreeMap::new();
    for Condition { dimension, value, negated } in conditions {
        if negated {
            query = query.without_values(dimension, [value]);
        } else {
            admitted.entry(dimension).or_default().push(value);
        }
    }
    admitted.into_iter().fold(query, |query, (dimension, values)| query.with_values(dimension, values))
}
