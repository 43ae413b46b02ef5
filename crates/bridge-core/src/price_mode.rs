//! The modes that prices differ by, and the names under which responses report them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The speed at which the API answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// The usual speed.
    #[default]
    Standard,
    /// Anthropic's fast mode.
    Fast,
}

/// The way in which the API processed the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Processing {
    /// At once, without a commitment.
    #[default]
    Standard,
    /// Later, in a batch.
    Batch,
    /// Before others.
    Priority,
    /// When there is room.
    Flex,
}

/// The geographies that responses report if they may be processed anywhere: such a response has the price without a
/// geography, unless a price list has one of that name.
pub const UNRESTRICTED_GEOGRAPHIES: [&str; 3] = ["", "global", "not_available"];

impl Speed {
    /// All speeds.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Fast];

    /// The names that responses report, with the speed of each. The name is empty if a response reports none.
    pub const REPORTED: [(&'static str, Self); 3] =
        [("", Self::Standard), ("standard", Self::Standard), ("fast", Self::Fast)];

    /// Returns the speed that a response reports; `None` if it is unknown.
    #[must_use]
    pub fn reported(name: &str) -> Option<Self> {
        Self::REPORTED.into_iter().find(|(reported, _)| *reported == name).map(|(_, speed)| speed)
    }

    /// Returns the speed of a name in catalogs and the database.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|speed| speed.name() == name)
    }

    /// Returns the name in catalogs and the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fast => "fast",
        }
    }
}

impl Processing {
    /// All ways of processing.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Batch, Self::Priority, Self::Flex];

    /// The service tiers that responses report, with the processing of each. The tier is empty if a response reports
    /// none; `default` is OpenAI's name for `standard`, and `fast` its alias for `priority`.
    pub const REPORTED: [(&'static str, Self); 7] = [
        ("", Self::Standard),
        ("standard", Self::Standard),
        ("default", Self::Standard),
        ("batch", Self::Batch),
        ("priority", Self::Priority),
        ("fast", Self::Priority),
        ("flex", Self::Flex),
    ];

    /// Returns the processing that a response reports as its service tier; `None` if it is unknown.
    #[must_use]
    pub fn reported(service_tier: &str) -> Option<Self> {
        let mut tiers = Self::REPORTED.into_iter();
        tiers.find(|(reported, _)| *reported == service_tier).map(|(_, processing)| processing)
    }

    /// Returns the processing of a name in catalogs and the database.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|processing| processing.name() == name)
    }

    /// Returns the name in catalogs and the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Priority => "priority",
            Self::Flex => "flex",
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Processing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_json_are_the_same_and_are_reported_as_themselves() {
        for speed in Speed::ALL {
            let name = speed.name();
            assert_eq!(serde_json::to_value(speed).unwrap(), name);
            assert_eq!((Speed::from_name(name), Speed::reported(name)), (Some(speed), Some(speed)));
        }
        for processing in Processing::ALL {
            let name = processing.name();
            assert_eq!(serde_json::to_value(processing).unwrap(), name);
            let parsed = (Processing::from_name(name), Processing::reported(name));
            assert_eq!(parsed, (Some(processing), Some(processing)));
        }
    }

    #[test]
    fn only_reported_names_have_synonyms() {
        let tiers = ["", "default", "fast", "odd"]
            .map(|tier| (Processing::reported(tier), Processing::from_name(tier)));
        assert_eq!(
            tiers,
            [
                (Some(Processing::Standard), None),
                (Some(Processing::Standard), None),
                (Some(Processing::Priority), None),
                (None, None)
            ]
        );
        let speeds = ["", "odd"].map(|speed| (Speed::reported(speed), Speed::from_name(speed)));
        assert_eq!(speeds, [(Some(Speed::Standard), None), (None, None)]);
    }
}
