//! Identifiers and names: non-empty text of bounded length.
//!
//! Real session ids are not all UUIDs and model names come from gateways, so nothing else is asked of
//! them. Cloning shares the text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The greatest length of an identifier or a name, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 512;

/// The text is no identifier or name: it is empty or too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must have 1 to {TEXT_BYTES_MAX} bytes, not {bytes}")]
pub struct InvalidText {
    /// Which kind of text was asked for, for instance `session id`.
    pub what: &'static str,
    /// The length that was given, in bytes.
    pub bytes: usize,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("Takes the text as a ", $what, ".")]
            ///
            /// # Errors
            ///
            /// The text is empty or longer than [`TEXT_BYTES_MAX`] bytes.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidText> {
                let text = text.as_ref();
                if text.is_empty() || text.len() > TEXT_BYTES_MAX {
                    return Err(InvalidText { what: $what, bytes: text.len() });
                }
                Ok(Self(text.into()))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

text_type!(
    /// A session: one conversation with a coding assistant, over all its files and subagents.
    SessionId, "session id"
);
text_type!(
    /// A model, as the API names it.
    ModelName, "model name"
);
text_type!(
    /// A project: the folder the session worked in.
    ProjectName, "project name"
);
text_type!(
    /// The machine that the transcripts lie on.
    HostName, "host name"
);
text_type!(
    /// A subagent of a session.
    AgentId, "agent id"
);
text_type!(
    /// An analysis, unique per run and session.
    AnalysisId, "analysis id"
);
text_type!(
    /// The service tier that the API reports with a usage.
    ServiceTier, "service tier"
);
text_type!(
    /// An operation, as logs and audit name it.
    OperationName, "operation name"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_overlong_text_is_refused() {
        assert_eq!(SessionId::new("").unwrap_err().bytes, 0);
        assert!(SessionId::new("x".repeat(TEXT_BYTES_MAX)).is_ok());
        let error = ModelName::new("x".repeat(TEXT_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(error.to_string(), "model name must have 1 to 512 bytes, not 513");
    }

    #[test]
    fn a_refused_text_is_refused_by_serde_too() {
        assert!(serde_json::from_str::<SessionId>("\"\"").is_err());
        assert_eq!(serde_json::from_str::<SessionId>("\"a\"").unwrap().as_str(), "a");
    }
}
