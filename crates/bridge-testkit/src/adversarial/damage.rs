//! Random damage to lines: truncation, insertion, flipped bits.

use fastrand::Rng;

const INSERTIONS: [&[u8]; 14] = [
    b"NaN",
    b"\xef\xbb\xbf",
    b"\0\0\0\0",
    b"\xff",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b",",
    b"// ",
    b"[REDACTED]",
    b"\x01",
    b"\xed\xa0\x80",
    b"01",
];

/// Damages a line in one place. The result may still be valid.
pub(crate) fn damage(rng: &mut Rng, line: &mut Vec<u8>) {
    if line.is_empty() {
        return;
    }
    let at = rng.usize(..line.len());
    match rng.u8(..8) {
        0 => line.truncate(at),
        1 => drop(line.remove(at)),
        2 => line[at] ^= 1 << rng.u8(..8),
        3 => line[at] = rng.u8(..),
        4 => drop(line.drain(..at)),
        5 => {
            let again = line[at..].to_vec();
            line.extend(again);
        }
        6 => drop(line.splice(..0, INSERTIONS[rng.usize(..INSERTIONS.len())].iter().copied())),
        _ => drop(line.splice(at..at, INSERTIONS[rng.usize(..INSERTIONS.len())].iter().copied())),
    }
}

/// Generates random bytes, either arbitrary ones or from the characters of the JSON grammar.
pub(crate) fn arbitrary_bytes(rng: &mut Rng) -> Vec<u8> {
    const JSON: &[u8] = b"{}[]\",:\\ut0123456789-+eE.ntrufalse \t\r\"\"{}";
    let length = rng.usize(..80);
    let from_json = rng.bool();
    (0..length).map(|_| if from_json { JSON[rng.usize(..JSON.len())] } else { rng.u8(..) }).collect()
}
