//! The full reader: all of JSON's grammar, by `serde_json`.
//!
//! Values are kept raw until they are asked for, because by the counting rule nothing but the grammar may fail outside
//! the fields that are read: not a lone surrogate, a huge number or deep nesting. Skipping a raw value is iterative, so
//! nesting costs no stack.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error, MapAccess, SeqAccess, Visitor};
use serde_json::de::Deserializer;
use serde_json::value::RawValue;

use crate::json::InvalidJson;
use crate::json::reader::{Raw, Reader, Unsure};

/// White space in JSON's grammar.
const WHITESPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Calls `visit` with the raw text of each value of the line: usually one, several if records are glued together.
pub(crate) fn values<'a>(line: &'a str, mut visit: impl FnMut(Raw<'a>)) -> Result<(), InvalidJson> {
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

/// A reader of one value, which is proven valid. Unsure only if the value is not of the requested kind.
#[derive(Debug)]
pub(crate) struct FullReader<'a>(Raw<'a>);

impl<'a> FullReader<'a> {
    pub(crate) fn new(value: Raw<'a>) -> Self {
        Self(value)
    }
}

impl<'a> Reader<'a> for FullReader<'a> {
    fn peek(&self) -> u8 {
        self.0.as_bytes().first().copied().unwrap_or(0)
    }

    fn value(&mut self) -> Result<Raw<'a>, Unsure> {
        Ok(self.0)
    }

    fn members(
        &mut self,
        visit: impl FnMut(&mut Self, &[u8]) -> Result<(), Unsure>,
    ) -> Result<Raw<'a>, Unsure> {
        Deserializer::from_str(self.0).deserialize_map(Members(visit)).map_err(|_| Unsure)?;
        Ok(self.0)
    }

    fn items(&mut self, visit: impl FnMut(&mut Self) -> Result<(), Unsure>) -> Result<Raw<'a>, Unsure> {
        Deserializer::from_str(self.0).deserialize_seq(Items(visit)).map_err(|_| Unsure)?;
        Ok(self.0)
    }
}

struct Members<F>(F);

impl<'de, F: FnMut(&mut FullReader<'de>, &[u8]) -> Result<(), Unsure>> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut key = Vec::new();
        while map.next_key_seed(DecodedString(&mut key))?.is_some() {
            let value = map.next_value::<&RawValue>()?;
            (self.0)(&mut FullReader(value.get()), &key).map_err(|Unsure| A::Error::custom("unsure"))?;
        }
        Ok(())
    }
}

/// Decodes a string. Works on bytes, because a string may hold invalid UTF-8.
struct DecodedString<'k>(&'k mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for DecodedString<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for DecodedString<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.0.clear();
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.visit_bytes(text.as_bytes())
    }
}

struct Items<F>(F);

impl<'de, F: FnMut(&mut FullReader<'de>) -> Result<(), Unsure>> Visitor<'de> for Items<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            (self.0)(&mut FullReader(item.get())).map_err(|Unsure| A::Error::custom("unsure"))?;
        }
        Ok(())
    }
}

/// Decodes a string. A lone surrogate becomes the three bytes that UTF-8 would use for it.
pub(crate) fn decoded(string: Raw<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    Deserializer::from_str(string).deserialize_bytes(DecodedString(&mut bytes)).ok()?;
    Some(bytes)
}
