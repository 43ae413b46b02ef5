//! Instants in UTC with millisecond precision.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::InvalidValue;

/// An instant in UTC, in whole milliseconds since 1970-01-01.
///
/// The range is that of a `DateTime64(3)` column, 1970 to 2299. Fractions of a millisecond are truncated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

const INVALID: InvalidValue = InvalidValue::new("time", "be RFC 3339 between 1970 and 2299");

impl Timestamp {
    /// The earliest instant: 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// The latest instant: 2299-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(10_413_791_999_999);

    /// Returns the instant this number of milliseconds after 1970-01-01.
    ///
    /// # Errors
    ///
    /// It is before 1970 or after 2299.
    pub fn from_millis(millis: i64) -> Result<Self, InvalidValue> {
        if (Self::MIN.0..=Self::MAX.0).contains(&millis) { Ok(Self(millis)) } else { Err(INVALID) }
    }

    /// Returns an instant known at compile time.
    ///
    /// # Panics
    ///
    /// It is before 1970 or after 2299; in a constant this is a compile-time error.
    #[must_use]
    pub const fn from_constant(millis: i64) -> Self {
        assert!(Self::MIN.0 <= millis && millis <= Self::MAX.0, "from 1970 to 2299");
        Self(millis)
    }

    /// Returns the milliseconds since 1970-01-01.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the system time as an instant, clamped to the range.
    #[must_use]
    pub fn from_system(time: SystemTime) -> Self {
        let millis = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(_) => 0,
        };
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Returns the time from `earlier` to this instant, zero if `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// Returns the instant this much later, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis).min(Self::MAX.0))
    }

    /// Returns the instant this much earlier, at least [`Timestamp::MIN`].
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis).max(Self::MIN.0))
    }

    /// Returns the UTC date as `YYYY-MM-DD`.
    #[must_use]
    pub fn date(self) -> String {
        self.to_string()[..10].to_owned()
    }
}

impl FromStr for Timestamp {
    type Err = InvalidValue;

    /// Parses RFC 3339. A time without an offset is in UTC.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let instant = match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant,
            Err(_) => text
                .parse::<jiff::civil::DateTime>()
                .and_then(|local| local.to_zoned(jiff::tz::TimeZone::UTC))
                .map_err(|_| INVALID)?
                .timestamp(),
        };
        Self::from_millis(instant.as_nanosecond().div_euclid(1_000_000).try_into().map_err(|_| INVALID)?)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_formats_to_the_millisecond() {
        let time: Timestamp = "2026-01-31T12:34:56.789999Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T12:34:56.789Z");
        assert_eq!("2026-01-31T13:34:56.789+01:00".parse(), Ok(time));
        assert_eq!("2026-01-31T12:34:56.789".parse(), Ok(time));
        assert_eq!(time.date(), "2026-01-31");
    }

    #[test]
    fn rejects_other_text_and_times_out_of_range() {
        for text in ["", "now", "1969-12-31T23:59:59Z", "2300-01-01T00:00:00Z", "1700000000"] {
            assert_eq!(text.parse::<Timestamp>(), Err(INVALID), "{text}");
        }
        assert_eq!(Timestamp::MAX.to_string(), "2299-12-31T23:59:59.999Z");
    }
}
