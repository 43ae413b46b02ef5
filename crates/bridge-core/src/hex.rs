//! Identifiers of 128 and 256 bits as hexadecimal text.
//!
//! JSON has no integers of that width: most readers parse them as floats, and `serde_json::Value` rejects them.

use crate::InvalidValue;

/// Parses exactly 32 hexadecimal digits; a sign is not a digit.
pub(crate) fn parse(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Returns the error of an identifier of 128 bits.
pub(crate) const fn invalid(what: &'static str) -> InvalidValue {
    InvalidValue::new(what, "have 32 hexadecimal digits")
}

/// Gives a type with `Display`, `FromStr` and conversions from and into `$binary` its `Debug` and serde forms:
/// hexadecimal text in human-readable formats, the number in binary ones.
macro_rules! hex_serde {
    ($name:ident, $binary:ty) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serde::Serialize::serialize(&<$binary>::from(*self), serializer)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    <String as serde::Deserialize>::deserialize(deserializer)?
                        .parse()
                        .map_err(serde::de::Error::custom)
                } else {
                    <$binary as serde::Deserialize>::deserialize(deserializer).map(Self::from)
                }
            }
        }
    };
}

/// Gives a newtype of `u128` its text, number and serde forms.
macro_rules! hex_id {
    ($name:ident, $what:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::InvalidValue;

            fn from_str(text: &str) -> Result<Self, crate::InvalidValue> {
                crate::hex::parse(text).map(Self).ok_or(crate::hex::invalid($what))
            }
        }

        impl From<u128> for $name {
            fn from(number: u128) -> Self {
                Self(number)
            }
        }

        impl From<$name> for u128 {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        crate::hex::hex_serde!($name, u128);
    };
}

pub(crate) use {hex_id, hex_serde};
