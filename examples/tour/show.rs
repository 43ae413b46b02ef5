//! How figures look.

use std::time::Duration;

use bridge::ReceiptLine;
use indicatif::HumanCount;

/// With thousands separators.
pub(crate) fn number(figure: u64) -> String {
    HumanCount(figure).to_string()
}

pub(crate) fn signed(figure: i64) -> String {
    let sign = if figure < 0 { "−" } else { "+" };
    format!("{sign}{}", number(figure.unsigned_abs()))
}

pub(crate) fn time(took: Duration) -> String {
    match took.as_millis() {
        millis @ 0..10_000 => format!("{millis} ms"),
        millis => format!("{:.1} s", millis as f64 / 1000.0),
    }
}

/// A name with its figure behind it.
pub(crate) fn line(name: &str, figure: impl std::fmt::Display) {
    println!("      {name:<44}{figure:>20}");
}

/// A line of a receipt.
pub(crate) fn receipt_line(name: &str, line: ReceiptLine) {
    println!("      {name:<44}{:>20}{:>12}", number(line.tokens), number(line.count));
}
