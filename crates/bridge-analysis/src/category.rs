//! What the text of a transcript is made of, by structure: block type, tool name, reminder, subagent.

use std::collections::HashMap;

use bridge_core::{ContentCategories, ContentCategory};

use crate::block::{Block, CallId, bytes, is_reminder};
use crate::fields::RecordFields;
use crate::json::{Raw, is_true, object_fields, string_bytes};

/// Estimated tokens are bytes of the raw JSON value divided by this.
const BYTES_PER_TOKEN: u64 = 4;

/// Adds up the bytes of texts by category, over a part of a file or over all of it.
#[derive(Debug, Default)]
pub(crate) struct CategoryCounter {
    bytes: [u64; ContentCategory::ALL.len()],
    /// Calls of tools, with whose category their results are booked.
    calls: HashMap<CallId, ContentCategory>,
    /// Results whose calls are not in this part: they stand in an earlier one, or nowhere.
    open: Vec<(CallId, u64)>,
}

impl CategoryCounter {
    /// Books the texts of one record. `subagent`: it stands in a subagent's file.
    pub(crate) fn add(&mut self, record: &RecordFields<'_>, blocks: &[Block], subagent: bool) {
        let content = record.message.as_ref().and_then(|message| message.content);
        match record.kind.and_then(string_bytes).as_deref() {
            Some(b"assistant") => self.add_assistant(content, blocks),
            Some(b"user") => {
                let own = match (is_true(record.meta), subagent || is_true(record.sidechain)) {
                    (true, _) => ContentCategory::SystemPrompts,
                    (false, true) => ContentCategory::CustomAgents,
                    (false, false) => ContentCategory::UserMessages,
                };
                self.add_user(content, blocks, own);
            }
            Some(b"system") => self.book(ContentCategory::SystemPrompts, bytes(record.content)),
            Some(b"attachment") => self.add_attachment(record.attachment),
            _ => {}
        }
    }

    /// Joins the next part of the file to all parts before it. A result of a call that is in none of them is
    /// booked as one of a built-in tool, so that calls of those need not be kept from part to part.
    pub(crate) fn join(&mut self, next: Self) {
        for (sum, bytes) in self.bytes.iter_mut().zip(next.bytes) {
            *sum += bytes;
        }
        for (call, bytes) in next.open {
            let category = self.calls.get(&call).copied().unwrap_or(ContentCategory::SystemTools);
            self.book(category, bytes);
        }
        for (call, category) in next.calls {
            if category == ContentCategory::SystemTools {
                self.calls.remove(&call);
            } else {
                self.calls.insert(call, category);
            }
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

    fn book(&mut self, category: ContentCategory, bytes: u64) {
        self.bytes[category as usize] += bytes;
    }

    fn add_assistant(&mut self, content: Option<Raw<'_>>, blocks: &[Block]) {
        let Some(content) = content else { return };
        if !content.starts_with('[') {
            return self.book(ContentCategory::AssistantText, bytes(Some(content)));
        }
        for block in blocks {
            match *block {
                Block::Text { bytes, .. } => self.book(ContentCategory::AssistantText, bytes),
                Block::Thinking { bytes } => self.book(ContentCategory::Thinking, bytes),
                Block::Call { bytes, id, category } => {
                    self.book(category, bytes);
                    if let Some(id) = id {
                        self.calls.insert(id, category);
                    }
                }
                Block::Result { .. } => {}
            }
        }
    }

    fn add_user(&mut self, content: Option<Raw<'_>>, blocks: &[Block], own: ContentCategory) {
        let Some(content) = content else { return };
        if !content.starts_with('[') {
            let category = if is_reminder(content) { ContentCategory::SystemPrompts } else { own };
            return self.book(category, bytes(Some(content)));
        }
        for block in blocks {
            match *block {
                Block::Text { bytes, reminder: true } => self.book(ContentCategory::SystemPrompts, bytes),
                Block::Text { bytes, reminder: false } => self.book(own, bytes),
                Block::Result { bytes, call } => self.book_result(call, bytes),
                Block::Thinking { .. } | Block::Call { .. } => {}
            }
        }
    }

    fn book_result(&mut self, call: Option<CallId>, bytes: u64) {
        let Some(call) = call else { return self.book(ContentCategory::SystemTools, bytes) };
        match self.calls.get(&call) {
            Some(category) => self.book(*category, bytes),
            None => self.open.push((call, bytes)),
        }
    }

    fn add_attachment(&mut self, attachment: Option<Raw<'_>>) {
        let Some(attachment) = attachment else { return };
        let kind = object_fields(attachment, ["type"]).and_then(|[kind]| kind);
        let memory = kind.and_then(string_bytes).as_deref() == Some(b"nested_memory");
        let category = if memory { ContentCategory::ClaudeMd } else { ContentCategory::SystemPrompts };
        self.book(category, bytes(Some(attachment)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::record_fields;

    /// The records, cut into parts of so many.
    fn estimate(records: &[&str], part: usize) -> ContentCategories {
        let mut file = CategoryCounter::default();
        for records in records.chunks(part) {
            let mut counter = CategoryCounter::default();
            for record in records {
                let mut blocks = Vec::new();
                let fields = record_fields(record, Some(&mut blocks)).expect("an object");
                counter.add(&fields, &blocks, false);
            }
            file.join(counter);
        }
        file.estimate()
    }

    #[test]
    fn texts_are_booked_by_structure_however_the_file_is_cut() {
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
        for part in 1..=records.len() {
            assert_eq!(estimate(&records, part), expected.into(), "{part}");
        }
    }
}
