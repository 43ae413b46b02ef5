//! What the text of a transcript is made of, by structure: block type, tool name, reminder, subagent.

use std::collections::HashMap;

use bridge_core::{ContentCategories, ContentCategory};

use crate::json::{Raw, array_items, is_true, object_fields, string, string_bytes};

/// Estimated tokens are bytes of the raw JSON value divided by this.
const BYTES_PER_TOKEN: u64 = 4;

/// Adds up the bytes of one file's texts by category.
#[derive(Debug, Default)]
pub(crate) struct CategoryCounter {
    bytes: [u64; ContentCategory::ALL.len()],
    /// Calls of tools other than built-in ones, whose results are booked with them.
    calls: HashMap<Box<[u8]>, ContentCategory>,
}

impl CategoryCounter {
    /// Books the texts of one record; `record` is valid JSON. `subagent`: it stands in a subagent's file.
    pub(crate) fn add(&mut self, record: &str, subagent: bool) {
        let keys = ["type", "message", "isMeta", "isSidechain", "content", "attachment"];
        let Some([kind, message, meta, sidechain, content, attachment]) = object_fields(record, keys) else {
            return;
        };
        let message_content = || {
            message
                .and_then(|message| object_fields(message.get(), ["content"]))
                .and_then(|[content]| content)
        };
        match kind.and_then(string_bytes).as_deref() {
            Some(b"assistant") => self.add_assistant(message_content()),
            Some(b"user") => {
                let own = match (is_true(meta), subagent || is_true(sidechain)) {
                    (true, _) => ContentCategory::SystemPrompts,
                    (false, true) => ContentCategory::CustomAgents,
                    (false, false) => ContentCategory::UserMessages,
                };
                self.add_user(message_content(), own);
            }
            Some(b"system") => self.book(ContentCategory::SystemPrompts, content),
            Some(b"attachment") => self.add_attachment(attachment),
            _ => {}
        }
    }

    /// The estimate, without categories of which nothing was met.
    pub(crate) fn estimate(&self) -> ContentCategories {
        ContentCategory::ALL
            .into_iter()
            .zip(self.bytes)
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(category, bytes)| (category, bytes.div_ceil(BYTES_PER_TOKEN)))
            .collect()
    }

    fn book(&mut self, category: ContentCategory, text: Option<Raw<'_>>) {
        let bytes = text.map_or(0, |text| text.get().len() as u64);
        self.bytes[category as usize] += bytes;
    }

    fn add_assistant(&mut self, content: Option<Raw<'_>>) {
        let Some(content) = content else { return };
        let Some(blocks) = array_items(content) else {
            return self.book(ContentCategory::AssistantText, Some(content));
        };
        for block in blocks {
            let keys = ["type", "text", "thinking", "data", "name", "id", "input"];
            let Some([kind, text, thinking, data, name, id, input]) = object_fields(block.get(), keys) else {
                continue;
            };
            match kind.and_then(string_bytes).as_deref() {
                Some(b"text") => self.book(ContentCategory::AssistantText, text),
                Some(b"thinking") => self.book(ContentCategory::Thinking, thinking),
                Some(b"redacted_thinking") => self.book(ContentCategory::Thinking, data),
                Some(b"tool_use" | b"server_tool_use" | b"mcp_tool_use") => {
                    let category = tool_category(name, input);
                    self.book(category, input);
                    if category != ContentCategory::SystemTools
                        && let Some(id) = id.and_then(string_bytes)
                    {
                        self.calls.insert(id.into(), category);
                    }
                }
                _ => {}
            }
        }
    }

    fn add_user(&mut self, content: Option<Raw<'_>>, own: ContentCategory) {
        let Some(content) = content else { return };
        let Some(blocks) = array_items(content) else {
            let category = if is_reminder(content) { ContentCategory::SystemPrompts } else { own };
            return self.book(category, Some(content));
        };
        for block in blocks {
            let keys = ["type", "text", "tool_use_id", "content"];
            let Some([kind, text, call, result]) = object_fields(block.get(), keys) else { continue };
            match kind.and_then(string_bytes).as_deref() {
                Some(b"text") => {
                    let reminder = text.is_some_and(is_reminder);
                    self.book(if reminder { ContentCategory::SystemPrompts } else { own }, text);
                }
                Some(b"tool_result") => {
                    let category =
                        call.and_then(string_bytes).and_then(|call| self.calls.get(&*call).copied());
                    self.book(category.unwrap_or(ContentCategory::SystemTools), result);
                }
                _ => {}
            }
        }
    }

    fn add_attachment(&mut self, attachment: Option<Raw<'_>>) {
        let Some(attachment) = attachment else { return };
        let kind = object_fields(attachment.get(), ["type"]).and_then(|[kind]| kind);
        let memory = kind.and_then(string_bytes).as_deref() == Some(b"nested_memory");
        let category = if memory { ContentCategory::ClaudeMd } else { ContentCategory::SystemPrompts };
        self.book(category, Some(attachment));
    }
}

fn tool_category(name: Option<Raw<'_>>, input: Option<Raw<'_>>) -> ContentCategory {
    let name = name.and_then(string).unwrap_or_default();
    let memory_file = || {
        let [path] = object_fields(input?.get(), ["file_path"])?;
        string(path?).map(|path| path.ends_with("/CLAUDE.md") || path == "CLAUDE.md")
    };
    match &*name {
        "Task" | "Agent" => ContentCategory::CustomAgents,
        name if name.starts_with("mcp__") => ContentCategory::McpTools,
        _ if memory_file() == Some(true) => ContentCategory::ClaudeMd,
        _ => ContentCategory::SystemTools,
    }
}

fn is_reminder(text: Raw<'_>) -> bool {
    text.get().starts_with("\"<system-reminder>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_booked_by_structure() {
        let mut counter = CategoryCounter::default();
        let records = [
            r#"{"type":"user","message":{"content":"12345678901234"}}"#,
            r#"{"type":"user","isSidechain":true,"message":{"content":[{"type":"text","text":"123456"}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"text","text":"<system-reminder>ab"}]}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"12"},{"type":"text","text":"123456"},
                {"type":"tool_use","id":"t1","name":"mcp__x__y","input":{"a":1}},
                {"type":"tool_use","id":"t2","name":"Read","input":{"file_path":"/a/CLAUDE.md"}},
                {"type":"tool_use","id":"t3","name":"Bash","input":{"command":"ls"}}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","content":"123"},
                {"type":"tool_result","tool_use_id":"t3","content":"12"}]}}"#,
        ];
        records.iter().for_each(|record| counter.add(record, false));
        let expected = [
            (ContentCategory::ClaudeMd, 7),      // {"file_path":"/a/CLAUDE.md"} has 28 bytes
            (ContentCategory::CustomAgents, 2),  // "123456"
            (ContentCategory::McpTools, 3),      // {"a":1} and "123"
            (ContentCategory::SystemPrompts, 6), // the reminder
            (ContentCategory::SystemTools, 5),   // {"command":"ls"} and "12"
            (ContentCategory::UserMessages, 4),
            (ContentCategory::AssistantText, 2),
            (ContentCategory::Thinking, 1),
        ];
        assert_eq!(counter.estimate(), expected.into());
    }
}
