//! The attribution in a snapshot's record.

use super::json::Value;

/// The longest text that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 512;
const NUMBER_MAX: u64 = 1_000_000_000;

/// The columns of a response besides its counters, each `None` where the record does not have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribution {
    /// The texts by the names of their columns, those that are there.
    pub texts: Vec<(&'static str, String)>,
    /// The `requestId`.
    pub request_id: Option<String>,
    /// The numbers of its usage.
    pub numbers: Numbers,
}

/// The numbers beside the counters of a usage, each `None` where it does not have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Numbers {
    /// Of the output tokens, those of thinking.
    pub thinking_tokens: Option<u64>,
    /// Web searches of the API.
    pub web_search_requests: Option<u64>,
    /// Web pages that the API fetched.
    pub web_fetch_requests: Option<u64>,
}

/// The columns with the keys of a record.
const RECORD: [(&str, &str); 9] = [
    ("branch", "gitBranch"),
    ("client_version", "version"),
    ("entrypoint", "entrypoint"),
    ("effort", "effort"),
    ("agent_type", "attributionAgent"),
    ("skill", "attributionSkill"),
    ("plugin", "attributionPlugin"),
    ("mcp_server", "attributionMcpServer"),
    ("mcp_tool", "attributionMcpTool"),
];

/// The column of the worktree, which follows from `cwd` and the folder.
const WORKTREE: &str = "worktree";

/// The column of the credit for a declined attempt, which is two objects deep.
const FALLBACK_CREDIT: &str = "fallback_credit";

/// The columns with the keys of a usage.
const USAGE: [(&str, &str); 2] = [("speed", "speed"), ("inference_geo", "inference_geo")];

impl Attribution {
    /// Reads it for a message's usage. `records` are the record of the message and the one around it, inner first: a text
    /// that the inner one does not have is the outer one's.
    pub(crate) fn read(
        records: [Value<'_>; 2],
        usage: Value<'_>,
        output: u64,
        worktree: Option<String>,
    ) -> Self {
        let mut texts = Vec::new();
        for (column, key) in RECORD {
            // A text of the inner record hides the outer one's even if it is too long to keep.
            let found = records.into_iter().find_map(|record| record.string(key));
            texts.extend(found.and_then(text).map(|text| (column, text)));
        }
        for (column, key) in USAGE {
            texts.extend(usage.string(key).and_then(text).map(|text| (column, text)));
        }
        texts.extend(worktree.map(|worktree| (WORKTREE, worktree)));
        let credit = usage.get("fallback_credit").filter(|credit| credit.is_object());
        let status = credit.and_then(|credit| credit.get("status")).filter(|status| status.is_object());
        let status = status.and_then(|status| text(status.string("type")?));
        texts.extend(status.map(|status| (FALLBACK_CREDIT, status)));
        Self {
            texts,
            request_id: records[0].string("requestId").and_then(text),
            numbers: Numbers::read(usage, output),
        }
    }
}

impl Numbers {
    /// Reads them for a usage, or an iteration of one, with this many output tokens.
    pub(crate) fn read(usage: Value<'_>, output: u64) -> Self {
        let of = |object: &str, key| {
            usage.get(object).filter(|object| object.is_object()).and_then(|object| number(object, key))
        };
        Self {
            thinking_tokens: of("output_tokens_details", "thinking_tokens").map(|tokens| tokens.min(output)),
            web_search_requests: of("server_tool_use", "web_search_requests"),
            web_fetch_requests: of("server_tool_use", "web_fetch_requests"),
        }
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    // A lone surrogate is replaced; the length that counts is that of the result.
    let text = String::from_utf8_lossy(bytes).into_owned();
    Some(text).filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()))
}

fn number(object: Value<'_>, key: &str) -> Option<u64> {
    let text = std::str::from_utf8(object.get_some(key)?.number()?).ok()?;
    if text == "-0" {
        return Some(0);
    }
    text.parse().ok().filter(|number| *number <= NUMBER_MAX)
}
