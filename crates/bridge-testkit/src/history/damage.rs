//! Lines that are damaged, and ends that are torn.

use super::{
    line::{Line, Tally},
    plan::Damage,
};
use fastrand::Rng;

/// A damaged line, made of a good one or of nothing.
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
    Some(Line { text, tally: Tally { is_bad_line: true, ..Tally::default() }, is_copied: false })
}

/// The beginning of a record: never valid, and valid UTF-8.
pub(crate) fn torn(rng: &mut Rng, good: &[u8]) -> Vec<u8> {
    let mut length = rng.usize(1..good.len());
    while good[length] & 0xc0 == 0x80 {
        length -= 1;
    }
    good[..length].to_vec()
}
