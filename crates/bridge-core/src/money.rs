//! Exact amounts of dollars.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidValue;

const DECIMALS: u32 = 18;
const DOLLAR: u128 = 10_u128.pow(DECIMALS);
const INVALID: InvalidValue =
    InvalidValue::new("amount of money", "be a number with at most 18 decimal places");

/// An exact amount of dollars, in units of 10^-18: a price per million tokens, a geography factor and a discount
/// together have no more digits. Up to 1.7 x 10^20 dollars.
///
/// It is rounded only when it is shown: half a digit and more away from zero. `{}` shows cents, and below a dollar four
/// digits; `{:.6}` shows six. [`exact`](Self::exact) and JSON have all digits.
///
/// ```
/// use bridge_core::Money;
///
/// let amount: Money = "1234.565".parse()?;
/// assert_eq!(format!("{amount} {amount:.0} {}", amount.exact()), "$1,234.57 $1,235 1234.565");
/// assert_eq!("0.00005".parse::<Money>()?.to_string(), "$0.0001");
/// assert_eq!("0.00004".parse::<Money>()?.to_string(), "<$0.0001");
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Returns an amount of 10^-18 dollars.
    #[must_use]
    pub const fn from_attodollars(amount: i128) -> Self {
        Self(amount)
    }

    /// Returns the amount in 10^-18 dollars.
    #[must_use]
    pub const fn attodollars(self) -> i128 {
        self.0
    }

    /// Returns the sum, `None` beyond 128 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Returns the difference, `None` beyond 128 bits.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Returns the sum of all, `None` beyond 128 bits.
    #[must_use]
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Returns the sum, which ends at the greatest and the least amount.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference, which ends at the greatest and the least amount.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns all digits, without a currency: `-0.0375`.
    #[must_use]
    pub fn exact(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        format!("{sign}{}", digits(self.0.unsigned_abs()))
    }
}

/// Returns a number of 10^-18 dollars without trailing zeros.
fn digits(units: u128) -> String {
    let text = format!("{}.{:0width$}", units / DOLLAR, units % DOLLAR, width = DECIMALS as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        let digits = f.precision().unwrap_or(if size == 0 || size >= DOLLAR { 2 } else { 4 });
        let digits = u32::try_from(digits).unwrap_or(DECIMALS).min(DECIMALS);
        let unit = 10_u128.pow(DECIMALS - digits);
        let (sign, rounded) = (if self.0 < 0 { "-" } else { "" }, (size + unit / 2) / unit);
        let text = match (rounded, self.0.signum()) {
            (0, 1) => format!("<${}", places(1, digits)),
            (0, -1) => format!(">-${}", places(1, digits)),
            _ => format!("{sign}${}", places(rounded, digits)),
        };
        // Not `pad`, which would cut the text to the precision.
        match f.width() {
            Some(width) => write!(f, "{text:>width$}"),
            None => f.write_str(&text),
        }
    }
}

/// Returns a number of units with this many decimal places, the thousands separated.
fn places(units: u128, digits: u32) -> String {
    let scale = 10_u128.pow(digits);
    let whole = (units / scale).to_string();
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if digits > 0 {
        text.push_str(&format!(".{:0width$}", units % scale, width = digits as usize));
    }
    text
}

impl FromStr for Money {
    type Err = InvalidValue;

    /// Parses an exact amount such as `-0.0375`, up to 18 decimal places.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return Err(INVALID);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > DECIMALS as usize {
            return Err(INVALID);
        }
        let sum = format!("{whole}{fraction:0<width$}", width = DECIMALS as usize);
        let amount: i128 = sum.parse().map_err(|_| INVALID)?;
        Ok(Self(if negative { -amount } else { amount }))
    }
}

impl TryFrom<String> for Money {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<Money> for String {
    fn from(amount: Money) -> String {
        amount.exact()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_in_cents_and_below_a_dollar_in_four_digits() {
        for (exact, shown) in [
            ("0", "$0.00"),
            ("0.00001", "<$0.0001"),
            ("-0.00001", ">-$0.0001"),
            ("0.0375", "$0.0375"),
            ("0.99995", "$1.0000"),
            ("1.005", "$1.01"),
            ("-12.344", "-$12.34"),
            ("1234567.5", "$1,234,567.50"),
        ] {
            assert_eq!(exact.parse::<Money>().unwrap().to_string(), shown, "{exact}");
        }
    }

    #[test]
    fn a_precision_and_a_width_cut_nothing() {
        let tiny: Money = "0.00001".parse().unwrap();
        assert_eq!(format!("{tiny:.0} {tiny:.2} {tiny:.4} {tiny:.5}"), "<$1 <$0.01 <$0.0001 $0.00001");
        let minus = Money::ZERO.saturating_sub(tiny);
        assert_eq!(format!("[{tiny:10.2}] [{minus:10}] [{minus:3.1}]"), "[    <$0.01] [ >-$0.0001] [>-$0.1]");
        let large: Money = "1234.5".parse().unwrap();
        assert_eq!(format!("[{large:12.1}] [{large:3}]"), "[    $1,234.5] [$1,234.50]");
    }

    #[test]
    fn all_digits_come_back() {
        for exact in ["0", "0.000000000000000001", "-3.5", "170141183460469231731.687303715884105727"] {
            let amount: Money = exact.parse().unwrap();
            assert_eq!(amount.exact(), exact);
            assert_eq!(serde_json::to_string(&amount).unwrap(), format!("{exact:?}"));
        }
        assert_eq!("0.0000000000000000001".parse::<Money>(), Err(INVALID));
        for text in ["", "-", "$1", "1e2", "1."] {
            assert_eq!(text.parse::<Money>(), Err(INVALID), "{text}");
        }
    }

    #[test]
    fn sums_beyond_128_bits_are_none() {
        let most = Money::from_attodollars(i128::MAX);
        assert_eq!(most.checked_add(Money::from_attodollars(1)), None);
        assert_eq!(Money::checked_sum([most, Money::ZERO]), Some(most));
    }
}
