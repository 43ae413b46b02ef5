//! The category of a text, by structure: block type, tool name, reminder, subagent.

use bridge_core::ContentCategory;

use crate::claude::content::{Block, bytes, is_reminder};
use crate::claude::fields::RecordFields;
use crate::count::categories::CategoryCounter;
use crate::json::{Raw, is_true, object_fields, string_bytes};

/// Adds the texts of one record. `subagent`: the record is in a subagent's file.
pub(crate) fn add_texts(
    counter: &mut CategoryCounter,
    record: &RecordFields<'_>,
    blocks: &[Block],
    subagent: bool,
) {
    let content = record.message.as_ref().and_then(|message| message.content);
    match record.kind.and_then(string_bytes).as_deref() {
        Some(b"assistant") => add_assistant(counter, content, blocks),
        Some(b"user") => {
            let own = match (is_true(record.meta), subagent || is_true(record.sidechain)) {
                (true, _) => ContentCategory::SystemPrompts,
                (false, true) => ContentCategory::CustomAgents,
                (false, false) => ContentCategory::UserMessages,
            };
            add_user(counter, content, blocks, own);
        }
        Some(b"system") => counter.add(ContentCategory::SystemPrompts, bytes(record.content)),
        Some(b"attachment") => add_attachment(counter, record.attachment),
        _ => {}
    }
}

fn add_assistant(counter: &mut CategoryCounter, content: Option<Raw<'_>>, blocks: &[Block]) {
    let Some(content) = content else { return };
    if !content.starts_with('[') {
        return counter.add(ContentCategory::AssistantText, bytes(Some(content)));
    }
    for block in blocks {
        match *block {
            Block::Text { bytes, .. } => counter.add(ContentCategory::AssistantText, bytes),
            Block::Thinking { bytes } => counter.add(ContentCategory::Thinking, bytes),
            Block::Call { bytes, id, category } => counter.add_call(id, category, bytes),
            Block::Result { .. } => {}
        }
    }
}

fn add_user(counter: &mut CategoryCounter, content: Option<Raw<'_>>, blocks: &[Block], own: ContentCategory) {
    let Some(content) = content else { return };
    if !content.starts_with('[') {
        let category = if is_reminder(content) { ContentCategory::SystemPrompts } else { own };
        return counter.add(category, bytes(Some(content)));
    }
    for block in blocks {
        match *block {
            Block::Text { bytes, reminder: true } => counter.add(ContentCategory::SystemPrompts, bytes),
            Block::Text { bytes, reminder: false } => counter.add(own, bytes),
            Block::Result { bytes, call } => counter.add_result(call, bytes),
            Block::Thinking { .. } | Block::Call { .. } => {}
        }
    }
}

fn add_attachment(counter: &mut CategoryCounter, attachment: Option<Raw<'_>>) {
    let Some(attachment) = attachment else { return };
    let kind = object_fields(attachment, ["type"]).and_then(|[kind]| kind);
    let memory = kind.and_then(string_bytes).as_deref() == Some(b"nested_memory");
    let category = if memory { ContentCategory::ClaudeMd } else { ContentCategory::SystemPrompts };
    counter.add(category, bytes(Some(attachment)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::fields::RecordDecoder;
    use crate::json::read_object;
    use bridge_core::ContentCategories;

    /// The records, in chunks of this size.
    fn estimate(records: &[&str], part: usize) -> ContentCategories {
        let mut file = CategoryCounter::default();
        for records in records.chunks(part) {
            let mut counter = CategoryCounter::default();
            for record in records {
                let mut decoder = RecordDecoder { reads_blocks: true, ..RecordDecoder::default() };
                let fields = read_object(record, &mut decoder).expect("an object");
                add_texts(&mut counter, &fields, &decoder.blocks, false);
            }
            file.merge(counter);
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
