//! JSON for a terminal as well as for a program.

use std::fmt::Write;

use serde_json::Value;

/// Returns the value as one line of ASCII: names of others may hold characters that a terminal acts on, and JSON has
/// an escape for each.
pub(crate) fn ascii(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if (' '..='~').contains(&c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}
