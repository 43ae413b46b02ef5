//! Decoys: usage where it does not count, and lines of transcripts inside texts.

use super::prose::{quoted, words};
use fastrand::Rng;

/// A transcript line as text, as it stands in the output of a tool that printed one.
pub(crate) fn quoted_transcript(rng: &mut Rng) -> String {
    let fake = concat!(
        r#"{"type":"assistant","message":{"id":"msg_fake0123456789abcdef","stop_reason":"end_turn","#,
        r#""usage":{"input_tokens":999999,"output_tokens":999999,"cache_read_input_tokens":999999}},"requestId":"req_fake"}"#
    );
    let text = format!("{}\n{fake}\n{}", words(rng, 20), words(rng, 20));
    // A transcript of a session that read a transcript: quoted twice.
    let text = if rng.u8(..) < 80 { quoted(&text) } else { text };
    quoted(&text)
}

/// The input of a tool, with usage in it that is none.
pub(crate) fn decoy_input() -> &'static str {
    concat!(
        r#"{"usage":{"input_tokens":777777,"output_tokens":777777,"cache_creation_input_tokens":777777},"#,
        r#""type":"assistant","id":"msg_decoy","message":{"id":"msg_decoy","usage":{"output_tokens":777777}}}"#
    )
}

/// The usage beside a tool's result, which covers only a subagent's last message.
pub(crate) fn tool_use_result(rng: &mut Rng, text: &str) -> String {
    format!(
        r#"{{"status":"completed","content":[{{"type":"text","text":{text}}}],"totalTokens":{},"usage":{{"input_tokens":7,"output_tokens":{},"cache_read_input_tokens":31000}}}}"#,
        rng.u32(1..100_000),
        rng.u32(1..900)
    )
}
