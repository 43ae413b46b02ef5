//! Forms of values: what is read from a text, and how a value is written.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use bridge_analysis::{ProjectGroupRule, ProjectNameRule};
use bridge_core::{AttributionValue, ProjectName};
use bridge_storage::Retention;

use super::Secret;
use super::node::Node;

/// A value as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RawValue {
    Nothing,
    Text(String),
    List(Vec<String>),
    Pairs(Vec<(String, String)>),
    /// A list of values that have keys of their own.
    Nodes(Vec<Node>),
}

impl RawValue {
    fn text(&self) -> Result<&str, WrongForm> {
        match self {
            Self::Text(text) if !text.is_empty() => Ok(text),
            _ => Err(WrongForm),
        }
    }
}

/// The value is not of the form that the key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrongForm;

/// The form of a value: reads and writes it.
pub(super) trait Form<T> {
    /// Describes the values that are allowed.
    fn allowed(&self) -> String;

    /// Reads a value.
    fn read(&self, raw: &RawValue) -> Result<T, WrongForm>;

    /// Writes a value in YAML's form.
    fn write(&self, value: &T) -> String;
}

/// Returns whether the text looks like a URL, or the part of one with user and password: then no error quotes it.
pub(super) fn may_hold_a_password(text: &str) -> bool {
    text.contains("://") || text.contains('@')
}

/// A whole number in a range, of units of this size; 0 may have a meaning of its own.
pub(super) struct Number {
    range: RangeInclusive<u64>,
    zero: &'static str,
    unit: u64,
}

pub(super) const fn number(range: RangeInclusive<u64>) -> Number {
    Number { range, zero: "", unit: 1 }
}

/// A number of MiB, kept in bytes.
pub(super) const fn mebibytes(range: RangeInclusive<u64>) -> Number {
    Number { range, zero: "", unit: 1 << 20 }
}

impl Number {
    pub(super) const fn zero_is(mut self, zero: &'static str) -> Self {
        self.zero = zero;
        self
    }
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Form<T> for Number {
    fn allowed(&self) -> String {
        let zero = if self.zero.is_empty() { String::new() } else { format!(" ({})", self.zero) };
        format!("a whole number from {}{zero} to {}", self.range.start(), self.range.end())
    }

    fn read(&self, raw: &RawValue) -> Result<T, WrongForm> {
        let digits = raw.text()?;
        // `parse` would take a sign.
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u64> = if is_plain { digits.parse().ok() } else { None };
        let number = number.filter(|number| self.range.contains(number)).ok_or(WrongForm)?;
        T::try_from(number.saturating_mul(self.unit)).map_err(|_| WrongForm)
    }

    fn write(&self, value: &T) -> String {
        ((*value).try_into().unwrap_or(u64::MAX) / self.unit).to_string()
    }
}

/// A whole number of seconds.
pub(super) struct Seconds(pub(super) Number);

impl Form<Duration> for Seconds {
    fn allowed(&self) -> String {
        Form::<u64>::allowed(&self.0)
    }

    fn read(&self, raw: &RawValue) -> Result<Duration, WrongForm> {
        self.0.read(raw).map(Duration::from_secs)
    }

