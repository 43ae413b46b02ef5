//! The activity of sessions besides responses: prompts, tool calls, errors. The page `docs/sessions.md` states the rules.

use std::borrow::Cow;
use std::sync::LazyLock;

use bridge_core::Timestamp;
use memchr::memmem::Finder;

use crate::claude::fields::{MessageFields, RecordFields, UsageValue};
use crate::claude::limits::limit;
use crate::claude::record::session_name;
use crate::count::activity::{Event, Happened, RecordActivity};
use crate::count::snapshot::SnapshotSink;
use crate::json::{Raw, is_present, is_true, object_fields, string_bytes};

/// Texts that the client writes in the name of a person: outputs, reminders, and commands that it handles by itself. The
/// command of a skill begins with another tag.
const NO_PROMPTS: [&[u8]; 11] = [
    b"<command-name>",
    b"<local-command-stdout>",
    b"<local-command-stderr>",
    b"<local-command-caveat>",
    b"<bash-input>",
    b"<bash-stdout>",
    b"<bash-stderr>",
    b"<system-reminder>",
    b"<task-notification>",
    b"<tick>",
    b"[Request interrupted by user",
];

/// Reads the activity of the first record on a line, which has this time. `subagent`: it is in a subagent's file.
pub(crate) fn read_activity(
    record: &RecordFields<'_>,
    time: Timestamp,
    subagent: bool,
    sink: &mut impl SnapshotSink,
) {
    let Some(event) = event(record, subagent, time) else { return };
    let what = if is_present(record.forked) {
        let parent = record.forked.and_then(|forked| object_fields(forked, ["sessionId"]));
        let Some([Some(parent)]) = parent else { return };
        Happened::Copied { parent }
    } else {
        let entrypoint = record.attribution.entrypoint;
        Happened::Here { time, kind: record.session_kind, entrypoint, event }
    };
    sink.activity(&RecordActivity { session: session_name(record.session, record.session_id), what });
}

/// Returns what happened by the record; `None` if it does not count as activity.
fn event<'a>(record: &'a RecordFields<'a>, subagent: bool, time: Timestamp) -> Option<Event<'a>> {
    let kind = record.kind.and_then(string_bytes);
    match kind.as_deref()? {
        b"assistant" => {
            let message = record.message.as_ref()?;
            let Some(UsageValue::Object(_)) = message.usage else { return None };
            if is_true(record.api_error) {
                return Some(Event::Error(limit(record, text_of(message), time)));
            }
            Some(Event::Response(&message.outline.calls))
        }
        // Only of the others' records, as large as results may be.
        b"user" | b"system" if is_tool_result(record.text.as_bytes()) => None,
        b"user" => Some(if is_prompt(record, subagent) { Event::Turn } else { Event::Other }),
        b"system" => {
            let is_retry = record.subtype.and_then(string_bytes).as_deref() == Some(b"api_error");
            Some(if is_retry { Event::Retry } else { Event::Other })
        }
        _ => None,
    }
}

/// Returns whether a person wrote the record's message.
fn is_prompt(record: &RecordFields<'_>, subagent: bool) -> bool {
    let flags = [record.sidechain, record.meta, record.compact_summary, record.transcript_only];
    if subagent || flags.into_iter().any(is_true) {
        return false;
    }
    let source = record.prompt_source.and_then(string_bytes);
    let origin = record.origin.and_then(|origin| object_fields(origin, ["kind"])).and_then(|[kind]| kind);
    let origin = origin.and_then(string_bytes);
    if source.as_deref() == Some(b"system") || origin.is_some_and(|kind| *kind != *b"human") {
        return false;
    }
    let Some(message) = record.message.as_ref() else { return false };
    let is_text = message.content.is_some_and(|content| content.starts_with('"') && content != "\"\"");
    (is_text || message.outline.filled)
        && !message.outline.result
        && !(may_be_of_client(message) && text_of(message).is_some_and(|text| is_of_client(&text)))
}

fn is_of_client(text: &[u8]) -> bool {
    NO_PROMPTS.iter().any(|start| text.starts_with(start))
}

/// Returns whether the message's text begins as one of the client does, plainly or with an escape. Prompts may be long, and
/// most need not be decoded.
fn may_be_of_client(message: &MessageFields<'_>) -> bool {
    let begins_so = |raw: Raw<'_>| matches!(raw.as_bytes().get(1), Some(b'<' | b'[' | b'\\'));
    message.content.is_some_and(|content| content.starts_with('"') && begins_so(content))
        || message.outline.text.is_some_and(begins_so)
}

/// Returns the message's text, or that of its first block with one.
fn text_of<'a>(message: &MessageFields<'a>) -> Option<Cow<'a, [u8]>> {
    message.content.and_then(string_bytes).or_else(|| message.outline.text.and_then(string_bytes))
}

