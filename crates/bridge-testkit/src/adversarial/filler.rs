//! Meaningless values that resemble meaningful ones.

use super::writer::Formatting;
use fastrand::Rng;

/// Texts that a byte search could mistake for usage.
const TEXTS: [&str; 12] = [
    "",
    "plain",
    r#"{"type":"assistant","message":{"id":"msg_0123456789abcdefghij","usage":{"input_tokens":3,"output_tokens":3}}}"#,
    r#""usage":{"input_tokens":5}"#,
    r#"\"usage\":{\"output_tokens\":7}"#,
    "{\"type\":\"progress\",\"data\":{\"message\":{}}}\n{\"type\":\"assistant\"}",
    "ends with a backslash \\",
    "\\\\\\\"",
    "}{",
    "}}]}",
    "é 進捗 😀 \u{7f}\u{2028}\u{feff}",
    "<system-reminder>\u{1b}[1m\t\u{1}\0",
];

const SCALARS: [&str; 24] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "7",
    "-1",
    "1.0",
    "1e3",
    "0.1E-5",
    "1000000000",
    "1000000001",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "1e400",
    "-1e-400",
    "\"\"",
    "\"5\"",
    "\"assistant\"",
    r#""\ud800""#,
    r#""\uDC00\ud83d""#,
    r#""\ud83d\ude00\/\b\f""#,
    r#""\u0000""#,
];

/// Generates a number, a literal or a short string, many of them invalid as a counter or an id.
pub(crate) fn scalar(rng: &mut Rng) -> Vec<u8> {
    SCALARS[rng.usize(..SCALARS.len())].into()
}

/// Generates a text that may be a decoy, with lengths around the block sizes of vectorized parsers.
pub(crate) fn text(rng: &mut Rng) -> Vec<u8> {
    let formatting = Formatting::random(rng);
    let padding = if rng.u8(..) < 40 { rng.usize(..140) } else { 0 };
    let text = format!("{}{}", "x".repeat(padding), TEXTS[rng.usize(..TEXTS.len())]);
    formatting.text(rng, &text)
}

/// Generates any value: scalars, texts, objects that resemble records or usage, deep nesting.
pub(crate) fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..100) {
        0..35 => scalar(rng),
        35..75 => text(rng),
        75..80 => br#"{"input_tokens":2,"output_tokens":2,"iterations":[{"input_tokens":-1}]}"#.into(),
        80..85 => br#"{"id":"msg_0123456789abcdefghij","usage":{"input_tokens":9,"output_tokens":9}}"#.into(),
        85..90 => br#"{"type":"assistant","message":{"id":"m","usage":{"input_tokens":9}}}"#.into(),
        90..93 => [b"[", &*text(rng), b",", &*scalar(rng), b",{}]"].concat(),
        93..96 => b"[[],[[{}]],{\"usage\":{}}]".into(),
        96..99 => [b"{\"usage\":", &*scalar(rng), b",\"message\":", &*text(rng), b"}"].concat(),
        _ => deep(rng),
    }
}

/// Generates nested containers, mostly tens of levels deep, rarely thousands.
fn deep(rng: &mut Rng) -> Vec<u8> {
    let levels = if rng.u8(..) == 0 { rng.usize(..20_000) } else { rng.usize(..200) };
    let (open, close): (&[u8], &[u8]) = if rng.bool() { (b"[", b"]") } else { (b"{\"usage\":", b"}") };
    [&*open.repeat(levels), b"1", &*close.repeat(levels)].concat()
}
