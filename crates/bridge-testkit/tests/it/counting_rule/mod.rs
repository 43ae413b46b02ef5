//! The reference, sentence by sentence of the counting rule, on handmade lines.

mod counters;
mod damage;
mod keys;
mod places;
mod receipt;
mod winners;

use bridge_testkit::reference::{Options, ReferenceFile, ReferenceTotals, analyze};

/// An id long enough to stand alone.
const LONG: &str = "msg_0123456789abcdefghij";

/// The time files were changed here: 2026-01-01.
const MODIFIED: i64 = 1_767_225_600_000;

/// A usage with that input and output.
fn usage(input: u64, output: u64) -> String {
    format!(r#"{{"input_tokens":{input},"output_tokens":{output}}}"#)
}

/// A finished message.
fn message(id: &str, usage: &str) -> String {
    format!(r#"{{"id":"{id}","model":"claude-a","stop_reason":"end_turn","usage":{usage}}}"#)
}

/// An assistant record: its message, and what stands beside it (`"requestId":"r",` with the comma).
fn assistant(beside: &str, message: &str) -> String {
    format!(r#"{{{beside}"type":"assistant","message":{message}}}"#)
}

/// A progress record around a nested record.
fn progress(beside: &str, nested: &str) -> String {
    format!(r#"{{{beside}"type":"progress","data":{{"type":"agent_progress","message":{nested}}}}}"#)
}

/// A file of those lines, each with its newline.
fn file(path: &str, lines: &[String]) -> ReferenceFile {
    ReferenceFile::new(
        path,
        MODIFIED,
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>(),
    )
}

/// The totals of one file of those lines.
fn count(lines: &[String]) -> ReferenceTotals {
    analyze([file("p/stem.jsonl", lines)], Options::default())
}

/// The totals of one file of those bytes.
fn count_bytes(content: &[u8]) -> ReferenceTotals {
    analyze([ReferenceFile::new("p/stem.jsonl", MODIFIED, content)], Options::default())
}

/// The totals of one usage in a finished assistant record.
fn count_usage(usage: &str) -> ReferenceTotals {
    count(&[assistant("", &message(LONG, usage))])
}

/// The number of responses and their total.
fn sums(totals: &ReferenceTotals) -> (u64, u64) {
    (totals.responses, totals.total)
}

/// The sessions that have responses.
fn sessions(totals: &ReferenceTotals) -> Vec<&str> {
    totals.sessions.keys().map(String::as_str).collect()
}
