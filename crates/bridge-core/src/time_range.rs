//! Half-open time ranges.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BridgeError, CalendarUnit, InvalidValue, TimeZone, Timestamp};

/// A time range from `start` (inclusive) to `end` (exclusive); an absent bound is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// First instant inside; `None` for no lower bound.
    pub start: Option<Timestamp>,
    /// First instant after the range; `None` for no upper bound.
    pub end: Option<Timestamp>,
}

const INVALID_MONTH: InvalidValue = InvalidValue::new("month", "be 1 to 12 of a year from 1970 to 2299");

impl TimeRange {
    /// The range without bounds.
    pub const ALL: Self = Self { start: None, end: None };

    /// Returns the range that starts this number of 24-hour days before `now`.
    #[must_use]
    pub fn last_days(now: Timestamp, days: u32) -> Self {
        Self { start: Some(now.saturating_sub(Duration::from_hours(24 * u64::from(days)))), end: None }
    }

    /// Returns the calendar day of `now` in this zone: 23 to 25 hours, up to the first instant of the next day.
    ///
    /// ```
    /// use bridge_core::{TimeRange, TimeZone};
    ///
    /// let berlin: TimeZone = "Europe/Berlin".parse()?;
    /// let day = TimeRange::today("2026-03-29T12:00:00Z".parse()?, &berlin);
    /// assert_eq!(day.start, Some("2026-03-28T23:00:00Z".parse()?));
    /// assert_eq!(day.end, Some("2026-03-29T22:00:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn today(now: Timestamp, zone: &TimeZone) -> Self {
        Self::last_calendar_days(now, 1, zone)
    }

    /// Returns this number of calendar days in this zone, the last being that of `now`.
    #[must_use]
    pub fn last_calendar_days(now: Timestamp, days: u32, zone: &TimeZone) -> Self {
        let start = zone.day_before(now, days.saturating_sub(1));
        Self { start: Some(start), end: Some(CalendarUnit::Day.end_of(now, zone)) }
    }

    /// Returns a month (1 to 12) of a year in this zone.
    ///
    /// ```
    /// use bridge_core::{TimeRange, TimeZone};
    ///
    /// let month = TimeRange::month(2026, 2, &"Asia/Kathmandu".parse()?)?;
    /// assert_eq!(month.start, Some("2026-01-31T18:15:00Z".parse()?));
    /// assert_eq!(month.end, Some("2026-02-28T18:15:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The month is not 1 to 12, or the year not 1970 to 2299.
    pub fn month(year: i16, month: i8, zone: &TimeZone) -> Result<Self, InvalidValue> {
        let start = zone.month_start(year, month).ok_or(INVALID_MONTH)?;
        Ok(Self { start: Some(start), end: Some(CalendarUnit::Month.end_of(start, zone)) })
    }

    /// Returns the period before this one, ending where this one starts: the month before a month of this zone, as many
    /// calendar days before calendar days, else as much time. Of a range that has not ended by `now` only the part up to the
    /// same point, so that half a day is compared with half a day; up to noon if now is noon, whatever the clocks did in
    /// between. An open end counts as `now`. `None` for a range without a start, or without a length.
    ///
    /// ```
    /// use bridge_core::{TimeRange, TimeZone};
    ///
    /// let now = "2026-03-10T12:00:00Z".parse()?;
    /// let week = TimeRange::last_calendar_days(now, 7, &TimeZone::UTC);
    /// let before = week.previous(now, &TimeZone::UTC).expect("a week has a start");
    /// assert_eq!(before.start, Some("2026-02-25T00:00:00Z".parse()?));
    /// assert_eq!(before.end, Some("2026-03-03T12:00:00Z".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn previous(&self, now: Timestamp, zone: &TimeZone) -> Option<Self> {
        let (start, end) = (self.start?, self.end.unwrap_or(now));
        let length = end.saturating_since(start);
        if length.is_zero() {
            return None;
        }
        let is_month = CalendarUnit::Month.start_of(start, zone) == start
            && CalendarUnit::Month.end_of(start, zone) == end;
        let (before, same_point) = if is_month {
            zone.month_earlier(start, now)?
        } else if let Some(days) = zone.days_between(start, end) {
            (zone.day_before(start, days), zone.days_earlier(now, days))
        } else {
            (start.saturating_sub(length), now.saturating_sub(length))
        };
        // Nothing of a range in the future has passed: it is compared as a whole.
        let until = if (start..end).contains(&now) { same_point.clamp(before, start) } else { start };
        Some(Self { start: Some(before), end: Some(until) })
    }

    /// Returns whether the instant lies inside.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time < end)
    }

    /// Returns the range unless it ends before it starts. A range that ends where it starts is empty and valid.
    ///
    /// # Errors
    ///
    /// [`BridgeError::InvertedRange`] with both bounds.
    pub fn validated(self) -> Result<Self, BridgeError> {
        match (self.start, self.end) {
            (Some(start), Some(end)) if end < start => Err(BridgeError::inverted_range(start, end)),
            _ => Ok(self),
        }
    }

    /// Returns whether the range has no bounds.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_is_inclusive_and_end_exclusive() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let range = TimeRange { start: Some(at(10)), end: Some(at(20)) };
        assert_eq!([9, 10, 19, 20].map(|millis| range.contains(at(millis))), [false, true, true, false]);
        assert!(TimeRange::ALL.contains(Timestamp::MIN) && TimeRange::ALL.contains(Timestamp::MAX));
        assert_eq!(TimeRange::last_days(at(86_400_010), 1).start, Some(at(10)));
    }

    #[test]
    fn a_range_that_has_not_ended_is_compared_with_the_same_part_of_the_previous_one() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let range = |start, end| TimeRange { start: Some(at(start)), end: Some(at(end)) };
        let day = range("2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z");
        let whole = range("2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z");
        for (now, expected) in [
            ("2026-03-10T06:00:00Z", range("2026-03-09T00:00:00Z", "2026-03-09T06:00:00Z")),
            ("2026-03-11T00:00:00Z", whole),
            ("2026-03-20T00:00:00Z", whole),
            ("2026-03-01T00:00:00Z", whole),
        ] {
            assert_eq!(day.previous(at(now), &TimeZone::UTC), Some(expected), "{now}");
        }
        let open = TimeRange { start: day.start, end: None };
        assert_eq!(open.previous(at("2026-03-11T00:00:00Z"), &TimeZone::UTC), Some(whole));
        assert_eq!(TimeRange::ALL.previous(at("2026-03-11T00:00:00Z"), &TimeZone::UTC), None);
    }

    #[test]
    fn calendar_days_are_compared_with_as_many_calendar_days_where_clocks_change() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let range = |start, end| Some(TimeRange { start: Some(at(start)), end: Some(at(end)) });
        let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
        let days = |now: &str, days| {
            let (now, zone) = (at(now), &berlin);
            TimeRange::last_calendar_days(now, days, zone).previous(now, zone)
        };
        // Noon of the days on which the clocks are set forward and back, and of the day after.
        assert_eq!(days("2026-03-29T10:00:00Z", 1), range("2026-03-27T23:00:00Z", "2026-03-28T11:00:00Z"));
        assert_eq!(days("2026-03-30T10:00:00Z", 1), range("2026-03-28T23:00:00Z", "2026-03-29T10:00:00Z"));
        assert_eq!(days("2026-10-25T11:00:00Z", 1), range("2026-10-23T22:00:00Z", "2026-10-24T10:00:00Z"));
        assert_eq!(days("2026-03-31T10:00:00Z", 7), range("2026-03-17T23:00:00Z", "2026-03-24T11:00:00Z"));
        assert_eq!(days("2026-04-20T10:00:00Z", 30), range("2026-02-19T23:00:00Z", "2026-03-21T11:00:00Z"));
        // A time that is left out, and one that lies on a day of 25 hours only.
        assert_eq!(days("2026-03-30T00:30:00Z", 1), range("2026-03-28T23:00:00Z", "2026-03-29T01:30:00Z"));
        assert_eq!(days("2026-10-25T22:59:59Z", 1), range("2026-10-23T22:00:00Z", "2026-10-24T21:59:59Z"));
        let past = TimeRange::today(at("2026-03-29T10:00:00Z"), &berlin);
        let whole = range("2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z");
        assert_eq!(past.previous(at("2026-06-01T00:00:00Z"), &berlin), whole);
        // Not of whole days: as much time.
        let hours = range("2026-03-28T23:30:00Z", "2026-03-29T22:00:00Z").unwrap();
        let before = range("2026-03-28T01:00:00Z", "2026-03-28T23:30:00Z");
        assert_eq!(hours.previous(at("2026-06-01T00:00:00Z"), &berlin), before);
    }

    #[test]
    fn a_month_is_compared_with_the_month_before_up_to_the_same_day_and_time() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
        let before = |month, now: &str| {
            let range = TimeRange::month(2026, month, &berlin).unwrap();
            let TimeRange { start, end } = range.previous(at(now), &berlin).unwrap();
            [start, end].map(|time| berlin.local(time.unwrap()))
        };
        let february = ["2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"];
        assert_eq!(before(3, "2026-06-01T00:00:00Z"), february);
        assert_eq!(before(3, "2026-03-10T11:00:00Z"), [february[0], "2026-02-10T12:00:00+01:00"]);
        // February is over by its 31st.
        assert_eq!(before(3, "2026-03-31T10:00:00Z"), february);
        let march = "2026-03-01T00:00:00+01:00";
        assert_eq!(before(4, "2026-04-30T21:59:59Z"), [march, "2026-03-30T23:59:59+02:00"]);
        assert_eq!(before(1, "2026-01-15T11:00:00Z")[0], "2025-12-01T00:00:00+01:00");
    }

    #[test]
    fn rejects_inverted_ranges() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let (early, late) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
        for range in [(early, late), (early, early), (None, early), (late, None), (None, None)] {
            let range = TimeRange { start: range.0, end: range.1 };
            assert_eq!(range.validated().unwrap(), range);
        }
        let error = TimeRange { start: late, end: early }.validated().unwrap_err();
        assert_eq!(error.kind(), "inverted_range");
        assert!(
            error.to_string().contains("2026-01-01") && error.to_string().contains("2026-02-01"),
            "{error}"
        );
    }

    #[test]
    fn days_and_months_follow_the_time_zone() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let range = |start, end| TimeRange { start: Some(at(start)), end: Some(at(end)) };
        let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
        let now = at("2026-10-25T12:00:00Z");
        assert_eq!(TimeRange::today(now, &berlin), range("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
        let week = TimeRange::last_calendar_days(now, 7, &berlin);
        assert_eq!(week, range("2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z"));
        let march = TimeRange::month(2026, 3, &berlin).unwrap();
        assert_eq!(march, range("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"));
        for (year, month) in [(2026, 0), (2026, 13), (1969, 12), (2300, 1), (i16::MIN, 1), (i16::MAX, 12)] {
            assert_eq!(TimeRange::month(year, month, &TimeZone::UTC), Err(INVALID_MONTH), "{year}-{month}");
        }
        assert_eq!(TimeRange::today(Timestamp::MIN, &berlin).start, Some(Timestamp::MIN));
        assert_eq!(TimeRange::last_calendar_days(now, u32::MAX, &berlin).start, Some(Timestamp::MIN));
        assert_eq!(TimeRange::month(2299, 12, &TimeZone::UTC).unwrap().end, Some(Timestamp::MAX));
    }
}
