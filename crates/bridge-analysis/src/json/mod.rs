//! Reading single fields out of JSON text, with the whole text checked by grammar.
//!
//! `serde_json` does the parsing; values are kept raw until somebody asks for them, because by the
//! counting rule nothing but the grammar may fail outside the fields that are read: no lone surrogate, no
//! huge number, no deep nesting. Skipping a raw value is iterative, so nesting costs no stack.

pub(crate) mod cursor;
mod string;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::de::Deserializer;
use serde_json::value::RawValue;

use crate::json::cursor::{Cursor, Unsure};

/// A value as it stands in the text.
pub(crate) type Raw<'a> = &'a str;

/// The text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidJson;

/// Calls `visit` with the raw text of each value of the line: usually one, several where records are glued together.
pub(crate) fn values(line: &str, mut visit: impl FnMut(&str)) -> Result<(), InvalidJson> {
    let line = line.trim_matches(WHITESPACE);
    // A line counts whole or not at all, so it is proven valid before anything of it is visited. Where there is more
    // than one value it is parsed again for that: a list of millions of glued values would be many times the line.
    let mut rest = line;
    let mut is_first = true;
    while !rest.is_empty() {
        let value;
        (value, rest) = split_value(rest)?;
        if is_first && rest.is_empty() {
            visit(value);
            return Ok(());
        }
        is_first = false;
    }
    rest = line;
    while !rest.is_empty() {
        let value;
        (value, rest) = split_value(rest)?;
        visit(value);
    }
    Ok(())
}

/// The first value of a text, and what follows it.
fn split_value(text: &str) -> Result<(&str, &str), InvalidJson> {
    let mut values = Deserializer::from_str(text).into_iter::<&RawValue>();
    let (Some(Ok(value)), end) = (values.next(), values.byte_offset()) else { return Err(InvalidJson) };
    Ok((value.get(), text[end..].trim_start_matches(WHITESPACE)))
}

/// White space by JSON's grammar.
const WHITESPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// The raw values of these keys, where `text` is a valid JSON object; `None` where it is another value. Of
/// duplicate keys the last counts.
pub(crate) fn object_fields<'a, const N: usize>(
    text: Raw<'a>,
    keys: [&str; N],
) -> Option<[Option<Raw<'a>>; N]> {
    if !text.starts_with('{') {
        return None;
    }
    let mut found = [None; N];
    let walk = Cursor::new(text).members(|cursor, key| {
        let value = cursor.value()?;
        if let Some(index) = keys.iter().position(|wanted| wanted.as_bytes() == key) {
            found[index] = Some(value);
        }
        Ok(())
    });
    match walk {
        Ok(()) => Some(found),
        Err(Unsure) => Deserializer::from_str(text).deserialize_map(Fields { keys }).ok(),
    }
}

/// Calls `visit` with each item of a valid JSON array; says whether the value is one.
pub(crate) fn array_items<'a>(value: Raw<'a>, mut visit: impl FnMut(Raw<'a>)) -> bool {
    if !value.starts_with('[') {
        return false;
    }
    // An unsure walk may have visited some items, so it goes to its end before any is visited.
    let mut cursor = Cursor::new(value);
    if cursor.value().is_ok() {
        let visited = Cursor::new(value).items(|cursor| {
            visit(cursor.value()?);
            Ok(())
        });
        debug_assert!(visited.is_ok(), "a second walk is as sure as the first");
    } else {
        // Item by item: a list of them would be many times a long text. A valid value has no item that fails.
        let walked = Deserializer::from_str(value).deserialize_seq(Items(&mut visit));
        debug_assert!(walked.is_ok(), "a valid array is walked to its end");
    }
    true
}

struct Items<F>(F);

impl<'de, F: FnMut(Raw<'de>)> Visitor<'de> for Items<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            (self.0)(item.get());
        }
        Ok(())
    }
}

/// The decoded bytes of a string; `None` where the value is another one. A lone surrogate becomes the
/// three bytes that UTF-8 would have for it, so that different strings stay different.
pub(crate) fn string_bytes(value: Raw<'_>) -> Option<Cow<'_, [u8]>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside.as_bytes()));
    }
    Deserializer::from_str(value).deserialize_bytes(OwnedBytes).ok().map(Cow::Owned)
}

/// The decoded text of a string, lone surrogates replaced; `None` where the value is another one.
pub(crate) fn string(value: Raw<'_>) -> Option<Cow<'_, str>> {
    Some(match string_bytes(value)? {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Whether the value is there and not `null`.
pub(crate) fn is_present(value: Option<Raw<'_>>) -> bool {
    value.is_some_and(|value| value != "null")
}

/// Whether the value is `true`.
pub(crate) fn is_true(value: Option<Raw<'_>>) -> bool {
    value.is_some_and(|value| value == "true")
}

struct Fields<'k, const N: usize> {
    keys: [&'k str; N],
}

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<Raw<'de>>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(index) = map.next_key_seed(KeyIndex(&self.keys))? {
            match index {
                Some(index) => found[index] = Some(map.next_value::<&RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// Finds the place of a key among the wanted ones. Works on bytes, because a key may hold what is no UTF-8.
struct KeyIndex<'k>(&'k [&'k str]);

impl<'de> DeserializeSeed<'de> for KeyIndex<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for KeyIndex<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: serde::de::Error>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| wanted.as_bytes() == key))
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        self.visit_bytes(key.as_bytes())
    }
}

struct OwnedBytes;

impl Visitor<'_> for OwnedBytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(bytes.to_vec())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &str) -> Result<Vec<String>, InvalidJson> {
        let mut found = Vec::new();
        values(line, |value| found.push(value.to_owned())).map(|()| found)
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
    fn what_is_not_read_may_hold_anything_that_the_grammar_admits() {
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
