//! The developer, team and labels of a response, which come from the configuration, not from the transcript.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::id::text_type;
use crate::{AttributionValue, InvalidValue, Shared, SharedValue};

const LABEL_NAME_BYTES_MAX: usize = 64;

fn is_label_name(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=LABEL_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

text_type!(
    /// The name of a label: it is part of statements and of names in the HTTP API.
    LabelName, "label name", "have 1 to 64 of a to z, 0 to 9 and _", is_label_name
);

/// The labels of a response by name, at most [`Labels::MAX`].
///
/// ```
/// use bridge_core::Labels;
///
/// let labels = Labels::new([("tenant", "acme"), ("environment", "ci")])?;
/// assert_eq!(labels.get("tenant").map(|value| value.as_str()), Some("acme"));
/// assert!(Labels::new([("Tenant", "acme")]).is_err(), "names are of a to z, 0 to 9 and _");
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<LabelName, AttributionValue>")]
pub struct Labels(BTreeMap<LabelName, AttributionValue>);

impl Labels {
    /// The maximum number of labels.
    pub const MAX: usize = 16;

    /// Returns these labels. Of two with the same name the last stays.
    ///
    /// # Errors
    ///
    /// A name or a value that is not valid, or more than [`MAX`](Self::MAX) labels.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, InvalidValue> {
        let label = |(name, value): (N, V)| Ok((LabelName::new(name)?, AttributionValue::new(value)?));
        Self::try_from(pairs.into_iter().map(label).collect::<Result<BTreeMap<_, _>, _>>()?)
    }

    /// Returns the value of the label of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&AttributionValue> {
        self.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value)
    }

    /// Returns the labels by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LabelName, &AttributionValue)> {
        self.0.iter()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns these labels, and those of `other` under other names, as far as there is room.
    fn or(mut self, other: &Self) -> Self {
        for (name, value) in &other.0 {
            if self.0.len() < Self::MAX {
                self.0.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        self
    }
}

impl TryFrom<BTreeMap<LabelName, AttributionValue>> for Labels {
    type Error = InvalidValue;

    fn try_from(labels: BTreeMap<LabelName, AttributionValue>) -> Result<Self, InvalidValue> {
        match labels.len() {
            0..=Self::MAX => Ok(Self(labels)),
            _ => Err(InvalidValue::new("labels", "be at most 16")),
        }
    }
}

/// The developer, team and labels of a response. The bridge that stores it sets this, from its configuration or from
/// the program that embeds it; no transcript has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// The developer whose session it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub developer: Option<AttributionValue>,
    /// The developer's team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<AttributionValue>,
    /// Labels of one's own.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// An [`Assignment`] that many rows share.
pub type SharedAssignment = Shared<Assignment>;

impl Assignment {
    /// Returns an assignment of these labels.
    #[must_use]
    pub fn of_labels(labels: Labels) -> Self {
        Self { labels, ..Self::default() }
    }

    /// Returns this assignment, with what it lacks from `other`.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            developer: self.developer.or_else(|| other.developer.clone()),
            team: self.team.or_else(|| other.team.clone()),
            labels: self.labels.or(&other.labels),
        }
    }
}

impl SharedValue for Assignment {
    fn none() -> &'static Self {
        static NONE: LazyLock<Assignment> = LazyLock::new(Assignment::default);
        &NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<AttributionValue> {
        AttributionValue::new(text).ok()
    }

    #[test]
    fn labels_are_few_and_their_names_plain() {
        for name in ["", "Tenant", "a-b", "a b", "ä", &"a".repeat(65)] {
            assert!(LabelName::new(name).is_err(), "{name}");
        }
        let many = |count: usize| Labels::new((0..count).map(|n| (format!("l{n}"), "x")));
        assert_eq!(many(16).unwrap().iter().len(), 16);
        assert_eq!(many(17).unwrap_err().to_string(), "labels must be at most 16");
        assert!(Labels::new([("a", "")]).is_err());
    }

    #[test]
    fn what_is_lacking_is_added_label_by_label() {
        let labels = |pairs: &[(&str, &str)]| Labels::new(pairs.iter().copied()).unwrap();
        let own = Assignment { team: value("own"), ..Assignment::of_labels(labels(&[("a", "1")])) };
        let other = Assignment {
            developer: value("me"),
            team: value("other"),
            labels: labels(&[("a", "2"), ("b", "2")]),
        };
        let both = own.or(&other);
        assert_eq!((both.developer, both.team), (value("me"), value("own")));
        assert_eq!(both.labels, labels(&[("a", "1"), ("b", "2")]));
    }

    #[test]
    fn json_has_what_is_set_and_is_checked() {
        let assignment: SharedAssignment = Assignment::of_labels(Labels::new([("a", "1")]).unwrap()).into();
        let json = serde_json::to_string(&assignment).unwrap();
        assert_eq!(json, r#"{"labels":{"a":"1"}}"#);
        assert_eq!(serde_json::from_str::<SharedAssignment>(&json).unwrap(), assignment);
        assert!(serde_json::from_str::<SharedAssignment>(r#"{"labels":{"A":"1"}}"#).is_err());
        assert!(serde_json::from_str::<SharedAssignment>("{}").unwrap().is_empty());
    }
}
