//! Lines that `ccusage` skips, whatever they count.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The reason why a line is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skip {
    /// A field that must have a value is null.
    Null,
    /// An object has a name twice, in the input of a tool for example.
    RepeatedName,
    /// Its JSON has spaces: it is searched for `"usage":{`.
    Spaces,
}

const MARK: &[u8] = br#""usage":{"#;

/// Fields that must have a value.
const NOT_NULL: [&str; 11] = [
    "id",
    "cwd",
    "model",
    "speed",
    "costUSD",
    "version",
    "sessionId",
    "requestId",
    "isApiErrorMessage",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
];

/// Returns the reason why the line is skipped; `None` if it is read.
pub(crate) fn skip(line: &[u8], record: &Value) -> Option<Skip> {
    if !line.windows(MARK.len()).any(|part| part == MARK) {
        return Some(Skip::Spaces);
    }
    if has_null(record) {
        return Some(Skip::Null);
    }
    serde_json::from_slice::<UniqueNames>(line).is_err().then_some(Skip::RepeatedName)
}

/// Returns whether a field that must have a value is null, anywhere in the record but in iterations.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| match value {
            Value::Null => NOT_NULL.contains(&name.as_str()),
            _ => name != "iterations" && has_null(value),
        }),
        Value::Array(values) => values.iter().any(has_null),
        _ => false,
    }
}

/// Any JSON in which no object has a name twice.
struct UniqueNames;

impl<'de> Deserialize<'de> for UniqueNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = UniqueNames;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueNames, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, _)) = map.next_entry::<String, UniqueNames>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a repeated name"));
            }
        }
        Ok(UniqueNames)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UniqueNames, A::Error> {
        while seq.next_element::<UniqueNames>()?.is_some() {}
        Ok(UniqueNames)
    }

    fn visit_bool<E>(self, _: bool) -> Result<UniqueNames, E> {
        Ok(UniqueNames)
    }

    fn visit_i64<E>(self, _: i64) -> Result<UniqueNames, E> {
        Ok(UniqueNames)
    }

    fn visit_u64<E>(self, _: u64) -> Result<UniqueNames, E> {
        Ok(UniqueNames)
    }

    fn visit_f64<E>(self, _: f64) -> Result<UniqueNames, E> {
        Ok(UniqueNames)
    }

    fn visit_str<E>(self, _: &str) -> Result<UniqueNames, E> {
        Ok(UniqueNames)
    }

    fn visit_unit<E>(self) -> Result<UniqueNames, E> {
        Ok(UniqueNames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_from_the_others() {
        let of = |line: &str| skip(line.as_bytes(), &serde_json::from_str(line).unwrap());
        assert_eq!(
            of(r#"{"message":{"usage":{"iterations":[{"model":null}]},"content":null,"n":[1,-1,0.5,true]}}"#),
            None
        );
        assert_eq!(of(r#"{"message":{"usage": {}}}"#), Some(Skip::Spaces));
        assert_eq!(of(r#"{"cwd":null,"message":{"usage":{}}}"#), Some(Skip::Null));
        assert_eq!(
            of(r#"{"message":{"usage":{},"content":[{"input":{"a":1,"a":2}}]}}"#),
            Some(Skip::RepeatedName)
        );
    }
}
