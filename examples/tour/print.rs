//! Formatting and printing of numbers and times.

use std::time::Duration;

use bridge::ReceiptLine;
use indicatif::HumanCount;

/// Formats a number with thousands separators.
pub(crate) fn number(count: u64) -> String {
    HumanCount(count).to_string()
}

pub(crate) fn signed(change: i64) -> String {
    let sign = if change < 0 { "−" } else { "+" };
    format!("{sign}{}", number(change.unsigned_abs()))
}

pub(crate) fn time(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        millis @ 0..10_000 => format!("{millis} ms"),
        millis => format!("{:.1} s", millis as f64 / 1000.0),
    }
}

/// Prints a label and its value.
pub(crate) fn line(label: &str, value: impl std::fmt::Display) {
    println!("      {label:<44}{value:>20}");
}

/// Prints one line of a receipt.
pub(crate) fn receipt_line(name: &str, line: ReceiptLine) {
    println!("      {name:<44}{:>20}{:>12}", number(line.tokens), number(line.count));
}
