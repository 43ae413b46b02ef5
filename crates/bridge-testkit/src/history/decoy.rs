//! Decoys: usage in places where it does not count, and transcript lines quoted in texts.

use super::filler::{quoted, words};
use fastrand::Rng;

/// Quotes a transcript line, as in the output of a tool that printed one.
pub(crate) fn quoted_transcript(rng: &mut Rng) -> String {
    let fake = concat!(
        r#"{"type":"assistant","message":{"id":"msg_fake0123456789abcdef","stop_reason":"end_turn","#,
        r#""usage":{"input_tokens":999999,"output_tokens":999999,"cache_read_input_tokens":999999}},"requestId":"req_fake"}"#
    );
    let text = format!("{}\n{fake}\n{}", words(rng, 20), words(rng, 20));
    // A session that read a transcript of a session that read a transcript has it quoted twice.
    let text = if rng.u8(..) < 80 { quoted(&text) } else { text };
    quoted(&text)
}

/// Returns a tool's input that contains decoy usage.
pub(crate) fn decoy_input() -> &'static str {
    concat!(
        r#"{"usage":{"input_tokens":777777,"output_tokens":777777,"cache_creation_input_tokens":777777},"#,
        r#""type":"assistant","id":"msg_decoy","message":{"id":"msg_decoy","usage":{"output_tokens":777777}}}"#
    )
}

/// Generates a tool result with a `usage` that only covers a subagent's last message and does not count.
pub(crate) fn tool_use_result(rng: &mut Rng, text: &str) -> String {
    format!(
        r#"{{"status":"completed","content":[{{"type":"text","text":{text}}}],"totalTokens":{},"usage":{{"input_tokens":7,"output_tokens":{},"cache_read_input_tokens":31000}}}}"#,
        rng.u32(1..100_000),
        rng.u32(1..900)
    )
}
