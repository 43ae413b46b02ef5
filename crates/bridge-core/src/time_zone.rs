//! Time zones from a compiled-in database, so that a day is the same on every host.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone as JiffTimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::{InvalidValue, Timestamp};

/// A time zone of the IANA database, such as `Europe/Berlin`.
///
/// ```
/// use bridge_core::TimeZone;
///
/// let zone: TimeZone = "asia/kathmandu".parse()?;
/// assert_eq!(zone.name(), "Asia/Kathmandu");
/// assert_eq!(zone.local("2026-01-31T12:00:00Z".parse()?), "2026-01-31T17:45:00+05:45");
/// assert!("Europe/Atlantis".parse::<TimeZone>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone(JiffTimeZone);

const INVALID: InvalidValue = InvalidValue::new("time zone", "be a name of the IANA database");

impl TimeZone {
    /// UTC.
    pub const UTC: Self = Self(JiffTimeZone::UTC);

    /// Returns the time zone of this machine; UTC if it is not known.
    #[must_use]
    pub fn system() -> Self {
        let name = JiffTimeZone::system().iana_name().and_then(|name| name.parse().ok());
        name.unwrap_or_default()
    }

    /// Returns the zone's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Returns the local time with its offset, in RFC 3339, for charts.
    #[must_use]
    pub fn local(&self, time: Timestamp) -> String {
        let offset = self.0.to_offset(instant(time));
        instant(time).display_with_offset(offset).to_string()
    }

    /// Returns the next instant after `time` at which the clocks show this hour and minute, on this month and day if they
    /// are given; `None` if there is no such date.
    #[must_use]
    pub fn next(
        &self,
        time: Timestamp,
        (hour, minute): (i8, i8),
        month_and_day: Option<(i8, i8)>,
    ) -> Option<Timestamp> {
        let today = self.civil(time).date();
        let clock = jiff::civil::Time::new(hour, minute, 0, 0).ok()?;
        let dates = match month_and_day {
            Some((month, day)) => {
                [today.year(), today.year().checked_add(1)?].map(|year| Date::new(year, month, day).ok())
            }
            None => [Some(today), today.tomorrow().ok()],
        };
        let instant = |date: Date| self.0.to_ambiguous_timestamp(date.to_datetime(clock)).compatible().ok();
        dates.into_iter().flatten().filter_map(instant).map(nearest).find(|next| *next > time)
    }