    fn write(&self, value: &Duration) -> String {
        value.as_secs().to_string()
    }
}

/// From a millisecond to a day: a time to wait.
pub(super) struct Time;

impl Form<Duration> for Time {
    fn allowed(&self) -> String {
        "a duration from 1ms to 1d, like 30s".to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Duration, WrongForm> {
        duration(raw, Duration::from_millis(1)..=DAY)
    }

    fn write(&self, value: &Duration) -> String {
        written(*value)
    }
}

/// From a minute to 30 days: a time without a sign of life.
pub(super) struct Absence;

impl Form<Duration> for Absence {
    fn allowed(&self) -> String {
        "a duration from 1m to 30d, like 3d".to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Duration, WrongForm> {
        duration(raw, Duration::from_mins(1)..=30 * DAY)
    }

    fn write(&self, value: &Duration) -> String {
        written(*value)
    }
}

const DAY: Duration = Duration::from_hours(24);

/// The units of durations, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a whole number and its unit, `30s`.
fn duration(raw: &RawValue, allowed: RangeInclusive<Duration>) -> Result<Duration, WrongForm> {
    let text = raw.text()?;
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(WrongForm)?;
    let (number, unit) = text.split_at(unit_at);
    let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(WrongForm)?;
    let time = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis));
    time.map(Duration::from_millis).filter(|time| allowed.contains(time)).ok_or(WrongForm)
}

/// Writes a duration in the greatest unit of which it is two or more; seconds are never split.
fn written(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let is_fit =
        |(_, unit): &(&str, u64)| millis.is_multiple_of(*unit) && (millis >= 2 * unit || *unit <= 1000);
    let (name, unit) = UNITS.into_iter().find(is_fit).unwrap_or(("ms", 1));
    format!("{}{name}", millis / unit)
}

/// The time that rows stay; `keep` leaves the tables as they are.
pub(super) struct Keeping;

impl Form<Option<Retention>> for Keeping {
    fn allowed(&self) -> String {
        "off, keep, or a duration from 1d to 36500d, like 400d".to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Option<Retention>, WrongForm> {
        match raw.text()? {
            "keep" => Ok(None),
            "off" => Ok(Some(Retention::Forever)),
            _ => duration(raw, DAY..=DAY * 36_500).map(|time| Some(Retention::For(time))),
        }
    }

    fn write(&self, value: &Option<Retention>) -> String {
        match value {
            None => "keep".to_owned(),
            Some(Retention::For(time)) => written(*time),
            Some(_) => "off".to_owned(),
        }
    }
}

/// A share of 1 in percent, `0.1%`.
pub(super) struct Percent;

impl Form<f64> for Percent {
    fn allowed(&self) -> String {
        "a share from 0% to 100%, like 0.1%".to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<f64, WrongForm> {
        let number = raw.text()?.strip_suffix('%').ok_or(WrongForm)?;
        // `parse` would take a sign, an exponent and infinity.
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent: Option<f64> = if is_plain { number.parse().ok() } else { None };
        percent.filter(|percent| *percent <= 100.0).map(|percent| percent / 100.0).ok_or(WrongForm)
    }

    fn write(&self, value: &f64) -> String {
        format!("{}%", value * 100.0)
    }
}

/// One of these words.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Form<T> for Choice<T> {
    fn allowed(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        let (last, others) = words.split_last().unwrap_or((&"", &[]));
        format!("{} or {last}", others.join(", "))
    }

    fn read(&self, raw: &RawValue) -> Result<T, WrongForm> {
        let text = raw.text()?;
        self.0.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or(WrongForm)
    }

    fn write(&self, value: &T) -> String {
        self.0.iter().find(|(_, choice)| choice == value).map_or("", |(word, _)| *word).to_owned()
    }
}

/// `true` or `false`.
pub(super) const BOOLEAN: Choice<bool> = Choice(&[("true", true), ("false", false)]);

/// A text; an empty one is written as `null`.
pub(super) struct Text {
    pub(super) allowed: &'static str,
    pub(super) is_allowed: fn(&str) -> bool,
}

impl Form<String> for Text {
    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<String, WrongForm> {
        let text = raw.text()?;
        if (self.is_allowed)(text) { Ok(text.to_owned()) } else { Err(WrongForm) }
    }

    fn write(&self, value: &String) -> String {
        if value.is_empty() { "null".to_owned() } else { value.clone() }
    }
}

impl Form<Secret> for Text {
    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Secret, WrongForm> {
        self.read(raw).map(|text: String| Secret::new(text))
    }

