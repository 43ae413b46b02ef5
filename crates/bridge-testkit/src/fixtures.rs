//! Rows, analyses and transcript lines shared by many tests.

use bridge_core::{
    AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp, TokenCounts,
};

/// Returns the time of rows and analyses, and of the tests' clocks: 2026-03-01.
pub fn now() -> Timestamp {
    Timestamp::from_millis(1_772_323_200_000).expect("the constant is in range")
}

/// Returns a finished response of the session with this many output tokens.
pub fn response(session: &str, key: u128, output: u64) -> ResponseUsage {
    let session = SessionId::new(session).expect("the name is short");
    let mut row = ResponseUsage::new(ResponseKey(key), session, now());
    row.counts = TokenCounts { output, ..TokenCounts::ZERO };
    row.finished = true;
    row
}

/// Returns an analysis of the session with a response for each of these output counts.
pub fn analysis(session: &str, first_key: u128, outputs: &[u64]) -> EnhancedTokenAnalysis {
    let responses =
        outputs.iter().zip(first_key..).map(|(output, key)| response(session, key, *output)).collect();
    let id = AnalysisId::new(format!("{session}-{first_key}")).expect("the name is short");
    let session = SessionId::new(session).expect("the name is short");
    EnhancedTokenAnalysis::from_responses(id, session, now(), responses).expect("the sums are small")
}

/// Returns a transcript line with a finished response of the session, without a time.
pub fn line(session: &str, message: u64, output: u64) -> String {
    line_with(session, message, output, "")
}

/// Returns a transcript line with a finished response of the session at this time.
pub fn line_at(session: &str, message: u64, output: u64, time: &str) -> String {
    line_with(session, message, output, &format!(r#""timestamp":"{time}","#))
}

fn line_with(session: &str, message: u64, output: u64, time: &str) -> String {
    let usage = format!(r#"{{"output_tokens":{output}}}"#);
    let message = format!(r#"{{"id":"msg_{message:024}","stop_reason":"end_turn","usage":{usage}}}"#);
    format!(r#"{{"type":"assistant","sessionId":"{session}",{time}"message":{message}}}"#) + "\n"
}
