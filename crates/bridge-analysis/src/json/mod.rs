//! JSON text: all of it is validated, single fields are read.
//!
//! Nearly every line is read by the [fast reader](fast). If it is unsure, the [full one](full) reads the line.

mod fast;
mod full;
mod reader;
mod string;

use std::borrow::Cow;

use fast::FastReader;
use full::FullReader;
pub(crate) use reader::{Decode, Raw, Reader, Unsure};

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidJson;

/// Calls `visit` with each object of the line: usually one, several if records are glued together. A line counts
/// entirely or not at all, so it is proven valid before any object is visited.
pub(crate) fn read_line<'a, D: Decode<'a>>(
    line: &'a str,
    decoder: &mut D,
    mut visit: impl FnMut(&mut D, &D::Object),
) -> Result<(), InvalidJson> {
    let mut object = D::Object::default();
    if read_fast(line, decoder, &mut object).is_ok() {
        visit(decoder, &object);
        return Ok(());
    }
    full::values(line, |value| {
        if let Some(object) = read_full(value, decoder) {
            visit(decoder, &object);
        }
    })
}

/// Reads an object that is proven valid; `None` if the value is not an object.
pub(crate) fn read_object<'a, D: Decode<'a>>(value: Raw<'a>, decoder: &mut D) -> Option<D::Object> {
    if !value.starts_with('{') {
        return None;
    }
    let mut object = D::Object::default();
    match read_fast(value, decoder, &mut object) {
        Ok(()) => Some(object),
        Err(Unsure) => read_full(value, decoder),
    }
}

/// Reads a text that holds one object and nothing else, which proves it valid.
#[inline]
fn read_fast<'a, D: Decode<'a>>(
    text: &'a str,
    decoder: &mut D,
    object: &mut D::Object,
) -> Result<(), Unsure> {
    let mut reader = FastReader::new(text);
    reader.skip_space();
    decoder.decode(&mut reader, object)?;
    if reader.at_end() { Ok(()) } else { Err(Unsure) }
}

fn read_full<'a, D: Decode<'a>>(value: Raw<'a>, decoder: &mut D) -> Option<D::Object> {
    let mut object = D::Object::default();
    decoder.decode(&mut FullReader::new(value), &mut object).ok().map(|()| object)
}

/// Returns the raw values of these keys of a valid JSON object; `None` if `value` is not an object. Of
/// duplicate keys, the last counts.
pub(crate) fn object_fields<'a, const N: usize>(
    value: Raw<'a>,
    keys: [&str; N],
) -> Option<[Option<Raw<'a>>; N]> {
    read_object(value, &mut Keys(keys)).map(|Values(values)| values)
}

struct Keys<'k, const N: usize>([&'k str; N]);

struct Values<'a, const N: usize>([Option<Raw<'a>>; N]);

impl<const N: usize> Default for Values<'_, N> {
    fn default() -> Self {
        Self([None; N])
    }
}

impl<'a, const N: usize> Decode<'a> for Keys<'_, N> {
    type Object = Values<'a, N>;

    fn decode<R: Reader<'a>>(&mut self, reader: &mut R, values: &mut Values<'a, N>) -> Result<(), Unsure> {
        let taken = reader.members(|value, key| {
            let value = value.value()?;
            if let Some(place) = self.0.iter().position(|wanted| wanted.as_bytes() == key) {
                values.0[place] = Some(value);
            }
            Ok(())
        });
        taken.map(drop)
    }
}

/// Calls `visit` with each item of a valid JSON array. Returns whether the value is one.
pub(crate) fn array_items<'a>(value: Raw<'a>, mut visit: impl FnMut(Raw<'a>)) -> bool {
    if !value.starts_with('[') {
        return false;
    }
    // Item by item: a list of them would be many times a long text. An unsure reader may have visited some items, so
    // it goes to its end before any is visited.
    let walked = if FastReader::new(value).value().is_ok() {
        visit_items(&mut FastReader::new(value), &mut visit)
    } else {
        visit_items(&mut FullReader::new(value), &mut visit)
    };
    debug_assert!(walked.is_ok(), "a valid array is walked to its end");
    true
}

fn visit_items<'a, R: Reader<'a>>(array: &mut R, visit: &mut impl FnMut(Raw<'a>)) -> Result<(), Unsure> {
    array.items(|item| item.value().map(&mut *visit)).map(drop)
}

/// Returns the decoded bytes of a string; `None` if the value is not a string. A lone surrogate becomes the
/// three bytes that UTF-8 would use for it, so that different strings stay different.
pub(crate) fn string_bytes(value: Raw<'_>) -> Option<Cow<'_, [u8]>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside.as_bytes()));
    }
    full::decoded(value).map(Cow::Owned)
}

/// Returns the decoded text of a string, lone surrogates replaced; `None` if the value is not a string.
pub(crate) fn string(value: Raw<'_>) -> Option<Cow<'_, str>> {
    Some(match string_bytes(value)? {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Returns whether the value is present and not `null`.
pub(crate) fn is_present(value: Option<Raw<'_>>) -> bool {
    value.is_some_and(|value| value != "null")
}

/// Returns whether the value is `true`.
pub(crate) fn is_true(value: Option<Raw<'_>>) -> bool {
    value.is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &str) -> Result<Vec<String>, InvalidJson> {
        let mut found = Vec::new();
        full::values(line, |value| found.push(value.to_owned())).map(|()| found)
    }

    #[test]
    fn one_value_or_several_glued_together() {
        assert_eq!(all(" {\"a\":1}\r"), Ok(vec!["{\"a\":1}".to_owned()]));
        assert_eq!(all("{}{} [1]"), Ok(vec!["{}".to_owned(), "{}".to_owned(), "[1]".to_owned()]));
        for bad in
            ["{", "{}x", "NaN", "{\"a\":NaN}", "\u{feff}{}", "{'a':1}", "{\"a\":1,}", "\"\t\"", "01", "\0"]
        {
            assert_eq!(all(bad), Err(InvalidJson), "{bad:?}");
        }
    }

    #[test]
    fn unread_values_may_hold_anything_in_the_grammar() {
        let deep = format!("{{\"x\":{}{},\"a\":7}}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            &deep,
            r#"{"\ud800":1,"x":"\udc00","a":7}"#,
            r#"{"x":1e999999,"y":-0.0E-5,"a":7}"#,
            r#"{"a":1,"\u0061":7}"#,
            r#"{"a":{"a":1},"b":[{"a":2}],"a":7}"#,
        ] {
            assert_eq!(all(text).map(|values| values.len()), Ok(1));
            let [a] = object_fields(text, ["a"]).expect("an object");
            assert_eq!(a, Some("7"), "{:.60}", text);
        }
        assert_eq!(object_fields("[1]", ["a"]).map(|[a]| a.is_some()), None);
    }

    #[test]
    fn strings_are_decoded_and_stay_distinct() {
        let text = r#"{"a":"\u0061b","b":"\ud800","c":"\ud801","d":5}"#;
        let [a, b, c, d] = object_fields(text, ["a", "b", "c", "d"]).expect("an object");
        let bytes = |value: Option<Raw<'_>>| string_bytes(value.unwrap()).map(Cow::into_owned);
        assert_eq!(bytes(a), Some(b"ab".to_vec()));
        assert_ne!(bytes(b), bytes(c));
        assert_eq!(bytes(d), None);
    }
}
