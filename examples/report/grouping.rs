//! Keys of the report's rows.

use std::fmt;
use std::str::FromStr;

use bridge::blocks::BlockLength;
use bridge::{CalendarUnit, Dimension};

/// The key of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// A step of the calendar.
    Calendar(CalendarUnit),
    /// A window by which clients limit usage.
    Block(BlockLength),
    /// A value of a dimension.
    By(Dimension),
}

const BLOCKS: [(&str, BlockLength); 2] =
    [("block", BlockLength::FiveHours), ("seven-day", BlockLength::SevenDays)];

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
        if let Some((_, length)) = BLOCKS.into_iter().find(|(name, _)| *name == text) {
            return Ok(Self::Block(length));
        }
        let dimension = text.parse().map(Self::By);
        dimension.map_err(|error: bridge::InvalidValue| {
            format!("must be hour, week, month, block or seven-day, or {error}")
        })
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calendar(unit) => {
                let name = CALENDAR.into_iter().find(|(_, known)| known == unit).map_or("", |(name, _)| name);
                f.write_str(name)
            }
            Self::Block(length) => {
                let name = BLOCKS.into_iter().find(|(_, known)| known == length).map_or("", |(name, _)| name);
                f.write_str(name)
            }
            Self::By(dimension) => dimension.fmt(f),
        }
    }
}
