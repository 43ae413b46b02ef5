//! Identifiers of 128 and 256 bits as text.
//!
//! JSON has no numbers of that width: most readers take them for floats, and `serde_json::Value` refuses them.

/// The text is no identifier: it has not the right number of hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {what} has {digits} hexadecimal digits")]
pub struct InvalidHex {
    /// The kind of identifier, for instance `response key`.
    pub what: &'static str,
    /// The number of digits that it has.
    pub digits: usize,
}

/// Returns the number that exactly 32 hexadecimal digits stand for; a sign is no digit.
pub(crate) fn number(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Gives a type with `Display`, `from_hex` and the conversions from and into `$binary` a text form for humans: the
/// same digits by `Display`, `FromStr` and serde. Binary formats keep the number.
macro_rules! hex_text {
    ($name:ident, $what:literal, $digits:literal, $binary:ty) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::InvalidHex;

            fn from_str(text: &str) -> Result<Self, crate::InvalidHex> {
                Self::from_hex(text).ok_or(crate::InvalidHex { what: $what, digits: $digits })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    <$binary>::from(*self).serialize(serializer)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <$binary>::deserialize(deserializer).map(Self::from)
                }
            }
        }
    };
}

pub(crate) use hex_text;
