//! The identity of a catalog's content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use bridge_core::InvalidValue;

/// Identifies the content of a catalog: equal content, equal digest, in every version. 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CatalogDigest(u128);

impl CatalogDigest {
    /// Returns the digest of a catalog's lines.
    pub(crate) fn of_lines(lines: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(lines.as_bytes()))
    }

    /// Returns the digest as a number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for CatalogDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for CatalogDigest {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue::new("price catalog digest", "have 32 hexadecimal digits");
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or(INVALID)
    }
}

impl TryFrom<String> for CatalogDigest {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<CatalogDigest> for String {
    fn from(digest: CatalogDigest) -> String {
        digest.to_string()
    }
}
