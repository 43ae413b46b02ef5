//! Adversarial transcript lines, generated fast enough for ten million cases.
//!
//! Ids, sessions, times and counts come from small pools, so that responses collide and tie. Lines use everything that
//! the grammar allows: other key orders, whitespace, escapes in keys, duplicate keys, several values on a line,
//! transcripts quoted in strings, and numbers out of a counter's range. Some lines are damaged afterwards. Their totals
//! are not known in advance; [`mod@crate::reference`] computes them.
//!
//! ```
//! let mut rng = fastrand::Rng::with_seed(1);
//! let line = bridge_testkit::adversarial::line(&mut rng);
//! assert!(!line.contains(&b'\n'));
//! ```

mod activity;
mod damage;
mod filler;
mod record;
#[cfg(feature = "proptest")]
pub mod strategy;
mod writer;

use fastrand::Rng;

/// Generates a line without its newline: mostly valid records, some damaged ones, some arbitrary bytes.
pub fn line(rng: &mut Rng) -> Vec<u8> {
    let mut line = match rng.u8(..100) {
        0..2 => damage::arbitrary_bytes(rng),
        2..8 => adjacent_values(rng),
        _ => record::record(rng),
    };
    if rng.u8(..100) < 12 {
        damage::damage(rng, &mut line);
    }
    line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    line
}

/// Names of project folders, of which some are those of the paths in the lines.
pub const FOLDERS: [&str; 10] = [
    "-home-user-app",
    "-home-user-app--claude-worktrees-w1",
    "-home-user---app",
    "C--Users-pat-app",
    "c--users-PAT-app--claude-worktrees-w2-src",
    "--wsl-localhost-Ubuntu-home-user-app",
    "-mnt-c-Users-pat-app",
    "-repo-packages-web",
    LONG_FOLDER,
    "p",
];

/// The name of the folder of a path that is too long, with a hash that is not the known one.
pub(crate) const LONG_FOLDER: &str = concat!(
    "-long-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789",
    "-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456-1a2b3c"
);

/// Generates one valid record: an object on one line.
pub fn record(rng: &mut Rng) -> Vec<u8> {
    record::record(rng)
}

/// Generates a file of about this many lines, occasionally with a byte order mark, CRLF, blank lines, or a last line
/// without a newline.
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

/// Generates several values on one line, with or without whitespace between them.
fn adjacent_values(rng: &mut Rng) -> Vec<u8> {
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
