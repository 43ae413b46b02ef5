//! Damaged lines and truncated last lines.

use super::{
    line::{Line, LineTotals},
    plan::Damage,
};
use fastrand::Rng;

/// Generates a damaged line, usually from an intact one.
pub(crate) fn damaged_line(rng: &mut Rng, damage: Damage, good: &[u8]) -> Option<Line> {
    let kinds = match damage {
        Damage::None => return None,
        Damage::Text => 7,
        Damage::Bytes => 10,
    };
    let text = match rng.u8(..kinds) {
        0 => [b"// ", good].concat(),
        1 => b"not json at all".to_vec(),
        2 => [good, b","].concat(),
        3 => torn(rng, good),
        4 => [&torn(rng, good), good].concat(),
        5 => [b"\xef\xbb\xbf", good].concat(),
        6 => [b"{\"x\":NaN}", good].concat(),
        7 => vec![0; rng.usize(1..300)],
        8 => [good, &[0; 8]].concat(),
        _ => [b"{\"x\":\"\xff\"}", good].concat(),
    };
    Some(Line { text, totals: LineTotals { is_bad_line: true, ..LineTotals::default() }, is_copied: false })
}

/// Truncates a record to invalid JSON that is still valid UTF-8.
pub(crate) fn torn(rng: &mut Rng, good: &[u8]) -> Vec<u8> {
    let mut length = rng.usize(1..good.len());
    while good[length] & 0xc0 == 0x80 {
        length -= 1;
    }
    good[..length].to_vec()
}
