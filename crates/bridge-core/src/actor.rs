//! The caller of an operation.

use crate::id::{has_valid_length, shared_text};
use crate::{Escaped, InvalidValue};

shared_text!(
    /// The caller of an operation, as the embedder names it: a user, a service account, a job.
    ///
    /// Logs and audit display it, so whatever would move a cursor, start a line or hide is escaped.
    ///
    /// ```
    /// use bridge_core::Actor;
    ///
    /// assert_eq!(Actor::new("alice@example.com")?.as_str(), "alice@example.com");
    /// assert_eq!(Actor::new("mallory\nINFO all is well")?.as_str(), r"mallory\nINFO all is well");
    /// # Ok::<(), bridge_core::InvalidValue>(())
    /// ```
    Actor
);

impl Actor {
    /// Returns the text as an actor, with control characters and invisible formatting characters escaped.
    ///
    /// # Errors
    ///
    /// The escaped text does not have 1 to 512 bytes.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidValue> {
        let text = text.as_ref();
        // Escaping only lengthens a text: one that is too long already is not worth the work.
        let escaped = if has_valid_length(text) { Escaped::text(text).to_string() } else { String::new() };
        if !has_valid_length(&escaped) {
            return Err(InvalidValue::new("actor", "have 1 to 512 bytes when escaped"));
        }
        Ok(Self(escaped.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TEXT_BYTES_MAX;

    #[test]
    fn control_characters_are_escaped_once() {
        let actor = Actor::new("a\u{1b}[31m\u{202e}\r\n").unwrap();
        assert_eq!(actor.as_str(), r"a\u{1b}[31m\u{202e}\r\n");
        assert_eq!(Actor::new(&actor).unwrap(), actor);
        assert_eq!(serde_json::from_str::<Actor>("\"a\\tb\"").unwrap().as_str(), r"a\tb");
    }

    #[test]
    fn length_is_bounded_after_escaping() {
        assert!(Actor::new("x".repeat(TEXT_BYTES_MAX)).is_ok());
        for text in [String::new(), "x".repeat(TEXT_BYTES_MAX + 1), "\n".repeat(TEXT_BYTES_MAX)] {
            assert!(Actor::new(&text).is_err(), "{} bytes", text.len());
        }
    }
}
