//! Limits of usage and rate that stopped a session, as the client's own message about it says. Newer clients record the
//! limit beside the message; older ones only have the text, of which nothing but the kind and the time is kept.

use std::borrow::Cow;

use bridge_core::{LimitKind, TimeZone, Timestamp};

use crate::claude::fields::RecordFields;
use crate::json::{Raw, object_fields, string_bytes};

/// Kinds that the text of older clients tells, by the first of its marks.
const KINDS: [(&str, &str); 9] = [
    ("spend limit", "spend"),
    ("opus", "seven_day_opus"),
    ("sonnet", "seven_day_sonnet"),
    ("weekly limit", "seven_day"),
    ("5-hour limit", "five_hour"),
    ("session limit", "five_hour"),
    ("rate limit", "rate_limit"),
    ("usage limit", "usage"),
    ("your limit", "usage"),
];

/// Returns the limit that caused an error at this time, and when it ends.
pub(crate) fn limit(
    record: &RecordFields<'_>,
    text: Option<Cow<'_, [u8]>>,
    time: Timestamp,
) -> Option<(LimitKind, Option<Timestamp>)> {
    let text = text.map(|text| String::from_utf8_lossy(&text).to_ascii_lowercase()).unwrap_or_default();
    let quota = record.quota.and_then(|quota| object_fields(quota, ["status", "rateLimitType", "resetsAt"]));
    if let Some([status, kind, resets_at]) = quota
        && is_rejected(status, kind)
    {
        let named = kind.and_then(string_bytes).and_then(|kind| String::from_utf8(kind.into_owned()).ok());
        let kind = named.and_then(|kind| LimitKind::new(kind).ok()).or_else(|| kind_in(&text));
        let kind = kind.or_else(|| LimitKind::new("unknown").ok())?;
        return Some((kind, resets_at.and_then(seconds).or_else(|| reset_in(&text, time))));
    }
    if let Some(kind) = kind_in(&text) {
        return Some((kind, reset_in(&text, time)));
    }
    let is_named = record.error.and_then(string_bytes).as_deref() == Some(b"rate_limit");
    is_named.then(|| LimitKind::new("rate_limit").ok()).flatten().map(|kind| (kind, None))
}

/// Returns whether the client states that the limit was the reason.
fn is_rejected(status: Option<Raw<'_>>, kind: Option<Raw<'_>>) -> bool {
    match status.filter(|status| *status != "null") {
        Some(status) => string_bytes(status).as_deref() == Some(b"rejected"),
        None => kind.is_some_and(|kind| kind.starts_with('"')),
    }
}

fn kind_in(text: &str) -> Option<LimitKind> {
    let is_limit = text.contains("limit reached")
        || (text.contains("limit") && (text.contains("hit your") || text.contains("reached your")));
    let kind = KINDS.iter().find(|(mark, _)| text.contains(mark)).filter(|_| is_limit)?;
    LimitKind::new(kind.1).ok()
}

fn seconds(value: &str) -> Option<Timestamp> {
    let seconds: i64 = value.parse().ok()?;
    Timestamp::from_millis(seconds.checked_mul(1000)?).ok()
}

/// Returns the time in a text like `…|1749924000`, `… resets 1:20am (Europe/Berlin)` or `… resets apr 3, 5pm (UTC)`. A
/// time without a zone is not known, because it is the one of another machine.
fn reset_in(text: &str, time: Timestamp) -> Option<Timestamp> {
    if let Some((_, digits)) = text.rsplit_once('|') {
        return seconds(digits.trim());
    }
    let (_, rest) = text.rsplit_once("resets ").or_else(|| text.rsplit_once("reset at "))?;
    let (when, rest) = rest.split_once('(')?;
    let zone: TimeZone = rest.split_once(')')?.0.parse().ok()?;
    let mut words = when.split([' ', ',']).filter(|word| !word.is_empty() && *word != "at").rev();
    let clock = clock(words.next()?)?;
    let date = match (words.next(), words.next()) {
        (None, _) => None,
        (Some(day), Some(month)) => Some((month_number(month)?, day.parse().ok()?)),
        // A day of the week.
        (Some(_), None) => return None,
    };
    zone.next(time, clock, date)
}