/// Returns whether a line without usage may hold activity: its first record may be of a person or of the client, and no
/// result of a tool, as most are. Keys and types with escaped letters are in lines that may hold usage.
pub(crate) fn may_hold_activity(line: &[u8]) -> bool {
    let mut may_hold = false;
    for (at, kind) in types(line) {
        if kind.starts_with(b"tool_result\"") {
            return holds_end_and_start(&line[..at]);
        }
        may_hold |= kind.starts_with(b"user\"") || kind.starts_with(b"system\"");
    }
    may_hold
}

/// Returns whether a record's text holds the result of a tool, written plainly.
fn is_tool_result(record: &[u8]) -> bool {
    types(record).any(|(_, kind)| kind.starts_with(b"tool_result\""))
}

/// Returns the texts from each plain value of a plain key `type` on, and where its key begins.
fn types(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    static KEY: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"type\""));
    KEY.find_iter(text).filter_map(move |at| {
        let rest = without_space(&text[at + KEY.needle().len()..]).strip_prefix(b":")?;
        Some((at, without_space(rest).strip_prefix(b"\"")?))
    })
}

/// Returns whether an object may end and another one begin here.
fn holds_end_and_start(text: &[u8]) -> bool {
    memchr::memchr_iter(b'}', text).any(|at| without_space(&text[at + 1..]).starts_with(b"{"))
}

fn without_space(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
    &text[start.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::fields::RecordDecoder;
    use crate::json::read_object;

    fn what(record: &str) -> Option<String> {
        let mut decoder = RecordDecoder { reads_outline: true, ..RecordDecoder::default() };
        let record = read_object(record, &mut decoder).expect("an object");
        event(&record, false, Timestamp::MIN).map(|event| format!("{event:?}"))
    }

    fn of_user(rest: &str) -> String {
        what(&format!(r#"{{"type":"user",{rest}}}"#)).unwrap_or_else(|| "nothing".to_owned())
    }

    fn says(content: &str) -> String {
        of_user(&format!(r#""message":{{"role":"user","content":{content}}}"#))
    }

    #[test]
    fn a_turn_is_what_a_person_wrote() {
        for content in [
            r#""fix it""#,
            r#"[{"type":"text","text":"fix it"}]"#,
            r#"[{"type":"image","source":{}}]"#,
            r#""<command-message>review</command-message>""#,
            r#""tool_result""#,
        ] {
            assert_eq!(says(content), "Turn", "{content}");
        }
        for content in [
            r#""""#,
            "[]",
            "[ ]",
            "null",
            r#""<command-name>/clear</command-name>""#,
            r#""\u003clocal-command-stdout>ok""#,
            r#""[Request interrupted by user for tool use]""#,
            r#"[{"type":"text","text":"<system-reminder>"}]"#,
        ] {
            assert_eq!(says(content), "Other", "{content}");
        }
        assert_eq!(says(r#"[{"type":"tool_result","content":"x"}]"#), "nothing");
        for flag in [
            r#""isMeta":true"#,
            r#""isSidechain":true"#,
            r#""isCompactSummary":true"#,
            r#""isVisibleInTranscriptOnly":true"#,
            r#""promptSource":"system""#,
            r#""origin":{"kind":"task-notification"}"#,
        ] {
            assert_eq!(of_user(&format!(r#"{flag},"message":{{"content":"x"}}"#)), "Other", "{flag}");
        }
        assert_eq!(
            of_user(r#""origin":{"kind":"human"},"promptSource":"typed","message":{"content":"x"}"#),
            "Turn"
        );
    }

    #[test]
    fn errors_and_repeated_requests_are_told_apart() {
        let error = r#"{"type":"assistant","isApiErrorMessage":true,"error":"server_error","message":{"content":[{"type":"text","text":"API Error: 529"}],"usage":{}}}"#;
        assert_eq!(what(error).as_deref(), Some("Error(None)"));
        assert_eq!(what(r#"{"type":"system","subtype":"api_error"}"#).as_deref(), Some("Retry"));
        assert_eq!(what(r#"{"type":"system","subtype":"turn_duration"}"#).as_deref(), Some("Other"));
        assert_eq!(what(r#"{"type":"progress"}"#), None);
        assert_eq!(what(r#"{"type":"assistant","message":{"content":[]}}"#), None);
    }

    #[test]
    fn lines_of_tools_are_passed_over() {
        for line in [
            r#"{"type":"user","message":{"content":[{"type":"tool_result"}]}}"#,
            r#"{"type":"progress","data":{"type":"hook_progress"}}"#,
            r#"{"type":"attachment","attachment":{"text":"\"type\":\"user\""}}"#,
        ] {
            assert!(!may_hold_activity(line.as_bytes()), "{line}");
        }
        for line in [
            r#"{"type" : "user","message":{"content":"\"type\":\"tool_result\""}}"#,
            r#"{"type":"system","subtype":"api_error"}"#,
            r#"{"type":"user"} {"type":"user","message":{"content":[{"type":"tool_result"}]}}"#,
        ] {
            assert!(may_hold_activity(line.as_bytes()), "{line}");
        }
    }
}
