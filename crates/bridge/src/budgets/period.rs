//! The periods of budgets.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bridge_core::{CalendarUnit, InvalidValue, TimeZone, Timestamp};
use serde::{Deserialize, Serialize};

/// The period that a budget is for.
///
/// ```
/// use bridge::budgets::BudgetPeriod;
///
/// let now = "2026-03-29T12:00:00Z".parse()?;
/// let berlin = "Europe/Berlin".parse()?;
/// // The clocks are set forward: a day of 23 hours.
/// let (start, end) = BudgetPeriod::Day.bounds(now, &berlin);
/// assert_eq!([start, end].map(|time| time.to_string()), ["2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"]);
/// assert_eq!("rolling 30d".parse(), Ok(BudgetPeriod::Rolling { days: 30 }));
/// assert_eq!(BudgetPeriod::Rolling { days: 1 }.bounds(now, &berlin), ("2026-03-28T12:00:00Z".parse()?, now));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BudgetPeriod {
    /// A calendar day.
    Day,
    /// A week from Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// The last days, of 24 hours each, up to now.
    Rolling {
        /// Their number, 1 to 366.
        days: u32,
    },
}

const INVALID: InvalidValue =
    InvalidValue::new("period of a budget", "be day, week, month or rolling 7d (1 to 366 days)");
const DAYS_MAX: u32 = 366;

impl BudgetPeriod {
    /// Returns the first instant of the period that `now` lies in, and the first instant after it. A rolling period
    /// ends with `now`.
    #[must_use]
    pub fn bounds(self, now: Timestamp, zone: &TimeZone) -> (Timestamp, Timestamp) {
        let of = |unit: CalendarUnit| (unit.start_of(now, zone), unit.end_of(now, zone));
        match self {
            Self::Day => of(CalendarUnit::Day),
            Self::Week => of(CalendarUnit::Week),
            Self::Month => of(CalendarUnit::Month),
            Self::Rolling { days } => {
                (now.saturating_sub(Duration::from_hours(24).saturating_mul(days)), now)
            }
        }
    }

    /// Returns the current period as the end of a sentence.
    pub(crate) fn phrase(self) -> String {
        match self {
            Self::Day => "today".to_owned(),
            Self::Week => "this week".to_owned(),
            Self::Month => "this month".to_owned(),
            Self::Rolling { days: 1 } => "in the last 24 hours".to_owned(),
            Self::Rolling { days } => format!("in the last {days} days"),
        }
    }

    pub(super) fn is_valid(self) -> bool {
        !matches!(self, Self::Rolling { days } if !(1..=DAYS_MAX).contains(&days))
    }
}

impl fmt::Display for BudgetPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.write_str("day"),
            Self::Week => f.write_str("week"),
            Self::Month => f.write_str("month"),
            Self::Rolling { days } => write!(f, "rolling {days}d"),
        }
    }
}

impl FromStr for BudgetPeriod {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "day" => return Ok(Self::Day),
            "week" => return Ok(Self::Week),
            "month" => return Ok(Self::Month),
            _ => {}
        }
        let days = text.strip_prefix("rolling ").and_then(|days| days.strip_suffix('d'));
        // `parse` would take a sign.
        let days = days.filter(|days| days.bytes().all(|byte| byte.is_ascii_digit()));
        let period = days.and_then(|days| days.parse().ok()).map(|days| Self::Rolling { days });
        period.filter(|period| period.is_valid()).ok_or(INVALID)
    }
}

impl TryFrom<String> for BudgetPeriod {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<BudgetPeriod> for String {
    fn from(period: BudgetPeriod) -> Self {
        period.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MILLIS: i64 = 3_600_000;

    #[test]
    fn a_period_is_written_as_it_is_read() {
        for text in ["day", "week", "month", "rolling 1d", "rolling 366d"] {
            assert_eq!(text.parse::<BudgetPeriod>().unwrap().to_string(), text);
        }
        for text in
            ["", "Day", "year", "rolling", "rolling 0d", "rolling 367d", "rolling +7d", "rolling 7", "7d"]
        {
            assert_eq!(text.parse::<BudgetPeriod>(), Err(INVALID), "{text}");
        }
    }

    /// Zones with every habit: clocks set at midnight, by half an hour, twice a year, to the day after tomorrow.
    const ZONES: [&str; 7] = [
        "UTC",
        "Europe/Berlin",
        "America/Santiago",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Pacific/Apia",
        "Asia/Kathmandu",
    ];

    proptest! {
        #[test]
        fn periods_follow_one_another_without_gaps(
            zone in prop::sample::select(&ZONES[..]),
            period in prop::sample::select(&[BudgetPeriod::Day, BudgetPeriod::Week, BudgetPeriod::Month][..]),
            millis in 0_i64..4_000_000_000_000,
        ) {
            let zone: TimeZone = zone.parse().unwrap();
            let now = Timestamp::from_millis(millis).unwrap();
            let (start, end) = period.bounds(now, &zone);
            prop_assert!(start <= now && now < end);
            // The same for every instant of the period, and another one right before and after it.
            let last = Timestamp::from_millis(end.as_millis() - 1).unwrap();
            prop_assert_eq!(period.bounds(start, &zone), (start, end));
            prop_assert_eq!(period.bounds(last, &zone), (start, end));
            prop_assert_eq!(period.bounds(end, &zone).0, end);
            if let Ok(before) = Timestamp::from_millis(start.as_millis() - 1) {
                prop_assert_eq!(period.bounds(before, &zone).1, start);
            }
            let hours = (end.as_millis() - start.as_millis()) / HOUR_MILLIS;
            // A clock change moves the end by up to an hour; Samoa left out a whole day.
            let allowed = match period {
                BudgetPeriod::Day => 22..=25,
                BudgetPeriod::Week => 6 * 24 - 1..=7 * 24 + 1,
                _ => 27 * 24..=31 * 24 + 1,
            };
            prop_assert!(allowed.contains(&hours), "{} hours", hours);
            // Bounds are where the local date changes.
            prop_assert_ne!(zone.date(last), zone.date(end));
        }

        #[test]
        fn a_rolling_period_is_as_long_as_its_days(days in 1_u32..=366, millis in 40_000_000_000_i64..4_000_000_000_000) {
            let now = Timestamp::from_millis(millis).unwrap();
            let (start, end) = BudgetPeriod::Rolling { days }.bounds(now, &"Europe/Berlin".parse().unwrap());
            prop_assert_eq!((end, end.as_millis() - start.as_millis()), (now, i64::from(days) * 24 * HOUR_MILLIS));
        }
    }
}
