//! A history with a canary in every field that may contain conversation text.
//!
//! No output, log or store may contain a canary. Fields that are stored verbatim by design have none: valid ids of
//! sessions and agents, names of models, service tiers and tools, the project's path, and attribution.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Prefix of every canary.
const MARK: &str = "CANARY-";
/// Exceeds the maximum length of identifiers and names.
const OVERLONG_BYTES: usize = 600;

/// A history with canaries, on disk.
#[derive(Debug)]
pub struct CanaryHistory {
    /// The `projects` folder, which is the source to read.
    pub projects: PathBuf,
    /// Number of canaries.
    pub canaries: usize,
}

impl CanaryHistory {
    /// Line limit that makes the longest line, which is otherwise valid, oversize.
    pub const LINE_BYTES_MAX: usize = 64 << 10;
    /// Number of responses, each with 111 tokens.
    pub const RESPONSES: u64 = 8;
    /// Total of all responses.
    pub const TOKENS: u64 = 111 * Self::RESPONSES;
    /// Number of damaged lines, without the truncated last line.
    pub const BAD_LINES: u64 = 6;

    /// Returns all occurrences of canaries in an output.
    #[must_use]
    pub fn canaries_in(output: impl AsRef<[u8]>) -> Vec<String> {
        let text = String::from_utf8_lossy(output.as_ref());
        let name = |rest: &str| {
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
        };
        text.split(MARK).skip(1).map(name).collect()
    }
}

/// Writes the history to the folder.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn write_canary_history(folder: &Path) -> io::Result<CanaryHistory> {
    let projects = folder.join("projects");
    let project = projects.join("-home-user-app");
    let subagents = project.join("session-1/subagents");
    fs::create_dir_all(&subagents)?;
    let files = [
        (project.join("session-1.jsonl"), main_lines()),
        (subagents.join("agent-1.jsonl"), unreadable_lines()),
        (project.join("damaged.jsonl"), damaged_lines()),
        (subagents.join("agent-1.meta.json"), canary("meta").into_bytes()),
        (project.join("journal.jsonl"), format!("{{\"a\":\"{}\"}}\n", canary("journal")).into_bytes()),
    ];
    let mut canaries = 0;
    for (path, content) in files {
        canaries += CanaryHistory::canaries_in(&content).len();
        fs::write(path, content)?;
    }
    Ok(CanaryHistory { projects, canaries })
}

fn canary(place: &str) -> String {
    format!("{MARK}{place}")
}

fn overlong(place: &str) -> String {
    format!("{}{}", canary(place), "x".repeat(OVERLONG_BYTES))
}

fn usage() -> Value {
    json!({ "input_tokens": 1, "output_tokens": 10, "cache_read_input_tokens": 100,
        "service_tier": "standard", "inference_geo": "us", "speed": { canary("speed_key"): canary("speed") },
        "fallback_credit": { "status": { "type": [canary("credit")], "reason": canary("reason") } },
        "output_tokens_details": { "thinking_tokens": canary("thinking_tokens"), "text": canary("details") },
        "server_tool_use": { canary("usage_key"): canary("usage_value"), "web_search_requests": canary("searches"),
            "queries": [canary("query")] } })
}

/// Creates the fields that surround a message. Only session, time, the project's path and valid attribution are stored.
fn record(kind: &str, number: u32) -> Value {
    json!({ "type": kind, "sessionId": "session-1", "timestamp": format!("2026-01-31T12:00:{number:02}Z"),
        "cwd": format!("/home/user/app/{}", canary("inner_folder")), "gitBranch": "main",
        "version": "2.1.280", "entrypoint": [canary("entrypoint")], "effort": { "level": canary("effort") },
        "attributionSkill": overlong("skill"), "attributionPlugin": [canary("plugin")],
        "attributionMcpServer": { canary("server_key"): canary("server") }, "attributionMcpTool": overlong("tool"),
        "attributionAgent": overlong("agent_type"), "slug": canary("slug"), "uuid": format!("{}{number}", canary("uuid")),
        "parentUuid": canary("parent"), "requestId": format!("req_{number}"),
        "unknown": canary("unknown"), canary("key"): { canary("inner_key"): [canary("entry")] } })
}

fn with(mut record: Value, fields: Value) -> Value {
    if let (Value::Object(record), Value::Object(fields)) = (&mut record, fields) {
        record.extend(fields);
    }
    record
}

