//! Parses RFC 3339 times.

/// The last millisecond of 2299.
pub(crate) const MILLIS_MAX: i64 = 10_413_791_999_999;

/// Parses an RFC 3339 date and time to milliseconds since 1970 UTC, truncating smaller units. Rejects times before 1970
/// and after 2299, which cannot be stored.
pub(crate) fn millis(text: &[u8]) -> Option<i64> {
    let date_time = text.get(..19)?;
    for (at, separators) in [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")] {
        if !separators.as_bytes().contains(&date_time[at]) {
            return None;
        }
    }
    let field = |from: usize, to: usize| number(&date_time[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if day == 0 || day > days_in_month(year, month)? || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_millis, zone) = fraction(&text[19..])?;
    // Maps a leap second to the preceding second.
    let seconds =
        days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59) - offset_seconds(zone)?;
    Some(seconds * 1000 + fraction_millis).filter(|millis| (0..=MILLIS_MAX).contains(millis))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

/// Parses an optional fraction. Returns its milliseconds and the remaining text.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, zone) = rest.split_at(length);
    let mut three = [b'0'; 3];
    three.iter_mut().zip(digits).for_each(|(digit, given)| *digit = *given);
    if digits.is_empty() { None } else { Some((number(&three)?, zone)) }
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            let seconds = hours * 3600 + minutes * 60;
            (hours <= 23 && minutes <= 59).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> Option<i64> {
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => return None,
    })
}

/// Returns the number of days from 1970-01-01 to a valid date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let past = year - 1;
    let before_year = past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
    let before_month: i64 = (1..month).filter_map(|month| days_in_month(year, month)).sum();
    before_year + before_month + day - 1 - 719_162
}

#[cfg(test)]
mod tests {
    use super::{MILLIS_MAX, millis};

    #[test]
    fn agrees_with_jiff() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let time = jiff::Timestamp::from_millisecond(rng.i64(0..=MILLIS_MAX)).unwrap();
            assert_eq!(millis(time.to_string().as_bytes()), Some(time.as_millisecond()), "{time}");
        }
        for text in [
            "2026-02-28T23:59:60Z",
            "2024-02-29t10:00:00.1239z",
            "2026-01-01 00:00:00+05:30",
            "1999-12-31T23:59:59-23:59",
        ] {
            let time: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(millis(text.as_bytes()), Some(time.as_millisecond()), "{text}");
        }
    }

    #[test]
    fn invalid_and_unstorable_times_are_rejected() {
        for text in [
            "",
            "yesterday",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01",
            "2026-01-01T00:00:00+0530",
            "1767225600000",
            "1969-12-31T23:59:59.999Z",
            "2300-01-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
        ] {
            assert_eq!(millis(text.as_bytes()), None, "{text}");
        }
    }
}
