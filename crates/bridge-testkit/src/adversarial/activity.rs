//! Activity besides responses: prompts and records that resemble them, blocks of content, errors and limits.

use super::{
    filler,
    record::{add_noise, common_fields, mostly, one_of},
    writer::{Formatting, Members},
};
use fastrand::Rng;

const TEXTS: [&str; 12] = [
    "hello",
    "",
    "<command-name>/clear</command-name>",
    "<command-message>review</command-message>",
    "<local-command-stdout>x",
    "[Request interrupted by user]",
    "tool_result",
    "{\"type\":\"tool_result\"}",
    "You've hit your session limit · resets 1:20am (Europe/Berlin)",
    "Claude AI usage limit reached|1749924000",
    "You've hit your limit · resets Apr 3, 5pm (Asia/Kolkata)",
    "Opus weekly limit reached ∙ resets Feb 30 at 18:00 (UTC)",
];
const BLOCKS: [&str; 7] =
    ["text", "text", "tool_use", "server_tool_use", "mcp_tool_use", "tool_result", "thinking"];
const TOOLS: [&str; 6] = ["Bash", "mcp__a__b", "rm -rf /", "", "é", "Read"];
const LIMITS: [&str; 5] = ["five_hour", "seven_day_opus", "Not A Kind", "", "overage"];

/// Generates a record of a person or of the client, without usage.
pub(crate) fn message(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let mut members = common_fields(rng, formatting);
    members.push(("type", one_of(rng, formatting, &["user", "user", "system", "assistant"])));
    for flag in ["isMeta", "isCompactSummary", "isVisibleInTranscriptOnly", "isSidechain"] {
        if rng.u8(..) < 20 {
            members.push((flag, filler::scalar(rng)));
        }
    }
    if rng.u8(..) < 60 {
        members.push(("promptSource", one_of(rng, formatting, &["typed", "system"])));
    }
    if rng.u8(..) < 60 {
        let kind = one_of(rng, formatting, &["human", "peer", "task-notification"]);
        let origin = formatting.object(rng, vec![("kind", kind)], filler::scalar);
        members.push(("origin", mostly(rng, |_| origin)));
    }
    if rng.u8(..) < 60 {
        members.push(("subtype", one_of(rng, formatting, &["api_error", "informational"])));
    }
    let body = match rng.u8(..10) {
        0..5 => one_of(rng, formatting, &TEXTS),
        5..9 => content(rng, formatting),
        _ => filler::value(rng),
    };
    let message =
        formatting.object(rng, vec![("role", b"\"user\"".into()), ("content", body)], filler::value);
    members.push(("message", mostly(rng, |_| message)));
    if rng.u8(..) < 60 {
        members.push(("toolUseResult", br#"{"type":"text"}"#.into()));
    }
    add_noise(rng, &mut members);
    formatting.object(rng, members, filler::value)
}

/// Generates the content of a message.
pub(crate) fn content(rng: &mut Rng, formatting: Formatting) -> Vec<u8> {
    let mut blocks = Vec::new();
    for _ in 0..rng.usize(..4) {
        blocks.push(mostly(rng, |rng| {
            let mut members = vec![("type", one_of(rng, formatting, &BLOCKS))];
            if rng.bool() {
                members.push(("text", mostly(rng, |rng| one_of(rng, formatting, &TEXTS))));
            }
            if rng.bool() {
                members.push(("name", mostly(rng, |rng| one_of(rng, formatting, &TOOLS))));
            }
            formatting.object(rng, members, filler::value)
        }));
    }
    formatting.array(rng, blocks)
}

/// Adds, to few records, that they are errors, and the limits that caused them.
pub(crate) fn add_error(rng: &mut Rng, formatting: Formatting, members: &mut Members) {
    if rng.u8(..) < 30 {
        members.push(("sessionKind", mostly(rng, |rng| one_of(rng, formatting, &["bg", "interactive", ""]))));
    }
    if rng.u8(..) > 40 {
        return;
    }
    members.push(("isApiErrorMessage", mostly(rng, |_| b"true".into())));
    if rng.bool() {
        members.push(("error", one_of(rng, formatting, &["rate_limit", "server_error"])));
    }
    if rng.bool() {
        let mut quota = Members::new();
        if rng.u8(..) < 200 {
            let status = |rng: &mut Rng| one_of(rng, formatting, &["rejected", "rejected", "allowed"]);
            quota.push(("status", mostly(rng, status)));
        }
        if rng.u8(..) < 200 {
            quota.push(("rateLimitType", mostly(rng, |rng| one_of(rng, formatting, &LIMITS))));
        }
        if rng.u8(..) < 200 {
            let seconds = ["1789244400", "-5", "99999999999999999999", "1e9", "\"1789244400\""];
            let seconds = seconds[rng.usize(..seconds.len())].as_bytes().to_vec();
            quota.push(("resetsAt", seconds));
        }
        let quota = formatting.object(rng, quota, filler::scalar);
        members.push(("quotaLimits", mostly(rng, |_| quota)));
    }
}
