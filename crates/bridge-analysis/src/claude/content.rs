//! The blocks of a message's content, as far as categories and activity need them.

use bridge_core::ContentCategory;

use crate::count::categories::CallId;
use crate::json::{Raw, object_fields, string, string_bytes};

/// A block of a message's content: what it is and how much of it, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// A text with its length in bytes.
    Text { bytes: u64, reminder: bool },
    /// Thinking of the model.
    Thinking { bytes: u64 },
    /// A call of a tool, and the category of its input.
    Call { bytes: u64, id: Option<CallId>, category: ContentCategory },
    /// The result of a tool.
    Result { bytes: u64, call: Option<CallId> },
}

/// The fields of a block.
#[derive(Debug, Default)]
pub(crate) struct BlockFields<'a> {
    kind: Option<Raw<'a>>,
    text: Option<Raw<'a>>,
    thinking: Option<Raw<'a>>,
    data: Option<Raw<'a>>,
    name: Option<Raw<'a>>,
    id: Option<Raw<'a>>,
    input: Option<Raw<'a>>,
    call: Option<Raw<'a>>,
    content: Option<Raw<'a>>,
}

impl<'a> BlockFields<'a> {
    /// Takes a member of the block.
    pub(crate) fn set(&mut self, key: &[u8], value: Raw<'a>) {
        let field = match key {
            b"type" => &mut self.kind,
            b"text" => &mut self.text,
            b"thinking" => &mut self.thinking,
            b"data" => &mut self.data,
            b"name" => &mut self.name,
            b"id" => &mut self.id,
            b"input" => &mut self.input,
            b"tool_use_id" => &mut self.call,
            b"content" => &mut self.content,
            _ => return,
        };
        *field = Some(value);
    }

    /// Returns the block; `None` if its type is not counted.
    pub(crate) fn block(self) -> Option<Block> {
        Some(match &*string_bytes(self.kind?)? {
            b"text" => Block::Text { bytes: bytes(self.text), reminder: self.text.is_some_and(is_reminder) },
            b"thinking" => Block::Thinking { bytes: bytes(self.thinking) },
            b"redacted_thinking" => Block::Thinking { bytes: bytes(self.data) },
            b"tool_use" | b"server_tool_use" | b"mcp_tool_use" => Block::Call {
                bytes: bytes(self.input),
                id: self.id.and_then(call_id),
                category: tool_category(self.name, self.input),
            },
            b"tool_result" => Block::Result { bytes: bytes(self.content), call: self.call.and_then(call_id) },
            _ => return None,
        })
    }
}

/// The parts of a message's content that activity counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline<'a> {
    /// True if there is anything in it.
    pub(crate) filled: bool,
    /// The names of the tools that are called; `None` for a call without a name.
    pub(crate) calls: Vec<Option<Raw<'a>>>,
    /// The text of the first block that is one.
    pub(crate) text: Option<Raw<'a>>,
    /// True if a block is the result of a tool.
    pub(crate) result: bool,
}

impl<'a> Outline<'a> {
    /// Adds a block.
    pub(crate) fn add(&mut self, block: &BlockFields<'a>) {
        match block.kind.and_then(string_bytes).as_deref() {
            Some(b"text") => self.text = self.text.or(block.text),
            Some(b"tool_use" | b"server_tool_use" | b"mcp_tool_use") => self.calls.push(block.name),
            Some(b"tool_result") => self.result = true,
            _ => {}
        }
    }
}

/// Returns whether a text was written by the client and not by a person.
pub(crate) fn is_reminder(text: Raw<'_>) -> bool {
    text.starts_with("\"<system-reminder>")
}

/// Returns the length of a raw JSON value, 0 if there is none.
pub(crate) fn bytes(value: Option<Raw<'_>>) -> u64 {
    value.map_or(0, |value| value.len() as u64)
}

fn call_id(id: Raw<'_>) -> Option<CallId> {
    string_bytes(id).map(|id| CallId::new(&id))
}

fn tool_category(name: Option<Raw<'_>>, input: Option<Raw<'_>>) -> ContentCategory {
    let name = name.and_then(string).unwrap_or_default();
    match &*name {
        "Task" | "Agent" => ContentCategory::CustomAgents,
        name if name.starts_with("mcp__") => ContentCategory::McpTools,
        _ if input.is_some_and(is_of_memory_file) => ContentCategory::ClaudeMd,
        _ => ContentCategory::SystemTools,
    }
}

fn is_of_memory_file(input: Raw<'_>) -> bool {
    // Most inputs do not hold the name at all, and the longest are file contents.
    let may_hold_it = memchr::memmem::find(input.as_bytes(), b"CLAUDE").is_some() || input.contains("\\u00");
    may_hold_it
        && object_fields(input, ["file_path"])
            .and_then(|[path]| string(path?))
            .is_some_and(|path| path.ends_with("/CLAUDE.md") || path == "CLAUDE.md")
}
