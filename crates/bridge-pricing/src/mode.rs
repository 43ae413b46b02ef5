//! The modes that prices differ by.

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

impl Speed {
    /// All speeds.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Fast];

    /// Returns the speed that a response reports; `None` if it is unknown. A response that reports none has the usual one.
    #[must_use]
    pub fn reported(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "standard") => Some(Self::Standard),
            Some("fast") => Some(Self::Fast),
            Some(_) => None,
        }
    }

    /// Returns the name in catalogs and the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fast => "fast",
        }
    }

    pub(crate) fn is_standard(&self) -> bool {
        *self == Self::Standard
    }
}

impl Processing {
    /// All ways of processing.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Batch, Self::Priority, Self::Flex];

    /// Returns the processing that a response reports as its service tier; `None` if it is unknown. A response that
    /// reports none has the usual one. `default` is OpenAI's name of `standard`, and `fast` its second name of `priority`.
    #[must_use]
    pub fn reported(service_tier: Option<&str>) -> Option<Self> {
        match service_tier {
            None | Some("" | "standard" | "default") => Some(Self::Standard),
            Some("batch") => Some(Self::Batch),
            Some("priority" | "fast") => Some(Self::Priority),
            Some("flex") => Some(Self::Flex),
            Some(_) => None,
        }
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

    pub(crate) fn is_standard(&self) -> bool {
        *self == Self::Standard
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

/// Returns whether responses of this geography cost what others cost: it is not restricted, or the model has none.
pub(crate) fn is_anywhere(geography: &str) -> bool {
    matches!(geography, "" | "global" | "not_available")
}
