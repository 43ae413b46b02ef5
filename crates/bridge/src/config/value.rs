//! Values as they are given, and what is made of them.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use bridge_storage::Retention;

/// A value as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    Nothing,
    Text(String),
    List(Vec<String>),
}

/// The value is not what the key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit;

/// Whether the text looks like a URL, or the part of one with user and password: then no error quotes it.
pub(super) fn may_hold_a_password(text: &str) -> bool {
    text.contains("://") || text.contains('@')
}

pub(super) const DAY: Duration = Duration::from_hours(24);

pub(super) fn text(given: &Given) -> Result<&str, Unfit> {
    match given {
        Given::Text(text) if !text.is_empty() => Ok(text),
        _ => Err(Unfit),
    }
}

/// A text, or nothing.
pub(super) fn optional<T>(
    given: &Given,
    make: impl FnOnce(&Given) -> Result<T, Unfit>,
) -> Result<Option<T>, Unfit> {
    if *given == Given::Nothing { Ok(None) } else { make(given).map(Some) }
}

pub(super) fn owned(given: &Given) -> Result<String, Unfit> {
    text(given).map(str::to_owned)
}

/// A text of these characters, not longer than names in the database are.
pub(super) fn word(given: &Given, is_allowed: impl Fn(char) -> bool) -> Result<String, Unfit> {
    owned(given).and_then(|text| {
        if text.len() <= 128 && text.chars().all(is_allowed) { Ok(text) } else { Err(Unfit) }
    })
}

pub(super) fn count(given: &Given, allowed: RangeInclusive<u64>) -> Result<u64, Unfit> {
    let digits = text(given)?;
    // `parse` would take a sign.
    let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None };
    number.filter(|number| allowed.contains(number)).ok_or(Unfit)
}

pub(super) fn size(given: &Given, allowed: RangeInclusive<u64>) -> Result<usize, Unfit> {
    usize::try_from(count(given, allowed)?).map_err(|_| Unfit)
}

pub(super) fn small(given: &Given, allowed: RangeInclusive<u64>) -> Result<u32, Unfit> {
    u32::try_from(count(given, allowed)?).map_err(|_| Unfit)
}

/// `0.1%`, as a share of 1.
pub(super) fn share(given: &Given) -> Result<f64, Unfit> {
    let number = text(given)?.strip_suffix('%').ok_or(Unfit)?;
    // `parse` would take a sign, an exponent and infinity.
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent: Option<f64> = if is_plain { number.parse().ok() } else { None };
    percent.filter(|percent| *percent <= 100.0).map(|percent| percent / 100.0).ok_or(Unfit)
}

pub(super) fn truth(given: &Given) -> Result<bool, Unfit> {
    match text(given)? {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Unfit),
    }
}

/// A whole number and its unit, `30s`.
pub(super) fn duration(given: &Given, allowed: RangeInclusive<Duration>) -> Result<Duration, Unfit> {
    let text = text(given)?;
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(Unfit)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| Unfit)?;
    let seconds_a_unit = match unit {
        "ms" => {
            return Some(Duration::from_millis(number)).filter(|time| allowed.contains(time)).ok_or(Unfit);
        }
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(Unfit),
    };
    let time = number.checked_mul(seconds_a_unit).map(Duration::from_secs);
    time.filter(|time| allowed.contains(time)).ok_or(Unfit)
}

/// From a millisecond to a day: what somebody may wait for.
pub(super) fn patience(given: &Given) -> Result<Duration, Unfit> {
    duration(given, Duration::from_millis(1)..=DAY)
}

pub(super) fn retention(given: &Given) -> Result<Option<Retention>, Unfit> {
    match text(given)? {
        "keep" => Ok(None),
        "off" => Ok(Some(Retention::Forever)),
        _ => duration(given, DAY..=DAY * 36_500).map(|time| Some(Retention::For(time))),
    }
}

/// A path as it is. Who writes `~` means another one.
pub(super) fn path(given: &Given) -> Result<PathBuf, Unfit> {
    let text = text(given)?;
    if text.starts_with('~') { Err(Unfit) } else { Ok(PathBuf::from(text)) }
}

/// Sources, in which the bridge expands a leading `~/`.
pub(super) fn paths(given: &Given) -> Result<Vec<PathBuf>, Unfit> {
    let source = |one: &String| match one.starts_with("~/") || one == "~" {
        true => Ok(PathBuf::from(one)),
        false => path(&Given::Text(one.clone())),
    };
    match given {
        Given::List(paths) => paths.iter().map(source).collect(),
        _ => Err(Unfit),
    }
}

/// A server's address with nothing else in it: user, password and database have keys of their own.
pub(super) fn address(given: &Given) -> Result<String, Unfit> {
    let text = text(given)?;
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or(Unfit)?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let is_plain = !host.is_empty() && !host.contains(|c: char| "@/?#\\".contains(c) || c.is_whitespace());
    if is_plain { Ok(text.to_owned()) } else { Err(Unfit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        let read = |text: &str| {
            duration(&given(text), Duration::ZERO..=Duration::MAX).ok().map(|time| time.as_millis())
        };
        assert_eq!(read("250ms"), Some(250));
        assert_eq!(["30s", "2m", "1h", "7d"].map(read), [30_000, 120_000, 3_600_000, 604_800_000].map(Some));
        for text in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "30 s",
            "30S",
            "1w",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn counts_have_digits_and_limits() {
        assert_eq!(count(&given("10"), 1..=10), Ok(10));
        for text in ["0", "11", "+5", "-5", "5.0", "0x5", "1e1", "five", ""] {
            assert_eq!(count(&given(text), 1..=10), Err(Unfit), "{text}");
        }
    }

    #[test]
    fn a_share_is_given_in_percent() {
        let read = |text: &str| share(&given(text));
        assert_eq!(read("0%"), Ok(0.0));
        assert_eq!(read("100%"), Ok(1.0));
        assert!(read("0.1%").is_ok_and(|share| (share - 0.001).abs() < 1e-12));
        for text in ["", "%", "0.1", "101%", "-1%", "1e1%", "inf%", "1.2.3%", "5 %", "NaN%"] {
            assert_eq!(read(text), Err(Unfit), "{text}");
        }
    }

    #[test]
    fn an_address_holds_no_credentials() {
        assert!(address(&given("http://localhost:8123/")).is_ok());
        for text in [
            "localhost:8123",
            "http://me:pw@db",
            "http://db/usage",
            "http://db?user=me",
            "http://",
            "ftp://db",
        ] {
            assert_eq!(address(&given(text)), Err(Unfit), "{text}");
        }
    }

    #[test]
    fn retention_is_off_kept_or_whole_days_and_more() {
        assert_eq!(retention(&given("off")), Ok(Some(Retention::Forever)));
        assert_eq!(retention(&given("keep")), Ok(None));
        assert_eq!(retention(&given("400d")), Ok(Some(Retention::For(DAY * 400))));
        // Somebody who means days and writes seconds would lose everything.
        assert_eq!(retention(&given("400s")), Err(Unfit));
    }
}
