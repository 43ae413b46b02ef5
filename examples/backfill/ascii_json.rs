//! JSON that is safe for terminals as well as for programs.

use std::fmt::Write;

use serde_json::Value;

/// Formats the value as one line of ASCII. Names in transcripts may contain terminal control characters; JSON has an
/// escape for each of them.
pub(crate) fn to_ascii_line(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if (' '..='~').contains(&c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}
