//! Untrusted text for a terminal or log.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Serializer, ser::SerializeSeq};

/// Displays untrusted text (names of files, models and projects, messages of servers) safely: nothing in it moves a
/// cursor, starts a line, reverses the writing direction or hides.
///
/// Control characters and invisible formatting characters are escaped. Bytes that are not UTF-8 become `\xff`.
/// Everything else, backslashes included, is displayed unchanged.
///
/// ```
/// use bridge_core::Escaped;
///
/// assert_eq!(Escaped::text("opus\u{1b}[31m\n").to_string(), r"opus\u{1b}[31m\n");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escaped<'a>(&'a [u8]);

impl<'a> Escaped<'a> {
    /// Displays this text on one line.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Displays this path, whatever bytes it has.
    #[must_use]
    pub fn path(path: &'a Path) -> Self {
        Self(path.as_os_str().as_encoded_bytes())
    }

    fn write_to(self, out: &mut impl Write) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match is_unsafe(c) {
                    true => write!(out, "{}", c.escape_default())?,
                    false => out.write_char(c)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(out, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_none() && f.precision().is_none() {
            return self.write_to(f);
        }
        let mut text = String::new();
        self.write_to(&mut text)?;
        f.pad(&text)
    }
}

/// Serializes a path as text; one that is not UTF-8 in its displayed form.
pub(crate) fn serialize_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&readable(path))
}

/// Serializes paths, each as [`serialize_path`] does.
pub(crate) fn serialize_paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(paths.len()))?;
    paths.iter().try_for_each(|path| list.serialize_element(&*readable(path)))?;
    list.end()
}

fn readable(path: &Path) -> Cow<'_, str> {
    path.to_str().map_or_else(|| Escaped::path(path).to_string().into(), Cow::Borrowed)
}

/// Returns whether a terminal would do anything but draw the character.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_text_is_unchanged() {
        for text in ["", "claude-opus-4-8", r"C:\Users\me\app", "/home/user/überblick/日本語 🦀", "a\"b'c"]
        {
            assert_eq!(Escaped::text(text).to_string(), text);
        }
    }

    #[test]
    fn terminal_control_is_escaped() {
        let hostile = "a\u{1b}]0;title\u{7}\r\nb\u{202e}c\u{9b}31m\u{7f}\u{200b}\u{2028}\t\0";
        let shown = Escaped::text(hostile).to_string();
        assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{shown:?}");
        assert_eq!(shown, r"a\u{1b}]0;title\u{7}\r\nb\u{202e}c\u{9b}31m\u{7f}\u{200b}\u{2028}\t\u{0}");
    }

    #[cfg(unix)]
    #[test]
    fn non_utf8_paths_stay_distinct() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let shown = |bytes: &[u8]| Escaped::path(Path::new(OsStr::from_bytes(bytes))).to_string();
        assert_eq!(shown(b"/a/\xff(b\xc3.jsonl"), r"/a/\xff(b\xc3.jsonl");
        assert_ne!(shown(b"\xff"), shown(b"\xfe"));
    }

    #[test]
    fn width_counts_displayed_characters() {
        assert_eq!(format!("{:>6}|{:<3}|", Escaped::text("a\n"), Escaped::text("b")), "   a\\n|b  |");
    }
}
