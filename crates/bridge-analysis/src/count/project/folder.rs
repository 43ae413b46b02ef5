//! Names of project folders.

use super::path::Style;

/// A path in the name of a folder: the client writes `-` for every UTF-16 unit but ASCII letters and digits, so an
/// `é` is one and an emoji two. Of a longer name it keeps the first 200 units, and appends `-` and a hash of the
/// path.
#[derive(Debug)]
pub(super) struct EncodedFolder {
    units: Vec<u16>,
}

const KEPT_UNITS: usize = 200;
const DASH: u16 = b'-' as u16;

impl EncodedFolder {
    pub(super) fn new(name: &str) -> Self {
        Self { units: name.encode_utf16().collect() }
    }

    /// Returns the path that the folder is named after, with the letters that the folder has.
    ///
    /// Of a long name, that is the path with its hash. Clients hash in two ways, of which one is known; if none has
    /// it, it is the shortest path that is too long, so that all that are inside belong together.
    pub(super) fn find<'p>(&self, style: Style, paths: impl Iterator<Item = &'p str>) -> Option<String> {
        let mut shortest = None;
        for path in paths {
            if let Some(spelled) = spelled(&self.units, path, style, false) {
                return Some(spelled);
            }
            let Some((kept, suffix)) = self.truncated() else { continue };
            let Some(spelled) = spelled(kept, path, style, true) else { continue };
            if hash(path).encode_utf16().eq(suffix.iter().copied()) {
                return Some(spelled);
            }
            shortest = Some(spelled);
        }
        shortest
    }

    /// Returns what is kept of a path that was too long, and its hash.
    fn truncated(&self) -> Option<(&[u16], &[u16])> {
        let (kept, rest) = self.units.split_at_checked(KEPT_UNITS)?;
        Some((kept, rest.strip_prefix(&[DASH])?))
    }
}

/// Returns the path, if the name is its: with the letters of the name if their case does not matter. A `truncated`
/// name is that of a longer path.
fn spelled(name: &[u16], path: &str, style: Style, truncated: bool) -> Option<String> {
    let (mut units, mut spelled) = (name.iter().copied(), String::with_capacity(path.len()));
    let mut is_longer = false;
    for c in path.chars() {
        let mut letter = c;
        for unit in c.encode_utf16(&mut [0; 2]) {
            match units.next() {
                Some(named) if named == *unit || named == DASH && !c.is_ascii_alphanumeric() => {}
                Some(named) if style == Style::Windows && is_same_letter(named, *unit) => {
                    letter = char::from_u32(named.into())?;
                }
                None if truncated => is_longer = true,
                _ => return None,
            }
        }
        spelled.push(letter);
    }
    (units.next().is_none() && is_longer == truncated).then_some(spelled)
}

fn is_same_letter(a: u16, b: u16) -> bool {
    matches!((u8::try_from(a), u8::try_from(b)), (Ok(a), Ok(b)) if a.is_ascii_alphabetic() && a.eq_ignore_ascii_case(&b))
}

/// Returns the client's hash of a path where it runs on Node: 32 bits, without their sign, in base 36.
pub(super) fn hash(path: &str) -> String {
    let bits = path
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_shl(5).wrapping_sub(hash).wrapping_add(i32::from(unit)));
    let (mut number, mut digits) = (bits.unsigned_abs(), Vec::new());
    while number > 0 || digits.is_empty() {
        digits.extend(char::from_digit(number % 36, 36));
        number /= 36;
    }
    digits.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::hash;

    /// `"a"` is 97, `"ab"` 31 · 97 + 98, as in Java's `String.hashCode`.
    #[test]
    fn the_hash_is_in_base_36() {
        assert_eq!((hash(""), hash("a"), hash("ab")), ("0".to_owned(), "2p".to_owned(), "2e9".to_owned()));
        // Its hash is the least number, which has no positive counterpart in 32 bits.
        assert_eq!(hash("polygenelubricants"), "zik0zk");
    }
}
