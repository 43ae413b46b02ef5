//! Numbers and times as people read them.

use std::fmt::{self, Display};
use std::time::Duration;

/// Displays an integer with its digits in groups of three: `2,768,012,012`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grouped(pub(super) u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let first = (digits.len() - 1) % 3 + 1;
        f.write_str(&digits[..first])?;
        digits.as_bytes()[first..].chunks(3).try_for_each(|group| {
            f.write_str(",")?;
            f.write_str(std::str::from_utf8(group).expect("digits are UTF-8"))
        })
    }
}

/// Displays an integer in three or four characters and a unit: `2.77 B`, rounded down, so that no total is overstated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compact(pub(super) u64);

const UNITS: [(u64, &str); 4] =
    [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")];

impl Display for Compact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| self.0 >= *unit) else {
            return self.0.fmt(f);
        };
        let hundredths = u128::from(self.0) * 100 / u128::from(unit);
        let (whole, rest) = (hundredths / 100, hundredths % 100);
        match whole {
            0..10 => write!(f, "{whole}.{rest:02}\u{a0}{name}"),
            10..100 => write!(f, "{whole}.{}\u{a0}{name}", rest / 10),
            _ => write!(f, "{whole}\u{a0}{name}"),
        }
    }
}

/// Displays a share from 0 to 1 as a percentage with a decimal. Something never reads as nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Percent(pub(super) f64);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            share if share > 0.0 && share < 0.001 => f.write_str("<\u{a0}0.1\u{a0}%"),
            share => write!(f, "{:.1}\u{a0}%", share * 100.0),
        }
    }
}

/// Returns the share of a part, 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Displays a duration by its two greatest units.
pub(super) fn duration(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{} s", time.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (2_768_012_012, "2,768,012,012"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(Grouped(number).to_string(), text);
        }
    }

    #[test]
    fn compact_numbers_never_overstate() {
        for (number, text) in [
            (999, "999"),
            (1_000, "1.00\u{a0}K"),
            (9_999, "9.99\u{a0}K"),
            (99_999, "99.9\u{a0}K"),
            (999_999, "999\u{a0}K"),
            (2_768_012_012, "2.76\u{a0}B"),
            (u64::MAX, "18446744\u{a0}T"),
        ] {
            assert_eq!(Compact(number).to_string(), text);
        }
    }

    #[test]
    fn the_share_of_nothing_is_zero() {
        assert_eq!(Percent(share(1, 8)).to_string(), "12.5\u{a0}%");
        assert_eq!(Percent(share(0, 0)).to_string(), "0.0\u{a0}%");
        assert_eq!(Percent(share(1, 2_000)).to_string(), "<\u{a0}0.1\u{a0}%");
    }
}
