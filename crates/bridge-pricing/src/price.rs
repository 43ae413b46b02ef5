//! Prices and the factors on them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::decimal::{self, DecimalError};

/// A text is not a price, factor or percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// It is not a decimal number such as `0.0375`.
    #[error("it must be a number such as 0.0375")]
    NotANumber,
    /// It is below 0.
    #[error("it must not be negative")]
    Negative,
    /// It has more decimal places than are kept exactly.
    #[error("it must have at most {0} decimal places")]
    TooManyDigits(u32),
    /// It is above what a price, factor or percentage can be.
    #[error("it must be at most {0}")]
    TooLarge(u32),
}

/// Defines a decimal number that is kept as an integer of its last digit.
macro_rules! decimal_type {
    ($(#[$doc:meta])* $name:ident($integer:ty), $decimals:literal, $max:literal, $units:ident, $units_doc:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name($integer);

        impl $name {
            #[doc = $units_doc]
            #[must_use]
            pub const fn $units(self) -> $integer {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = PriceError;

            fn from_str(text: &str) -> Result<Self, PriceError> {
                let units = decimal::parse(text, $decimals).map_err(|error| match error {
                    DecimalError::NotANumber => PriceError::NotANumber,
                    DecimalError::Negative => PriceError::Negative,
                    DecimalError::TooManyDigits => PriceError::TooManyDigits($decimals),
                    DecimalError::TooLarge => PriceError::TooLarge($max),
                })?;
                let is_valid = units <= $max * 10_u64.pow($decimals);
                let units = <$integer>::try_from(units).ok().filter(|_| is_valid);
                units.map(Self).ok_or(PriceError::TooLarge($max))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&decimal::format(u128::from(self.0), $decimals))
            }
        }

        impl TryFrom<String> for $name {
            type Error = PriceError;

            fn try_from(text: String) -> Result<Self, PriceError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    };
}

decimal_type!(
    /// Dollars for a million tokens, or for a thousand web searches, exact to a millionth of a dollar.
    ///
    /// ```
    /// use bridge_pricing::{Price, PriceError};
    ///
    /// let price: Price = "0.0375".parse()?;
    /// assert_eq!((price.micros(), price.to_string()), (37_500, "0.0375".to_owned()));
    /// assert_eq!("-1".parse::<Price>(), Err(PriceError::Negative));
    /// # Ok::<(), PriceError>(())
    /// ```
    Price(u64), 6, 10_000, micros,
    "Returns the price in millionths of a dollar, at most 10^10."
);
decimal_type!(
    /// A factor on prices, exact to a thousandth.
    Factor(u32), 3, 100, thousandths,
    "Returns the factor in thousandths, at most 100,000."
);
decimal_type!(
    /// A percentage from 0 to 100, exact to a tenth.
    Percent(u16), 1, 100, tenths,
    "Returns the percentage in tenths, at most 1,000."
);

impl Price {
    /// Returns the price of this many millionths of a dollar; `None` above 10^10.
    #[must_use]
    pub fn from_micros(micros: u64) -> Option<Self> {
        (micros <= 10_000_000_000).then_some(Self(micros))
    }
}

impl Factor {
    /// The factor that changes nothing.
    pub const ONE: Self = Self(1_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold() {
        assert_eq!("10000".parse::<Price>().map(Price::micros), Ok(10_000_000_000));
        assert_eq!("10000.000001".parse::<Price>(), Err(PriceError::TooLarge(10_000)));
        assert_eq!("0.0000001".parse::<Price>(), Err(PriceError::TooManyDigits(6)));
        assert_eq!("100.1".parse::<Percent>(), Err(PriceError::TooLarge(100)));
        assert_eq!("12.25".parse::<Percent>(), Err(PriceError::TooManyDigits(1)));
        assert_eq!("1".parse(), Ok(Factor::ONE));
    }
}