    /// Returns the local date, as `YYYY-MM-DD`.
    ///
    /// ```
    /// use bridge_core::TimeZone;
    ///
    /// let zone: TimeZone = "Asia/Kathmandu".parse()?;
    /// let start = zone.start_of("2026-02-01")?;
    /// assert_eq!(start, "2026-01-31T18:15:00Z".parse()?);
    /// assert_eq!(zone.date(start), "2026-02-01");
    /// assert_eq!(zone.end_of("2026-01-31")?, start);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn date(&self, time: Timestamp) -> String {
        self.civil(time).date().to_string()
    }

    /// Returns the first instant of a local date between 1970 and 2299, given as `YYYY-MM-DD`.
    ///
    /// # Errors
    ///
    /// The text is no such date.
    pub fn start_of(&self, date: &str) -> Result<Timestamp, InvalidValue> {
        Ok(self.first_instant(parse_date(date)?))
    }

    /// Returns the first instant after a local date between 1970 and 2299, given as `YYYY-MM-DD`.
    ///
    /// # Errors
    ///
    /// The text is no such date.
    pub fn end_of(&self, date: &str) -> Result<Timestamp, InvalidValue> {
        let next = parse_date(date)?.tomorrow().map_err(|_| INVALID_DATE)?;
        Ok(self.first_instant(next))
    }

    /// Returns the local date and time.
    pub(crate) fn civil(&self, time: Timestamp) -> DateTime {
        self.0.to_datetime(instant(time))
    }

    /// Returns the offset from UTC in milliseconds.
    pub(crate) fn offset_millis(&self, time: Timestamp) -> i64 {
        i64::from(self.0.to_offset(instant(time)).seconds()) * 1000
    }

    /// Returns the last clock change at or before `time`.
    pub(crate) fn change_before(&self, time: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(time.as_millis() + 1).ok()?;
        self.0.preceding(after).next().map(|change| nearest(change.timestamp()))
    }

    /// Returns the first instant whose local date is `date` or later: midnight or, if the clocks skip it, the clock
    /// change.
    pub(crate) fn first_instant(&self, date: Date) -> Timestamp {
        let midnight = self.0.to_ambiguous_timestamp(date.to_datetime(jiff::civil::Time::midnight()));
        let skips = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
        // The earlier of two midnights if the clocks are set back over it; within a gap the later is past the change.
        let chosen = if skips { midnight.later() } else { midnight.earlier() };
        let Ok(chosen) = chosen else {
            return if date.year() < 2000 { Timestamp::MIN } else { Timestamp::MAX };
        };
        let chosen = nearest(chosen);
        if skips { self.change_before(chosen).unwrap_or(chosen) } else { chosen }
    }

    /// Returns the start of the day this number of days before that of `time`.
    pub(crate) fn day_before(&self, time: Timestamp, days: u32) -> Timestamp {
        let span = jiff::Span::new().try_days(days);
        let date = span.and_then(|span| self.civil(time).date().checked_sub(span));
        date.map_or(Timestamp::MIN, |date| self.first_instant(date))
    }

    /// Returns the number of calendar days between two instants that are both the first one of their date.
    pub(crate) fn days_between(&self, start: Timestamp, end: Timestamp) -> Option<u32> {
        let [first, last] = [start, end].map(|time| self.civil(time).date());
        let is_whole = self.first_instant(first) == start && self.first_instant(last) == end;
        let days = first.until(last).ok()?.get_days();
        u32::try_from(days).ok().filter(|days| is_whole && *days > 0)
    }

    /// Returns the instant with the same local time this number of days earlier. A time that the clocks skip counts from the
    /// change on; of two the first is meant.
    pub(crate) fn days_earlier(&self, time: Timestamp, days: u32) -> Timestamp {
        let span = jiff::Span::new().try_days(days);
        let earlier = span.and_then(|span| self.civil(time).checked_sub(span));
        earlier.map_or(Timestamp::MIN, |earlier| self.instant_of(earlier))
    }

    /// Returns the start of the month before the one that starts at `start`, and the instant in it with the day and the local
    /// time of `time`: the end of that month if it has no such day. `None` before the first month of all.
    pub(crate) fn month_earlier(&self, start: Timestamp, time: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let month = jiff::Span::new().months(1);
        let before = self.civil(start).date().checked_sub(month).ok()?;
        let (now, earlier) = (self.civil(time), self.civil(time).checked_sub(month).ok()?);
        let same_point = if earlier.day() == now.day() { self.instant_of(earlier) } else { start };
        Some((self.first_instant(before), same_point))
    }

    fn instant_of(&self, civil: DateTime) -> Timestamp {
        self.0.to_ambiguous_timestamp(civil).compatible().map_or(Timestamp::MIN, nearest)
    }

    /// Returns the start of a month between 1970 and 2299.
    pub(crate) fn month_start(&self, year: i16, month: i8) -> Option<Timestamp> {
        let date = Date::new(year, month, 1).ok()?;
        (1970..2300).contains(&year).then(|| self.first_instant(date))
    }
}

const INVALID_DATE: InvalidValue = InvalidValue::new("date", "have the form YYYY-MM-DD, from 1970 to 2299");

fn parse_date(text: &str) -> Result<Date, InvalidValue> {
    // jiff takes more forms.
    let date: Option<Date> = text.parse().ok().filter(|date: &Date| date.to_string() == text);
    date.filter(|date| (1970..2300).contains(&date.year())).ok_or(INVALID_DATE)
}

/// Returns jiff's form of the instant; jiff's range is wider.
fn instant(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default()
}

/// Returns the instant, clamped to the range of [`Timestamp`].
fn nearest(instant: jiff::Timestamp) -> Timestamp {
    let millis = instant.as_millisecond().clamp(Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MIN)
}

impl FromStr for TimeZone {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
        let zone = ZONES.get(name).map_err(|_| INVALID)?;
        // `Etc/Unknown` is a name that denotes no zone.
        if zone.is_unknown() { Err(INVALID) } else { Ok(Self(zone)) }
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for TimeZone {
    type Error = InvalidValue;

    fn try_from(name: String) -> Result<Self, InvalidValue> {
        name.parse()
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> String {
        zone.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_of_the_clock_is_found_in_the_zone() {
        let zone: TimeZone = "Europe/Berlin".parse().unwrap();
        let at: Timestamp = "2026-04-17T08:10:28Z".parse().unwrap();
        let next = |clock, date| zone.next(at, clock, date).map(|time| time.to_string());
        assert_eq!(next((1, 20), None).as_deref(), Some("2026-04-17T23:20:00.000Z"));
        assert_eq!(next((11, 0), None).as_deref(), Some("2026-04-17T09:00:00.000Z"));
        assert_eq!(next((17, 0), Some((4, 3))).as_deref(), Some("2027-04-03T15:00:00.000Z"));
        assert_eq!((next((24, 0), None), next((1, 0), Some((2, 30)))), (None, None));
    }

    #[test]
    fn parses_iana_names_only() {
        for name in ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC", "Etc/GMT+5"] {
            assert_eq!(name.parse::<TimeZone>().unwrap().name(), name);
        }
        for name in ["", "Berlin", "+02:00", "Europe/Berlin ", "../etc/passwd", "Etc/Unknown"] {
            assert_eq!(name.parse::<TimeZone>(), Err(INVALID), "{name}");
        }
    }
}
