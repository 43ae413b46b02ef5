//! Finds the end of a JSON string, and validates it.
//!
//! Nearly all bytes of a transcript are in strings, so this dominates the cost of a walk. Most strings
//! are short and end in the first bytes that are compared. Long ones are texts with an escape on every line:
//! there, 64 bytes are compared together without a branch for each escape, as simdjson does.

use wide::u8x16;

use crate::json::reader::Unsure;

/// Bytes of one vector.
const LANES: usize = 16;
/// Bytes within which a short string is expected to end.
const SHORT: usize = 2 * LANES;
/// Bytes of a long string that are compared together, each a bit of a mask.
const BLOCK: usize = 64;

/// Returns the place after the closing quote of the string whose content begins at `start`.
#[inline]
pub(crate) fn string_end(bytes: &[u8], start: usize) -> Result<usize, Unsure> {
    if let Some(short) = bytes.get(start..).and_then(<[u8]>::first_chunk::<SHORT>) {
        let place = start + specials(short).trailing_zeros() as usize;
        if place < start + SHORT && bytes[place] == b'"' {
            return Ok(place + 1);
        }
    }
    long_string_end(bytes, start)
}

/// Returns the place of the next quote, backslash or control character, from `at` on.
#[inline]
pub(crate) fn next_special(bytes: &[u8], mut at: usize) -> Result<usize, Unsure> {
    while let Some(short) = bytes.get(at..).and_then(<[u8]>::first_chunk::<SHORT>) {
        let specials = specials(short);
        if specials != 0 {
            return Ok(at + specials.trailing_zeros() as usize);
        }
        at += SHORT;
    }
    let rest = bytes.get(at..).ok_or(Unsure)?;
    rest.iter().position(|byte| is_special(*byte)).map(|place| at + place).ok_or(Unsure)
}

#[inline(never)]
fn long_string_end(bytes: &[u8], start: usize) -> Result<usize, Unsure> {
    let mut at = start;
    let mut carry = Carry::default();
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        let masks = Masks::scan(block);
        let escaped = carry.escaped(masks.backslashes);
        let closing = masks.quotes & !escaped;
        // Bytes after the string do not belong to it. Without a quote, the whole block is inside.
        let inside = closing.wrapping_sub(1) & !closing;
        if masks.has_control && has_control(&block[..inside.trailing_ones() as usize]) {
            return Err(Unsure);
        }
        check_escapes(bytes, at, escaped & !masks.usual_escapes & inside)?;
        if closing != 0 {
            return Ok(at + closing.trailing_zeros() as usize + 1);
        }
        at += BLOCK;
    }
    let next = if carry.is_escaped { at - 1 } else { at };
    last_string_end(bytes, next)
}

/// Finds the end of a string of which less than a block is left; `at` is not escaped.
fn last_string_end(bytes: &[u8], mut at: usize) -> Result<usize, Unsure> {
    loop {
        match *bytes.get(at).ok_or(Unsure)? {
            b'"' => return Ok(at + 1),
            b'\\' => {
                check_escape(bytes, at + 1)?;
                at += 2;
            }
            0..0x20 => return Err(Unsure),
            _ => at += 1,
        }
    }
}

/// Checks the escapes whose letters are at the set bits.
#[inline]
fn check_escapes(bytes: &[u8], start: usize, mut letters: u64) -> Result<(), Unsure> {
    while letters != 0 {
        check_escape(bytes, start + letters.trailing_zeros() as usize)?;
        letters &= letters - 1;
    }
    Ok(())
}

/// Checks the escape whose letter is here.
fn check_escape(bytes: &[u8], letter: usize) -> Result<(), Unsure> {
    match bytes.get(letter) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
        Some(b'u') => match bytes.get(letter + 1..letter + 5) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(()),
            _ => Err(Unsure),
        },
        _ => Err(Unsure),
    }
}

/// Masks of the bytes of a block, by their meaning.
struct Masks {
    quotes: u64,
    backslashes: u64,
    /// Letters that follow nearly every backslash.
    usual_escapes: u64,
    has_control: bool,
}

