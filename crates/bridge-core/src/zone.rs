//! Time zones, from a database that is built in: a day is the same day on every machine.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A time zone of the IANA database, such as `Europe/Berlin`.
///
/// ```
/// use bridge_core::Zone;
///
/// let zone: Zone = "asia/kathmandu".parse()?;
/// assert_eq!(zone.name(), "Asia/Kathmandu");
/// assert_eq!(zone.local("2026-01-31T12:00:00Z".parse()?), "2026-01-31T17:45:00+05:45");
/// assert!("Europe/Atlantis".parse::<Zone>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// The IANA database has no zone of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no time zone of the IANA database")]
pub struct InvalidTimeZone;

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The local time with its offset, as RFC 3339: what a chart shows at this instant.
    #[must_use]
    pub fn local(&self, time: Timestamp) -> String {
        let offset = self.0.to_offset(instant(time));
        instant(time).display_with_offset(offset).to_string()
    }

    /// The local date and time.
    pub(crate) fn civil(&self, time: Timestamp) -> DateTime {
        self.0.to_datetime(instant(time))
    }

    /// What the zone is ahead of UTC, in milliseconds.
    pub(crate) fn offset_millis(&self, time: Timestamp) -> i64 {
        i64::from(self.0.to_offset(instant(time)).seconds()) * 1000
    }

    /// The last instant at or before `time` at which the zone's clocks were changed.
    pub(crate) fn change_before(&self, time: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(time.as_millis() + 1).ok()?;
        self.0.preceding(after).next().map(|change| nearest(change.timestamp()))
    }

    /// The first instant whose local date is `date` or later. Most dates begin at midnight; where the clocks
    /// skip it, at the change.
    pub(crate) fn first_instant(&self, date: Date) -> Timestamp {
        let midnight = self.0.to_ambiguous_timestamp(date.to_datetime(jiff::civil::Time::midnight()));
        let skips = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
        // Of two midnights (the clocks are set back over it) the earlier; after a gap the later is past the change.
        let chosen = if skips { midnight.later() } else { midnight.earlier() };
        let Ok(chosen) = chosen else {
            return if date.year() < 2000 { Timestamp::MIN } else { Timestamp::MAX };
        };
        let chosen = nearest(chosen);
        if skips { self.change_before(chosen).unwrap_or(chosen) } else { chosen }
    }

    /// The start of the day so many days before that of `time`.
    pub(crate) fn day_before(&self, time: Timestamp, days: u32) -> Timestamp {
        let span = jiff::Span::new().try_days(days);
        let date = span.and_then(|span| self.civil(time).date().checked_sub(span));
        date.map_or(Timestamp::MIN, |date| self.first_instant(date))
    }

    /// The start of a month between 1970 and 2299.
    pub(crate) fn month_start(&self, year: i16, month: i8) -> Option<Timestamp> {
        let date = Date::new(year, month, 1).ok()?;
        (1970..2300).contains(&year).then(|| self.first_instant(date))
    }
}

/// Every instant of ours is one of jiff's, whose range is wider.
fn instant(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default()
}

/// The instant, or the end of the range that it lies beyond.
fn nearest(instant: jiff::Timestamp) -> Timestamp {
    let millis = instant.as_millisecond().clamp(Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MIN)
}

impl FromStr for Zone {
    type Err = InvalidTimeZone;

    fn from_str(name: &str) -> Result<Self, InvalidTimeZone> {
        static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
        let zone = ZONES.get(name).map_err(|_| InvalidTimeZone)?;
        // `Etc/Unknown` is a name that stands for none.
        if zone.is_unknown() { Err(InvalidTimeZone) } else { Ok(Self(zone)) }
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for Zone {
    type Error = InvalidTimeZone;

    fn try_from(name: String) -> Result<Self, InvalidTimeZone> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_back() {
        for name in ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC", "Etc/GMT+5"] {
            assert_eq!(name.parse::<Zone>().unwrap().name(), name);
        }
        for name in ["", "Berlin", "+02:00", "Europe/Berlin ", "../etc/passwd", "Etc/Unknown"] {
            assert_eq!(name.parse::<Zone>(), Err(InvalidTimeZone), "{name}");
        }
    }
}
