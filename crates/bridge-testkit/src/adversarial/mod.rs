//! Lines that try to mislead a parser, made fast enough for ten million cases.
//!
//! They draw ids, sessions, times and counts from small pools, so that responses collide and tie, and write
//! them in every way the grammar allows: other key orders, white space, escapes in keys, duplicate keys, glued
//! values, transcripts quoted in strings, numbers no counter can hold. Some are damaged afterwards.
//! What they are worth is not known: ask [`mod@crate::reference`].
//!
//! ```
//! let mut rng = fastrand::Rng::with_seed(1);
//! let line = bridge_testkit::adversarial::line(&mut rng);
//! assert!(!line.contains(&b'\n'));
//! ```

mod damage;
mod filler;
mod record;
#[cfg(feature = "proptest")]
pub mod strategy;
mod writer;

use fastrand::Rng;

/// Any line, without its newline: mostly valid records, some damaged, some no records at all.
pub fn line(rng: &mut Rng) -> Vec<u8> {
    let mut line = match rng.u8(..100) {
        0..2 => damage::arbitrary_bytes(rng),
        2..8 => glued(rng),
        _ => record::record(rng),
    };
    if rng.u8(..100) < 12 {
        damage::damage(rng, &mut line);
    }
    line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    line
}

/// One valid record: an object on one line.
pub fn record(rng: &mut Rng) -> Vec<u8> {
    record::record(rng)
}

/// A file of about that many lines: with a byte order mark, CRLF, blank lines and a last line without newline now and then.
pub fn transcript(rng: &mut Rng, lines: usize) -> Vec<u8> {
    let mut content = Vec::new();
    if rng.u8(..100) < 5 {
        content.extend_from_slice(b"\xef\xbb\xbf");
    }
    for number in 0..lines {
        content.extend(line(rng));
        match rng.u8(..100) {
            0..5 => content.extend_from_slice(b"\r\n"),
            5..8 => content.extend_from_slice(b"\n\n \t\r\n"),
            8..40 if number + 1 == lines => {}
            _ => content.push(b'\n'),
        }
    }
    content
}

/// Several values on one line.
fn glued(rng: &mut Rng) -> Vec<u8> {
    let mut line = Vec::new();
    for _ in 0..rng.usize(1..4) {
        match rng.u8(..10) {
            0 => line.extend(filler::scalar(rng)),
            1 => line.extend_from_slice(b"[{}]"),
            _ => line.extend(record::record(rng)),
        }
        line.extend_from_slice([&b""[..], b"", b" ", b"\t\r "][rng.usize(..4)]);
    }
    line
}
