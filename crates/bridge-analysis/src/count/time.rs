//! Parses the times of records: RFC 3339, as the counting rule defines.

use bridge_core::Timestamp;

use crate::json::{Raw, string_bytes};

/// Returns the time that a raw JSON value contains; `None` if it is not an RFC 3339 time from 1970 to 2299.
pub(crate) fn read_time(value: Raw<'_>) -> Option<Timestamp> {
    rfc3339(&string_bytes(value)?)
}

/// A date, `T`, a time, an optional fraction (truncated to milliseconds), `Z` or an offset. Written by hand
/// because every line with usage has one, and a general parser takes ten times as long.
fn rfc3339(text: &[u8]) -> Option<Timestamp> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', i1, i2, b':', s1, s2] =
        *date_time
    else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(i1, i2)?, two(s1, s2)?);
    let is_date = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, zone) = fraction_millis(rest)?;
    // A leap second is the last one of its minute, as in POSIX time.
    let seconds_of_day = hour * 3600 + minute * 60 + second.min(59);
    let seconds = days_since_1970(year, month, day) * 86_400 + seconds_of_day - offset_seconds(zone)?;
    Timestamp::from_millis(seconds * 1000 + millis).ok()
}

/// Reads a number of two digits.
fn two(tens: u8, ones: u8) -> Option<i64> {
    let both = tens.is_ascii_digit() && ones.is_ascii_digit();
    both.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Reads the milliseconds of a fraction, if there is one, and returns the text after it.
fn fraction_millis(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else { return Some((0, text)) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let digit = |place: usize| if place < digits { i64::from(rest[place] - b'0') } else { 0 };
    Some((digit(0) * 100 + digit(1) * 10 + digit(2), &rest[digits..]))
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            let seconds = hours * 3600 + minutes * 60;
            (hours <= 23 && minutes <= 59).then_some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days of the civil calendar, counted from March so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn formatted_times_parse_to_themselves(millis in 0..=Timestamp::MAX.as_millis()) {
            let time = Timestamp::from_millis(millis).unwrap();
            prop_assert_eq!(rfc3339(time.to_string().as_bytes()), Some(time));
        }

        #[test]
        fn agrees_with_the_full_parser(
            text in "(19|20|23)[0-9]{2}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|z|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9])",
        ) {
            prop_assert_eq!(rfc3339(text.as_bytes()), text.parse().ok());
        }
    }

    #[test]
    fn escapes_are_read_and_other_forms_are_not() {
        let time = Timestamp::from_millis(1_769_862_896_000).unwrap();
        for text in ["2026-01-31T12:34:56Z", "2026-01-31 13:34:56.0009+01:00", r"2026-01-31T12:34:5\u0036Z"] {
            assert_eq!(read_time(&format!("\"{text}\"")), Some(time), "{text}");
        }
        for text in [
            "1769862896000",
            "\"2026-01-31\"",
            "\"2026-01-31T12:34:56\"",
            "\"2026-01-31T12:34:56.Z\"",
            "\"\"",
        ] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }
}
