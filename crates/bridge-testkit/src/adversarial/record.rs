//! Records: valid JSON whose fields are occasionally absent, of another type, or have similar names.

use super::{
    activity, filler,
    writer::{Formatting, Members},
};
use fastrand::Rng;

const IDS: [&str; 9] = [
    "msg_0123456789abcdefghij",
    "msg_0123456789abcdefghik",
    "12345678901234567890",
    "1234567890123456789",
    "éééééééééé",
    "msg_1",
    "m",
    "",
    "u1",
];
const UUIDS: [&str; 5] = ["u1", "u2", "00000000-0000-4000-8000-000000000001", "msg_0123456789abcdefghij", ""];
const REQUESTS: [&str; 4] = ["r1", "r2", "sg_1", ""];
const SESSIONS: [&str; 5] = ["s1", "s2", "00000000-0000-4000-8000-00000000000a", "not a uuid", ""];
const MODELS: [&str; 6] = [
    "claude-a",
    "claude-b",
    "<synthetic>",
    "__proto__",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-a",
    "",
];
pub(crate) const TIMES: [&str; 9] = [
    "2026-01-01T00:00:00.000Z",
    "2026-01-01T00:00:00.001Z",
    "2026-01-01T00:00:00Z",
    "2026-01-01T01:00:00.0009+01:00",
    "2025-12-31T23:59:59.999Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "soon",
    "",
];
/// Paths, in pieces that make the folders' paths and others.
const ROOTS: [&str; 13] = [
    "/home/user/app",
    "/home/user/é/app",
    "C:\\Users\\pat\\app",
    "c:/users/PAT/app/",
    "\\\\?\\C:\\Users\\pat\\app",
    "\\\\wsl.localhost\\Ubuntu\\home\\user\\app",
    "//WSL$/Ubuntu/mnt/c/Users/pat/app",
    "\\\\server\\share",
    "/mnt/c/Users/pat/app",
    "/repo",
    "/",
    "😀",
    "",
];
const INNER: [&str; 12] = [
    "/.claude/worktrees/w1",
    "\\.claude\\worktrees\\w2",
    "/.claude/worktrees/",
    "/packages/web",
    "/src",
    "\\src",
    "/a\\b",
    "//",
    "/é",
    "C:",
    ".claude/worktrees/x",
    "/0123456789-0123456789-0123456789",
];

const TYPES: [&str; 6] = ["user", "system", "summary", "Assistant", "assistant ", "file-history-snapshot"];
const ITERATIONS: [&str; 10] = [
    "message",
    "message",
    "message",
    "fallback_message",
    "fallback_message",
    "advisor_message",
    "compaction",
    "tool_search",
    "Message",
    "",
];
const SIMILAR_KEYS: [&str; 8] =
    ["Type", "types", "usage", "messages", "", "input_tokens", "normalizedMessages", "toolUseResult"];
/// Keys of attribution, with values that overlap: a snapshot's must not mix with another's.
const ATTRIBUTION: [&str; 9] = [
    "gitBranch",
    "version",
    "entrypoint",
    "effort",
    "attributionAgent",
    "attributionSkill",
    "attributionPlugin",
    "attributionMcpServer",
    "attributionMcpTool",
];
const ATTRIBUTED: [&str; 5] = ["a1", "a2", "a\u{1b}[31m\n", "é", ""];
const COUNTERS: [&str; 4] =
    ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];

/// Generates a record of any type.
pub(crate) fn record(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..100) {
        0..52 => assistant(rng),
        52..72 => progress(rng),
        72..84 => activity::message(rng),
        _ => other(rng),
    }
}

fn assistant(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let mut members = common_fields(rng, formatting);
    members.push(("type", one_of(rng, formatting, &["assistant"])));
    members.push(("message", mostly(rng, message)));
    activity::add_error(rng, formatting, &mut members);
    add_noise(rng, &mut members);
    formatting.object(rng, members, filler::value)
}

fn progress(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let nested = |rng: &mut Rng| if rng.u8(..) < 20 { other(rng) } else { assistant(rng) };
    let mut data: Members = vec![("type", b"\"agent_progress\"".into())];
    if rng.u8(..) < 220 {
        data.push(("message", mostly(rng, nested)));
    }
    if rng.u8(..) < 120 {
        let mut listed = Vec::new();
        for _ in 0..rng.usize(..4) {
            listed.push(mostly(rng, nested));
        }
        data.push(("normalizedMessages", formatting.array(rng, listed)));
    }
    let data = formatting.object(rng, data, filler::value);
    let mut members = common_fields(rng, formatting);
    members.extend([("type", one_of(rng, formatting, &["progress"])), ("data", data)]);
    add_noise(rng, &mut members);
    formatting.object(rng, members, filler::value)
}