/// Creates an assistant message with a separate response.
fn message(number: u32) -> Value {
    json!({ "id": format!("{}{number}", canary("id")), "role": "assistant", "model": "claude-a",
        "stop_reason": canary("stop_reason"), "stop_sequence": canary("stop_sequence"), "usage": usage(),
        "content": [
            { "type": "text", "text": canary("text") },
            { "type": "thinking", "thinking": canary("thinking"), "signature": canary("signature") },
            { "type": "redacted_thinking", "data": canary("redacted") },
            { "type": "tool_use", "id": canary("tool_id"), "name": format!("mcp__{} run", canary("tool")),
              "input": { canary("input_key"): canary("input"), "file_path": format!("/{}/CLAUDE.md", canary("path")) } },
            { "type": canary("block_type"), canary("block_key"): canary("block") },
        ] })
}

fn assistant(number: u32) -> Value {
    with(record("assistant", number), json!({ "message": message(number) }))
}

fn user(number: u32, content: Value) -> Value {
    with(record("user", number), json!({ "message": { "role": "user", "content": content } }))
}

fn lines(records: &[Value]) -> Vec<u8> {
    records.iter().flat_map(|record| format!("{record}\n").into_bytes()).collect()
}

/// Returns a session in the client's format, with four responses.
fn main_lines() -> Vec<u8> {
    let result =
        json!([{ "type": "tool_result", "tool_use_id": canary("tool_id"), "content": canary("result") }]);
    let nested = with(record("assistant", 4), json!({ "message": message(4), "agentId": "agent-1" }));
    lines(&[
        json!({ "type": "summary", "summary": canary("summary"), "leafUuid": canary("leaf") }),
        user(0, canary("prompt").into()),
        user(0, json!([{ "type": "text", "text": format!("<system-reminder>{}", canary("reminder")) }])),
        assistant(1),
        assistant(1),
        with(user(1, result), json!({ "toolUseResult": { "stdout": canary("stdout"), "usage": usage() } })),
        with(
            assistant(2),
            json!({ "isApiErrorMessage": true, "error": canary("error"), "sessionKind": overlong("session_kind"),
            "quotaLimits": { "status": "rejected", "rateLimitType": canary("limit"), "resetsAt": canary("reset"),
                canary("quota_key"): canary("quota") } }),
        ),
        with(
            record("progress", 3),
            json!({ "toolUseID": canary("tool_use"),
            "data": { "type": "agent_progress", "prompt": canary("agent_prompt"), "message": nested,
                "normalizedMessages": [user(3, canary("nested_prompt").into()), assistant(5)] } }),
        ),
        with(record("system", 6), json!({ "content": canary("system"), "subtype": "api_error" })),
        with(record("system", 6), json!({ "forkedFrom": { "sessionId": overlong("fork") } })),
        with(
            record("attachment", 6),
            json!({ "attachment": { "type": "nested_memory", "content": canary("memory") } }),
        ),
        json!({ "type": canary("type"), "content": canary("untyped") }),
        json!([canary("array")]),
        json!(canary("string")),
        user(7, format!("{}{}", canary("long_line"), "x".repeat(CanaryHistory::LINE_BYTES_MAX)).into()),
    ])
}

/// Returns records with invalid ids, names and times: three responses, and one bad usage.
fn unreadable_lines() -> Vec<u8> {
    let id = |number: u32| json!({ "message": message(number) });
    let mut bad_usage = message(13);
    bad_usage["usage"]["output_tokens"] = canary("counter").into();
    let mut named = message(12);
    named["model"] = overlong("model").into();
    named["usage"]["service_tier"] = overlong("tier").into();
    lines(&[
        with(
            with(record("assistant", 10), id(10)),
            json!({ "sessionId": { "a": canary("session") },
            "timestamp": canary("time"), "agentId": overlong("agent") }),
        ),
        with(
            with(record("assistant", 11), id(11)),
            json!({ "sessionId": overlong("long_session"),
            "cwd": { "a": canary("cwd") } }),
        ),
        with(record("assistant", 12), json!({ "message": named })),
        with(record("assistant", 13), json!({ "message": bad_usage })),
    ])
}

/// Returns one response, followed by every kind of damage.
fn damaged_lines() -> Vec<u8> {
    let line = assistant(20).to_string();
    let number = format!("\"output_tokens\":[{}]", canary("number"));
    let bad = [
        line.as_bytes()[..line.len() - 2].to_vec(),
        [b"\xff", line.as_bytes()].concat(),
        [line.as_bytes(), b"\0\0"].concat(),
        [b"// ", line.as_bytes()].concat(),
        line.replacen("\"output_tokens\":10", &number, 1).into_bytes(),
        [line.as_bytes(), b"}"].concat(),
    ];
    let mut content = lines(&[assistant(20)]);
    bad.iter().for_each(|line| content.extend([line, &b"\n"[..]].concat()));
    content.extend(&line.as_bytes()[..line.len() / 2]);
    content
}
