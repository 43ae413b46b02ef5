//! The activity of a session, implemented only from its documentation.

use super::{json::Value, record::timestamp, time};
use jiff::{Span, civil, tz::TimeZoneDatabase};
use std::collections::{BTreeMap, BTreeSet};

/// A step of activity, in milliseconds.
const STEP_MILLIS: i64 = 15_000;

/// The activity of a session in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// Prompts of a person.
    pub turns: u64,
    /// Calls of tools, by name; those without a valid name under an empty one.
    pub tool_calls: BTreeMap<String, u64>,
    /// Errors of the API.
    pub api_errors: u64,
    /// Requests that were repeated.
    pub api_retries: u64,
    /// The time, the kind and the end of each limit, as often as it was hit.
    pub limits: Vec<(i64, String, Option<i64>)>,
    /// All times in milliseconds since 1970.
    pub times: BTreeSet<i64>,
    /// The first kind of the session.
    pub kind: Option<String>,
    /// The first way in which the client was started.
    pub entrypoint: Option<String>,
    /// The first session that records were copied from.
    pub parent: Option<String>,
}

impl Activity {
    /// Returns the steps of 15 seconds in which something happened.
    pub fn steps(&self) -> BTreeSet<i64> {
        self.times.iter().map(|time| time / STEP_MILLIS).collect()
    }
}

/// Adds a line's first record. `subagent`: it is in a subagent's file.
pub(crate) fn add(
    sessions: &mut BTreeMap<String, Activity>,
    record: Value<'_>,
    bytes: &[u8],
    session: &str,
    subagent: bool,
) {
    let Some(time) = timestamp(record) else { return };
    let message = record.get("message");
    let usage = message.filter(|message| message.is_object()).and_then(|message| message.get("usage"));
    let is_response = record.is_string("type", "assistant") && usage.is_some_and(|usage| usage.is_object());
    let is_message = record.is_string("type", "user") || record.is_string("type", "system");
    if !is_response && (!is_message || names_tool_result(bytes)) {
        return;
    }
    if let Some(origin) = record.get_some("forkedFrom") {
        if let Some(parent) = origin.string("sessionId") {
            let activity = sessions.entry(session.to_owned()).or_default();
            let parent = id(parent).filter(|parent| parent != session);
            activity.parent = activity.parent.take().or(parent);
        } else if origin.get("sessionId").is_some() {
            sessions.entry(session.to_owned()).or_default();
        }
        return;
    }
    let activity = sessions.entry(session.to_owned()).or_default();
    activity.times.insert(time);
    activity.kind = activity.kind.take().or_else(|| name(record, "sessionKind"));
    activity.entrypoint = activity.entrypoint.take().or_else(|| name(record, "entrypoint"));
    if !is_response {
        let is_retry = record.is_string("type", "system") && record.is_string("subtype", "api_error");
        activity.api_retries += u64::from(is_retry);
        activity.turns += u64::from(record.is_string("type", "user") && is_prompt(record, subagent));
        return;
    }
    if record.is_true("isApiErrorMessage") {
        activity.api_errors += 1;
        activity.limits.extend(limit(record, time));
        return;
    }
    for block in blocks(record) {
        if ["tool_use", "server_tool_use", "mcp_tool_use"].iter().any(|kind| block.is_string("type", kind)) {
            let name = block.string("name").and_then(tool_name).unwrap_or_default();
            *activity.tool_calls.entry(name).or_default() += 1;
        }
    }
}

fn blocks(record: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    record.get("message").and_then(|message| message.get("content")).into_iter().flat_map(Value::entries)
}

fn is_prompt(record: Value<'_>, subagent: bool) -> bool {
    let flags = ["isSidechain", "isMeta", "isCompactSummary", "isVisibleInTranscriptOnly"];
    if subagent || flags.iter().any(|flag| record.is_true(flag)) || record.is_string("promptSource", "system")
    {
        return false;
    }
    let origin = record.get("origin").and_then(|origin| origin.string("kind"));
    if origin.is_some_and(|kind| kind != b"human") {
        return false;
    }
    let Some(content) = record.get("message").filter(|message| message.is_object()) else { return false };
    let is_text = content.string("content").is_some_and(|text| !text.is_empty());
    if !is_text && blocks(record).next().is_none() {
        return false;
    }
    if blocks(record).any(|block| block.is_string("type", "tool_result")) {
        return false;
    }
    let of_client = [
        "<command-name>",
        "<local-command-stdout>",
        "<local-command-stderr>",
        "<local-command-caveat>",
        "<bash-input>",
        "<bash-stdout>",
        "<bash-stderr>",
        "<system-reminder>",
        "<task-notification>",
        "<tick>",
        "[Request interrupted by user",
    ];
    !text_of(record).is_some_and(|text| of_client.iter().any(|start| text.starts_with(start.as_bytes())))
}

/// Returns the text of a message, or of its first block with one.
fn text_of(record: Value<'_>) -> Option<Vec<u8>> {
    let message = record.get("message")?;
    if let Some(text) = message.string("content") {
        return Some(text.to_vec());
    }
    // Of a block whose text is missing the next one's counts; one that is no string counts as none.
    let block = blocks(record)
        .filter(|block| block.is_string("type", "text"))
        .find(|block| block.get("text").is_some());
    block?.string("text").map(<[u8]>::to_vec)
}

