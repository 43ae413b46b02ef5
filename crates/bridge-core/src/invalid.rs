//! The error of conversions from text or numbers.

/// A text or number is not a valid value of the requested type.
///
/// ```
/// use bridge_core::SessionId;
///
/// assert_eq!(SessionId::new("").unwrap_err().to_string(), "session id must have 1 to 512 bytes");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must {rule}")]
pub struct InvalidValue {
    what: &'static str,
    rule: &'static str,
}

impl InvalidValue {
    /// Returns the error of a kind of value that must follow this rule ("have 1 to 512 bytes").
    #[must_use]
    pub const fn new(what: &'static str, rule: &'static str) -> Self {
        Self { what, rule }
    }

    /// Returns the kind of value, for instance `session id`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }
}