/// Generates a record that contains no snapshot, although it may contain a message.
fn other(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let mut members = common_fields(rng, formatting);
    if rng.u8(..) < 230 {
        members.push((
            "type",
            if rng.u8(..) < 20 { filler::scalar(rng) } else { one_of(rng, formatting, &TYPES) },
        ));
    }
    members.push(("message", message(rng)));
    members.push(("toolUseResult", filler::value(rng)));
    add_noise(rng, &mut members);
    formatting.object(rng, members, filler::value)
}

/// Generates the fields that surround a message.
pub(crate) fn common_fields(rng: &mut Rng, formatting: Formatting) -> Members {
    let mut members = Members::new();
    let fields: [(&'static str, &[&str]); 4] =
        [("requestId", &REQUESTS), ("uuid", &UUIDS), ("sessionId", &SESSIONS), ("timestamp", &TIMES)];
    for (key, pool) in fields {
        match rng.u8(..100) {
            0..20 => {}
            20..24 => members.push((key, filler::scalar(rng))),
            24..26 => {
                let long = "é".repeat(rng.usize(250..260));
                members.push((key, formatting.text(rng, &long)));
            }
            _ => members.push((key, one_of(rng, formatting, pool))),
        }
    }
    add_attribution(rng, formatting, &mut members, &ATTRIBUTION);
    if rng.u8(..100) < 70 {
        members.push(("cwd", mostly(rng, |rng| path(rng, formatting))));
    }
    if rng.u8(..100) < 12 {
        members.push(("session_id", mostly(rng, |rng| one_of(rng, formatting, &SESSIONS))));
    }
    match rng.u8(..100) {
        0..20 => members.push(("isSidechain", b"true".into())),
        20..60 => members.push(("isSidechain", b"false".into())),
        60..63 => members.push(("isSidechain", filler::scalar(rng))),
        _ => {}
    }
    match rng.u8(..100) {
        0..12 => members.push(("forkedFrom", br#"{"sessionId":"s1"}"#.into())),
        12..15 => members.push(("forkedFrom", filler::scalar(rng))),
        _ => {}
    }
    members
}

fn path(rng: &mut Rng, formatting: Formatting) -> Vec<u8> {
    let mut path = match rng.u8(..100) {
        0..6 => "/long".to_owned() + &"/0123456789".repeat(rng.usize(15..24)),
        6..8 => "/x".repeat(rng.usize(240..270)),
        _ => ROOTS[rng.usize(..ROOTS.len())].to_owned(),
    };
    for _ in 0..rng.usize(..4) {
        path += INNER[rng.usize(..INNER.len())];
    }
    formatting.text(rng, &path)
}

fn message(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let mut members = Members::new();
    match rng.u8(..100) {
        0..8 => {}
        8..12 => members.push(("id", filler::scalar(rng))),
        _ => members.push(("id", one_of(rng, formatting, &IDS))),
    }
    if rng.u8(..) < 220 {
        members.push(("model", one_of(rng, formatting, &MODELS)));
    }
    if rng.bool() {
        members.push(("content", activity::content(rng, formatting)));
    }
    match rng.u8(..100) {
        0..45 => members.push(("stop_reason", b"null".into())),
        45..80 => members.push(("stop_reason", b"\"end_turn\"".into())),
        80..84 => members.push(("stop_reason", filler::scalar(rng))),
        _ => {}
    }
    if rng.u8(..) < 240 {
        members.push(("usage", mostly(rng, usage)));
    }
    add_noise(rng, &mut members);
    formatting.object(rng, members, filler::value)
}

fn usage(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let mut members = counters(rng);
    if rng.bool() {
        members.push(("cache_creation", mostly(rng, cache_split)));
    }
    match rng.u8(..100) {
        0..4 => members.push(("iterations", filler::value(rng))),
        4..40 => {
            let mut list = Vec::new();
            for _ in 0..rng.usize(..6) {
                list.push(mostly(rng, iteration));
            }
            members.push(("iterations", formatting.array(rng, list)));
        }
        _ => {}
    }
    add_extras(rng, formatting, &mut members);
    add_noise(rng, &mut members);
    formatting.object(rng, members, filler::scalar)
}

fn iteration(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let mut members = counters(rng);
    match rng.u8(..100) {
        0..84 => members.push(("type", one_of(rng, formatting, &ITERATIONS))),
        84..90 => members.push(("type", filler::scalar(rng))),
        _ => {}
    }
    if rng.bool() {
        members.push(("model", mostly(rng, |rng| one_of(rng, formatting, &MODELS))));
    }
    if rng.u8(..) < 40 {
        members.push(("cache_creation", mostly(rng, cache_split)));
    }
    add_extras(rng, formatting, &mut members);
    formatting.object(rng, members, filler::scalar)
}

/// Generates the split of cache creation tokens by lifetime, mostly with valid counts.
fn cache_split(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let mut members = Members::new();
    for key in ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"] {
        match rng.u8(..100) {
            0..10 => {}
            10..14 => members.push((key, filler::scalar(rng))),
            _ => members.push((key, rng.u8(..4).to_string().into())),
        }
    }
    formatting.object(rng, members, filler::scalar)
}

/// Generates counters from so few values that snapshots often tie; many are all zero.
fn counters(rng: &mut Rng) -> Members {
    let zero = rng.u8(..) < 50;
    let mut members = Members::new();
    for key in COUNTERS {
        match rng.u8(..200) {
            0..30 => {}
            30..40 => members.push((key, b"null".into())),
            40..43 => members.push((key, filler::scalar(rng))),
            43..46 => members.push((key, filler::value(rng))),
            _ if zero => members.push((key, b"0".into())),
            _ => members.push((key, rng.u8(..4).to_string().into())),
        }
    }
    members
}

/// Adds some of the texts of these keys, few of them of another type or too long.
fn add_attribution(rng: &mut Rng, formatting: Formatting, members: &mut Members, keys: &[&'static str]) {
    for key in keys {
        match rng.u8(..100) {
            0..60 => {}
            60..63 => members.push((key, filler::scalar(rng))),
            63..65 => {
                let long = "é".repeat(rng.usize(250..260));
                members.push((key, formatting.text(rng, &long)));
            }
            _ => members.push((key, one_of(rng, formatting, &ATTRIBUTED))),
        }
    }
}

/// Adds some of what a usage has besides counters.
fn add_extras(rng: &mut Rng, formatting: Formatting, members: &mut Members) {
    add_attribution(rng, formatting, members, &["speed", "inference_geo"]);
    if rng.u8(..) < 60 {
        let status = |rng: &mut Rng| {
            let mut members = Members::new();
            add_attribution(rng, formatting, &mut members, &["type", "reason"]);
            formatting.object(rng, members, filler::scalar)
        };
        let credit = |rng: &mut Rng| {
            let status = mostly(rng, status);
            formatting.object(rng, vec![("status", status)], filler::scalar)
        };
        members.push(("fallback_credit", mostly(rng, credit)));
    }
    let objects: [(&'static str, &[&'static str]); 2] = [
        ("output_tokens_details", &["thinking_tokens"]),
        ("server_tool_use", &["web_search_requests", "web_fetch_requests"]),
    ];
    for (object, keys) in objects {
        if rng.u8(..) < 90 {
            let numbers = |rng: &mut Rng| {
                let mut members = Members::new();
                for key in keys {
                    match rng.u8(..100) {
                        0..20 => {}
                        20..30 => members.push((key, filler::scalar(rng))),
                        30..35 => members.push((key, rng.u32(60_000..70_000).to_string().into())),
                        _ => members.push((key, rng.u8(..4).to_string().into())),
                    }
                }
                formatting.object(rng, members, filler::scalar)
            };
            members.push((object, mostly(rng, numbers)));
        }
    }
}

/// Occasionally adds a meaningless member whose name resembles a meaningful one or belongs elsewhere.
pub(crate) fn add_noise(rng: &mut Rng, members: &mut Members) {
    if rng.u8(..) < 80 {
        let at = rng.usize(..=members.len());
        members.insert(at, (SIMILAR_KEYS[rng.usize(..SIMILAR_KEYS.len())], filler::value(rng)));
    }
}

pub(crate) fn mostly(rng: &mut Rng, value: impl FnOnce(&mut Rng) -> Vec<u8>) -> Vec<u8> {
    if rng.u8(..) < 6 { filler::value(rng) } else { value(rng) }
}

pub(crate) fn one_of(rng: &mut Rng, formatting: Formatting, pool: &[&str]) -> Vec<u8> {
    let text = pool[rng.usize(..pool.len())];
    formatting.text(rng, text)
}