/// Returns whether the record's bytes hold a key `type` with the value `tool_result`, both written plainly.
fn names_tool_result(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.match_indices("\"type\"").any(|(at, key)| {
        let blank = |text: &str| text.trim_start_matches([' ', '\t', '\r']).len();
        let rest = &text[at + key.len()..];
        let rest = &rest[rest.len() - blank(rest)..];
        let Some(rest) = rest.strip_prefix(':') else { return false };
        rest[rest.len() - blank(rest)..].starts_with("\"tool_result\"")
    })
}

fn limit(record: Value<'_>, time: i64) -> Option<(i64, String, Option<i64>)> {
    let text = text_of(record).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
    let told = kind_told_by(&text);
    if let Some(quota) = record.get("quotaLimits").filter(|quota| quota.is_object()) {
        let is_rejected = match quota.get_some("status") {
            Some(_) => quota.is_string("status", "rejected"),
            None => quota.string("rateLimitType").is_some(),
        };
        if is_rejected {
            let named = quota.string("rateLimitType").and_then(|kind| String::from_utf8(kind.to_vec()).ok());
            let is_kind = |kind: &String| {
                (1..=64).contains(&kind.len())
                    && kind.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            };
            let kind = named.filter(is_kind).or(told).unwrap_or_else(|| "unknown".to_owned());
            let resets = quota.get("resetsAt").and_then(Value::number).and_then(|number| {
                let seconds: i64 = std::str::from_utf8(number).ok()?.parse().ok()?;
                plausible(seconds.checked_mul(1000)?)
            });
            return Some((time, kind, resets.or_else(|| reset_told_by(&text, time))));
        }
    }
    if let Some(kind) = told {
        return Some((time, kind, reset_told_by(&text, time)));
    }
    record.is_string("error", "rate_limit").then(|| (time, "rate_limit".to_owned(), None))
}

fn kind_told_by(text: &str) -> Option<String> {
    let hit = text.contains("hit your") || text.contains("reached your");
    if !(text.contains("limit reached") || (hit && text.contains("limit"))) {
        return None;
    }
    let kind = if text.contains("spend limit") {
        "spend"
    } else if text.contains("opus") {
        "seven_day_opus"
    } else if text.contains("sonnet") {
        "seven_day_sonnet"
    } else if text.contains("weekly limit") {
        "seven_day"
    } else if text.contains("5-hour limit") || text.contains("session limit") {
        "five_hour"
    } else if text.contains("rate limit") {
        "rate_limit"
    } else if text.contains("usage limit") || text.contains("your limit") {
        "usage"
    } else {
        return None;
    };
    Some(kind.to_owned())
}

/// Reads `…|SECONDS`, and `resets [MONTH DAY] CLOCK (ZONE)`.
fn reset_told_by(text: &str, time: i64) -> Option<i64> {
    if let Some(at) = text.rfind('|') {
        let seconds: i64 = text[at + 1..].trim().parse().ok()?;
        return plausible(seconds.checked_mul(1000)?);
    }
    let start =
        text.rfind("resets ").map(|at| at + 7).or_else(|| text.rfind("reset at ").map(|at| at + 9))?;
    let (when, rest) = text[start..].split_once('(')?;
    let zone = TimeZoneDatabase::bundled().get(rest.split_once(')')?.0).ok()?;
    let words: Vec<&str> = when.split([' ', ',']).filter(|word| !word.is_empty() && *word != "at").collect();
    let (date, clock) = match words[..] {
        [clock] => (None, clock),
        [.., month, day, clock] => {
            let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
            let month = months.iter().position(|name| month.starts_with(name))?;
            (Some((i8::try_from(month).ok()? + 1, day.parse().ok()?)), clock)
        }
        _ => return None,
    };
    let (digits, half) = match clock {
        clock if clock.ends_with("am") => (&clock[..clock.len() - 2], Some(0)),
        clock if clock.ends_with("pm") => (&clock[..clock.len() - 2], Some(12)),
        clock => (clock, None),
    };
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, "0"));
    let (mut hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    if let Some(half) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + half;
    }
    let today = jiff::Timestamp::from_millisecond(time).ok()?.to_zoned(zone.clone()).date();
    let clock = civil::Time::new(hour, minute, 0, 0).ok()?;
    for later in 0..=1_i16 {
        let day = match date {
            None => today.checked_add(Span::new().days(later)).ok(),
            Some((month, day)) => civil::Date::new(today.year() + later, month, day).ok(),
        };
        let Some(day) = day else { continue };
        let found = day.to_datetime(clock).to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
        if found > time {
            return Some(found);
        }
    }
    None
}

fn plausible(millis: i64) -> Option<i64> {
    (0..=time::MILLIS_MAX).contains(&millis).then_some(millis)
}

fn tool_name(name: &[u8]) -> Option<String> {
    let is_mark = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte);
    let is_name = (1..=128).contains(&name.len()) && name.iter().all(is_mark);
    is_name.then(|| String::from_utf8_lossy(name).into_owned())
}

fn name(record: Value<'_>, key: &str) -> Option<String> {
    let text = String::from_utf8_lossy(record.string(key)?).into_owned();
    (1..=512).contains(&text.len()).then_some(text)
}

fn id(bytes: &[u8]) -> Option<String> {
    let id = std::str::from_utf8(bytes).ok()?;
    (1..=512).contains(&id.len()).then(|| id.to_owned())
}