impl Masks {
    #[inline]
    fn scan(block: &[u8; BLOCK]) -> Self {
        let (mut quotes, mut backslashes, mut usual_escapes) = (0, 0, 0);
        let mut least = u8x16::splat(u8::MAX);
        for (place, lanes) in block.chunks_exact(LANES).enumerate() {
            let lanes = u8x16::from(lanes);
            let quote = lanes.simd_eq(u8x16::splat(b'"'));
            let backslash = lanes.simd_eq(u8x16::splat(b'\\'));
            let usual =
                lanes.simd_eq(u8x16::splat(b'n')) | lanes.simd_eq(u8x16::splat(b't')) | quote | backslash;
            let shift = place * LANES;
            quotes |= u64::from(quote.to_bitmask()) << shift;
            backslashes |= u64::from(backslash.to_bitmask()) << shift;
            usual_escapes |= u64::from(usual.to_bitmask()) << shift;
            least = least.min(lanes);
        }
        let control = u8x16::splat(0x1f);
        let has_control = least.min(control).simd_eq(least).to_bitmask() != 0;
        Self { quotes, backslashes, usual_escapes, has_control }
    }
}

/// The state between two blocks: `is_escaped` if the byte after the last one is.
#[derive(Default)]
struct Carry {
    is_escaped: bool,
}

impl Carry {
    /// Returns the bytes that a backslash escapes: those after an odd number of backslashes. A run of
    /// backslashes is added to its own start, so that the carry shows where it ends.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let escaped_first = u64::from(self.is_escaped);
        if backslashes == 0 {
            self.is_escaped = false;
            return escaped_first;
        }
        let escaping = backslashes & !escaped_first;
        let follows = escaping << 1 | escaped_first;
        let odd_starts = escaping & !EVEN & !follows;
        let (even_runs, overflow) = odd_starts.overflowing_add(escaping);
        self.is_escaped = overflow;
        (EVEN ^ even_runs << 1) & follows
    }
}

fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte < 0x20)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// Returns a bit for each of the bytes that is a quote, a backslash or a control character.
#[inline]
fn specials(short: &[u8; SHORT]) -> u32 {
    let (low, high) = short.split_at(LANES);
    specials_of_lanes(low) | specials_of_lanes(high) << LANES
}

#[inline]
fn specials_of_lanes(lanes: &[u8]) -> u32 {
    let lanes = u8x16::from(lanes);
    let control = u8x16::splat(0x1f);
    let special = lanes.simd_eq(u8x16::splat(b'"'))
        | lanes.simd_eq(u8x16::splat(b'\\'))
        | lanes.max(control).simd_eq(control);
    special.to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_place_of_a_special_byte_is_found() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for length in 1..140 {
                for place in 0..length {
                    let mut bytes = vec![0x7f; length];
                    bytes[place] = special;
                    assert_eq!(next_special(&bytes, 0), Ok(place));
                    assert_eq!(next_special(&bytes, place + 1), Err(Unsure));
                    let end = if special == b'"' { Ok(place + 1) } else { Err(Unsure) };
                    assert_eq!(string_end(&bytes, 0), end, "{special} {length} {place}");
                }
            }
        }
        assert_eq!(next_special("é進捗😀 !#[]".repeat(9).as_bytes(), 0), Err(Unsure));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Byte by byte is slow and obvious. What follows the string must not matter.
        #[test]
        fn a_string_ends_where_it_ends_byte_by_byte(
            pieces in prop::collection::vec("[a-zé]{1,40}|\\\\\\\\|\\\\\"|\\\\n|\\\\u00[0-9a-g]{2}|\\\\x|\"|\t|[ -~]", 0..60),
            start in 0_usize..70,
        ) {
            let text = " ".repeat(start) + &pieces.concat();
            let found = string_end(text.as_bytes(), start);
            prop_assert_eq!(found, last_string_end(text.as_bytes(), start), "{:?}", text);
        }

        #[test]
        fn the_end_is_found_behind_any_run_of_backslashes(
            runs in prop::collection::vec((0_usize..70, "[n\"ux ]{0,3}"), 0..8),
        ) {
            let text: String = runs.into_iter().map(|(length, rest)| "\\".repeat(length) + &rest).collect();
            prop_assert_eq!(string_end(text.as_bytes(), 0), last_string_end(text.as_bytes(), 0), "{:?}", text);
        }
    }
}
