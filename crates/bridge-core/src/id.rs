//! Identifiers and names: non-empty text of bounded length.
//!
//! No other rule applies, because real session ids are not all UUIDs and gateways invent model names. Clones share the
//! text.

/// Maximum length of an identifier or a name, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 512;

pub(crate) fn has_valid_length(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len())
}

/// Defines a type of text that shares its bytes among clones, with all conversions.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $is_valid:path) => {
        $crate::id::shared_text!($(#[$doc])* $name);

        impl $name {
            #[doc = concat!("Returns the text as a ", $what, ".")]
            ///
            /// # Errors
            ///
            #[doc = concat!("It does not ", $rule, ".")]
            pub fn new(text: impl AsRef<str>) -> Result<Self, crate::InvalidValue> {
                let text = text.as_ref();
                if !$is_valid(text) {
                    return Err(crate::InvalidValue::new($what, $rule));
                }
                Ok(Self(text.into()))
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        text_type!($(#[$doc])* $name, $what, "have 1 to 512 bytes", has_valid_length);
    };
}

/// Defines a type of text with all conversions but its constructor `new`, which checks the text.
macro_rules! shared_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Returns the text.
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

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::InvalidValue;

            fn from_str(text: &str) -> Result<Self, crate::InvalidValue> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = crate::InvalidValue;

            fn try_from(text: &str) -> Result<Self, crate::InvalidValue> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::InvalidValue;

            fn try_from(text: String) -> Result<Self, crate::InvalidValue> {
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

pub(crate) use {shared_text, text_type};

text_type!(
    /// A session: one conversation with a coding assistant, with all its files and subagents.
    SessionId, "session id"
);
text_type!(
    /// A model, as the API names it.
    ModelName, "model name"
);
text_type!(
    /// A project: the folder that a session worked in.
    ProjectName, "project name"
);
text_type!(
    /// A host that transcripts are stored on.
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
    /// An operation, as logs and audit trail name it.
    OperationName, "operation name"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_overlong_text_is_rejected() {
        assert_eq!(SessionId::new("").unwrap_err().what(), "session id");
        assert!(SessionId::new("x".repeat(TEXT_BYTES_MAX)).is_ok());
        let error = ModelName::new("x".repeat(TEXT_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(error.to_string(), "model name must have 1 to 512 bytes");
    }

    #[test]
    fn text_converts_into_every_id_and_back() {
        let id: SessionId = "a".try_into().unwrap();
        assert_eq!(SessionId::try_from("a".to_owned()).unwrap(), id);
        assert_eq!("a".parse::<SessionId>().unwrap(), id);
        assert_eq!((id.as_ref(), id.to_string(), String::from(id.clone())), ("a", "a".into(), "a".into()));
        assert!(ModelName::try_from("").is_err());
    }

    #[test]
    fn serde_rejects_invalid_text() {
        assert!(serde_json::from_str::<SessionId>("\"\"").is_err());
        assert_eq!(serde_json::from_str::<SessionId>("\"a\"").unwrap().as_str(), "a");
    }
}
