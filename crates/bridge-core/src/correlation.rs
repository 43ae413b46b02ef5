//! What connects an operation's traces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identifies one operation in results, errors, logs, audit and the database's log of queries.
///
/// 128 bits, written as 32 hexadecimal digits: the form of a W3C trace id, so that a caller's own can be used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorrelationId(pub u128);

/// The text is no correlation id: it has not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id has 32 hexadecimal digits")]
pub struct InvalidCorrelationId;

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;

    fn from_str(text: &str) -> Result<Self, InvalidCorrelationId> {
        crate::hex::number(text).map(Self).ok_or(InvalidCorrelationId)
    }
}

impl TryFrom<String> for CorrelationId {
    type Error = InvalidCorrelationId;

    fn try_from(text: String) -> Result<Self, InvalidCorrelationId> {
        text.parse()
    }
}

impl From<CorrelationId> for String {
    fn from(id: CorrelationId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_a_trace_id() {
        let text = "00f067aa0ba902b74bf92f3577b34da6";
        let id: CorrelationId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        for wrong in
            ["", "4bf92f3577b34da", "+0f067aa0ba902b74bf92f3577b34da6", "g0f067aa0ba902b74bf92f3577b34da6"]
        {
            assert_eq!(wrong.parse::<CorrelationId>(), Err(InvalidCorrelationId), "{wrong}");
        }
    }
}
