//! Writes JSON in all the ways that its grammar allows.

use fastrand::Rng;

/// Formatting of one line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formatting {
    spaced: bool,
    escaping: bool,
    shuffled: bool,
    duplicating: bool,
}

/// The members of an object: each key with its raw value.
pub(crate) type Members = Vec<(&'static str, Vec<u8>)>;

impl Formatting {
    /// Chooses a random formatting, mostly the client's.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let flags = rng.u32(..);
        Self {
            spaced: flags & 7 == 0,
            escaping: flags >> 3 & 7 == 0,
            shuffled: flags >> 6 & 3 == 0,
            duplicating: flags >> 8 & 7 == 0,
        }
    }

    /// Writes an object. `decoy` generates values for duplicate keys, which may come before or after the original.
    pub(crate) fn object(
        self,
        rng: &mut Rng,
        mut members: Members,
        decoy: fn(&mut Rng) -> Vec<u8>,
    ) -> Vec<u8> {
        if self.duplicating && !members.is_empty() {
            for _ in 0..rng.usize(1..3) {
                let (key, _) = members[rng.usize(..members.len())];
                let at = rng.usize(..=members.len());
                members.insert(at, (key, decoy(rng)));
            }
        }
        if self.shuffled {
            rng.shuffle(&mut members);
        }
        let mut out = vec![b'{'];
        for (index, (key, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.space(rng, &mut out);
            self.string(rng, key, &mut out);
            self.space(rng, &mut out);
            out.push(b':');
            self.space(rng, &mut out);
            out.extend_from_slice(value);
            self.space(rng, &mut out);
        }
        out.push(b'}');
        out
    }

    /// Writes an array.
    pub(crate) fn array(self, rng: &mut Rng, entries: Vec<Vec<u8>>) -> Vec<u8> {
        let mut out = vec![b'['];
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.space(rng, &mut out);
            out.extend_from_slice(entry);
            self.space(rng, &mut out);
        }
        out.push(b']');
        out
    }

    /// Writes a string.
    pub(crate) fn text(self, rng: &mut Rng, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 2);
        self.string(rng, text, &mut out);
        out
    }

    fn string(self, rng: &mut Rng, text: &str, out: &mut Vec<u8>) {
        out.push(b'"');
        for character in text.chars() {
            let must = matches!(character, '"' | '\\' | '\0'..='\x1f');
            if (self.escaping && rng.u8(..8) == 0) || (must && rng.u8(..8) == 0) {
                escape(rng, character, out);
            } else if must {
                short_escape(character, out);
            } else {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        out.push(b'"');
    }

    fn space(self, rng: &mut Rng, out: &mut Vec<u8>) {
        if self.spaced {
            out.extend_from_slice([&b""[..], b" ", b"\t", b"  \r "][rng.usize(..4)]);
        }
    }
}

/// Writes `\uXXXX` for each UTF-16 code unit, in upper or lower case.
fn escape(rng: &mut Rng, character: char, out: &mut Vec<u8>) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        let hex = if rng.bool() { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
        out.extend_from_slice(hex.as_bytes());
    }
}

fn short_escape(character: char, out: &mut Vec<u8>) {
    match character {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        _ => out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes()),
    }
}