/// Returns the hour and minute of `5pm`, `1:20am` or `18:00`.
fn clock(word: &str) -> Option<(i8, i8)> {
    let (digits, afternoon) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(false)),
        (_, Some(digits)) => (digits, Some(true)),
        _ => (word, None),
    };
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, "0"));
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    match afternoon {
        None => Some((hour, minute)),
        Some(afternoon) => {
            (1..=12).contains(&hour).then_some((hour % 12 + if afternoon { 12 } else { 0 }, minute))
        }
    }
}

fn month_number(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let place = MONTHS.iter().position(|month| name.starts_with(month))?;
    i8::try_from(place + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::fields::RecordDecoder;
    use crate::json::read_object;

    /// The kind and the end of the limit that this text and these fields report, hit on 2026-04-17 at 08:10 UTC.
    fn told(text: &str, fields: &str) -> Option<(String, Option<String>)> {
        let record = format!(r#"{{"isApiErrorMessage":true{fields}}}"#);
        let record = read_object(&record, &mut RecordDecoder::default()).expect("an object");
        let time = "2026-04-17T08:10:28Z".parse().unwrap();
        let (kind, end) = limit(&record, Some(text.as_bytes().into()), time)?;
        Some((kind.to_string(), end.map(|end| end.to_string())))
    }

    #[test]
    fn newer_clients_record_the_limit() {
        let quota = r#","error":"rate_limit","quotaLimits":{"status":"rejected","resetsAt":1788894600,"rateLimitType":"five_hour"}"#;
        let at = Some("2026-09-08T19:10:00.000Z".to_owned());
        assert_eq!(told("You've hit your session limit", quota), Some(("five_hour".to_owned(), at)));
        let allowed =
            r#","error":"server_error","quotaLimits":{"status":"allowed","rateLimitType":"five_hour"}"#;
        assert_eq!(told("API Error: 529 Overloaded", allowed), None);
        let strange = r#","quotaLimits":{"status":"rejected","rateLimitType":"A text of whoever"}"#;
        assert_eq!(told("", strange), Some(("unknown".to_owned(), None)));
    }

    #[test]
    fn older_clients_say_it_in_their_words() {
        let cases = [
            ("Claude AI usage limit reached|1749924000", "usage", Some("2025-06-14T18:00:00.000Z")),
            ("5-hour limit reached ∙ resets 3pm", "five_hour", None),
            ("Session limit reached ∙ resets 6pm (UTC)", "five_hour", Some("2026-04-17T18:00:00.000Z")),
            (
                "You've hit your limit · resets 1:20am (Europe/Berlin)",
                "usage",
                Some("2026-04-17T23:20:00.000Z"),
            ),
            (
                "You've hit your weekly limit · resets Apr 23, 5pm (Europe/Berlin)",
                "seven_day",
                Some("2026-04-23T15:00:00.000Z"),
            ),
            (
                "Opus weekly limit reached ∙ resets Oct 9 at 18:00 (UTC)",
                "seven_day_opus",
                Some("2026-10-09T18:00:00.000Z"),
            ),
            (
                "Claude usage limit reached. Your limit will reset at 1pm (Etc/GMT+5).",
                "usage",
                Some("2026-04-17T18:00:00.000Z"),
            ),
            ("You've hit your individual spend limit · run /usage-credits", "spend", None),
            ("API Error: Rate limit reached", "rate_limit", None),
            ("You've hit your weekly limit · resets Mon 12:00am (UTC)", "seven_day", None),
        ];
        for (text, kind, end) in cases {
            assert_eq!(told(text, ""), Some((kind.to_owned(), end.map(str::to_owned))), "{text}");
        }
        for text in
            ["Context limit reached · /compact or /clear to continue", "API Error: 529 Overloaded", ""]
        {
            assert_eq!(told(text, ""), None, "{text}");
        }
        assert_eq!(told("", r#","error":"rate_limit""#), Some(("rate_limit".to_owned(), None)));
    }
}
