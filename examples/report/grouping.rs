//! What a row of the report stands for.

use std::fmt;
use std::str::FromStr;

use bridge::{CalendarUnit, Dimension};

/// What a row stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// A step of the calendar.
    Calendar(CalendarUnit),
    /// A value of a dimension.
    By(Dimension),
}

const CALENDAR: [(&str, CalendarUnit); 4] = [
    ("hour", CalendarUnit::Hour),
    ("day", CalendarUnit::Day),
    ("week", CalendarUnit::Week),
    ("month", CalendarUnit::Month),
];

impl FromStr for Grouping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, unit)) = CALENDAR.into_iter().find(|(name, _)| *name == text) {
            return Ok(Self::Calendar(unit));
        }
        let dimension = text.parse().map(Self::By);
        dimension.map_err(|error: bridge::InvalidValue| format!("must be hour, week or month, or {error}"))
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calendar(unit) => {
                let name = CALENDAR.into_iter().find(|(_, known)| known == unit).map_or("", |(name, _)| name);
                f.write_str(name)
            }
            Self::By(dimension) => dimension.fmt(f),
        }
    }
}