    fn write(&self, _: &Secret) -> String {
        "(a secret)".to_owned()
    }
}

/// A path as it is. A leading `~` is refused, because nothing would expand it.
pub(super) struct FilePath;

impl Form<PathBuf> for FilePath {
    fn allowed(&self) -> String {
        "a path (`~` is not expanded)".to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<PathBuf, WrongForm> {
        let text = raw.text()?;
        if text.starts_with('~') { Err(WrongForm) } else { Ok(PathBuf::from(text)) }
    }

    fn write(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// Sources, in which the bridge expands a leading `~/`.
pub(super) struct Sources;

impl Form<Vec<PathBuf>> for Sources {
    fn allowed(&self) -> String {
        "a list of paths (a leading `~/` is the home folder)".to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Vec<PathBuf>, WrongForm> {
        let source = |one: &String| match one.starts_with("~/") || one == "~" {
            true => Ok(PathBuf::from(one)),
            false => FilePath.read(&RawValue::Text(one.clone())),
        };
        match raw {
            RawValue::List(paths) => paths.iter().map(source).collect(),
            _ => Err(WrongForm),
        }
    }

    fn write(&self, value: &Vec<PathBuf>) -> String {
        let paths: Vec<_> = value.iter().map(|path| path.display().to_string()).collect();
        format!("[{}]", paths.join(", "))
    }
}

/// Separates the scope of a rule from what it is given.
pub(super) const ARROW: &str = "=>";

/// Current names of projects: `/old/path => /new/path`.
pub(super) struct ProjectNameRules;

impl Form<Vec<ProjectNameRule>> for ProjectNameRules {
    fn allowed(&self) -> String {
        "a list of rules like `/home/pat/old-app => /home/pat/app`: a folder (with what is inside) or a pattern of paths, and \
         the project that it counts for"
            .to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Vec<ProjectNameRule>, WrongForm> {
        rules(raw, |scope, name| {
            let name = ProjectName::new(name).map_err(|_| WrongForm)?;
            ProjectNameRule::new(scope, name.as_str()).map_err(|_| WrongForm)
        })
    }

    fn write(&self, value: &Vec<ProjectNameRule>) -> String {
        written_rules(value.len())
    }
}

/// Groups of projects: `/projects/acme => acme`.
pub(super) struct ProjectGroupRules;

impl Form<Vec<ProjectGroupRule>> for ProjectGroupRules {
    fn allowed(&self) -> String {
        "a list of rules like `/projects/acme => acme`: a folder (with what is inside) or a pattern of paths, and the group \
         that it belongs to"
            .to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Vec<ProjectGroupRule>, WrongForm> {
        rules(raw, |scope, group| {
            let group = AttributionValue::new(group).map_err(|_| WrongForm)?;
            ProjectGroupRule::new(scope, group).map_err(|_| WrongForm)
        })
    }

    fn write(&self, value: &Vec<ProjectGroupRule>) -> String {
        written_rules(value.len())
    }
}

/// Reads a list of rules of a scope and what it is given.
fn rules<T>(raw: &RawValue, rule: impl Fn(&str, &str) -> Result<T, WrongForm>) -> Result<Vec<T>, WrongForm> {
    let RawValue::List(texts) = raw else { return Err(WrongForm) };
    let parts = |text: &String| {
        let (scope, given) = text.split_once(ARROW).ok_or(WrongForm)?;
        rule(checked_scope(scope)?, given.trim())
    };
    texts.iter().map(parts).collect()
}

/// Returns a scope of paths. Nothing would expand a `~`, and an empty one matches nothing.
pub(super) fn checked_scope(text: &str) -> Result<&str, WrongForm> {
    let scope = text.trim();
    if scope.is_empty() || scope.starts_with('~') { Err(WrongForm) } else { Ok(scope) }
}

pub(super) fn written_rules(number: usize) -> String {
    format!("[{}]", vec!["(a rule)"; number].join(", "))
}

/// Names, each with a text: a mapping in YAML, `a=b,c=d` in a variable. No name occurs twice.
pub(super) struct Pairs {
    pub(super) allowed: &'static str,
    pub(super) is_allowed: fn(&str, &str) -> bool,
}

impl<T: From<String>> Form<BTreeMap<String, T>> for Pairs {
    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<BTreeMap<String, T>, WrongForm> {
        let pairs = match raw {
            RawValue::Pairs(pairs) if pairs.iter().all(|(name, value)| (self.is_allowed)(name, value)) => {
                pairs
            }
            _ => return Err(WrongForm),
        };
        let map: BTreeMap<_, _> =
            pairs.iter().map(|(name, value)| (name.clone(), T::from(value.clone()))).collect();
        if map.len() == pairs.len() { Ok(map) } else { Err(WrongForm) }
    }

    /// The values are not shown: some are secret, and what is shown is the default, which has none.
    fn write(&self, value: &BTreeMap<String, T>) -> String {
        let names: Vec<_> = value.keys().map(String::as_str).collect();
        format!("{{{}}}", names.join(", "))
    }
}

/// A value or none.
pub(super) struct Optional<F>(pub(super) F);

impl<T, F: Form<T>> Form<Option<T>> for Optional<F> {
    fn allowed(&self) -> String {
        self.0.allowed()
    }

    fn read(&self, raw: &RawValue) -> Result<Option<T>, WrongForm> {
        if *raw == RawValue::Nothing { Ok(None) } else { self.0.read(raw).map(Some) }
    }

    fn write(&self, value: &Option<T>) -> String {
        value.as_ref().map_or("null".to_owned(), |value| self.0.write(value))
    }
}

/// Returns whether a text is a word of these characters, not longer than names in the database are.
pub(super) fn is_word(text: &str, others: &str) -> bool {
    text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Returns whether a text is a server's address with nothing else in it: user, password and database have keys of
/// their own.
pub(super) fn is_address(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = host.map(|host| host.strip_suffix('/').unwrap_or(host));
    host.is_some_and(|host| {
        !host.is_empty() && !host.contains(|c: char| "@/?#\\".contains(c) || c.is_whitespace())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawValue {
        RawValue::Text(text.to_owned())
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        let read = |text: &str| {
            duration(&raw(text), Duration::ZERO..=Duration::MAX).ok().map(|time| time.as_millis())
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
    fn a_duration_is_written_as_it_is_read() {
        for text in ["1ms", "1500ms", "1s", "60s", "90s", "15m", "60m", "24h", "400d"] {
            let time = duration(&raw(text), Duration::ZERO..=Duration::MAX).unwrap();
            assert_eq!(written(time), text);
        }
    }

    #[test]
    fn counts_have_digits_and_limits() {
        assert_eq!(number(1..=10).read(&raw("10")), Ok(10_u64));
        for text in ["0", "11", "+5", "-5", "5.0", "0x5", "1e1", "five", ""] {
            assert_eq!(Form::<u64>::read(&number(1..=10), &raw(text)), Err(WrongForm), "{text}");
        }
    }

    #[test]
    fn a_share_is_given_in_percent() {
        let read = |text: &str| Percent.read(&raw(text));
        assert_eq!(read("0%"), Ok(0.0));
        assert_eq!(read("100%"), Ok(1.0));
        assert!(read("0.1%").is_ok_and(|share| (share - 0.001).abs() < 1e-12));
        for text in ["", "%", "0.1", "101%", "-1%", "1e1%", "inf%", "1.2.3%", "5 %", "NaN%"] {
            assert_eq!(read(text), Err(WrongForm), "{text}");
        }
    }

    #[test]
    fn an_address_holds_no_credentials() {
        assert!(is_address("http://localhost:8123/"));
        for text in [
            "localhost:8123",
            "http://me:pw@db",
            "http://db/usage",
            "http://db?user=me",
            "http://",
            "ftp://db",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }

    #[test]
    fn retention_is_off_kept_or_whole_days_and_more() {
        assert_eq!(Keeping.read(&raw("off")), Ok(Some(Retention::Forever)));
        assert_eq!(Keeping.read(&raw("keep")), Ok(None));
        assert_eq!(Keeping.read(&raw("400d")), Ok(Some(Retention::For(DAY * 400))));
        // Seconds written in place of days would delete everything.
        assert_eq!(Keeping.read(&raw("400s")), Err(WrongForm));
    }
}
