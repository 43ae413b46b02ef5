//! A strict JSON reader that parses all values of a line into one flat tree.
//!
//! It uses an explicit stack and one list of nodes, so that neither parsing nor dropping 100,000 levels recurses. Numbers
//! stay text, and values keep the range of their bytes.

use super::json_reader::Reader;
use std::ops::Range;

/// Error for a line that is not valid JSON. The counting rule does not need the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid;

/// All values of one line.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: &'t [u8],
    nodes: Vec<Node>,
    roots: Vec<(usize, Range<usize>)>,
}

#[derive(Debug)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Number(Range<usize>),
    String(Vec<u8>),
    Array(Vec<usize>),
    Object(Vec<(Vec<u8>, usize)>),
}

/// One value of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'d> {
    document: &'d Document<'d>,
    node: &'d Node,
}

impl<'t> Document<'t> {
    /// Parses a line that contains any number of values, with or without whitespace between them.
    pub(crate) fn parse(text: &'t [u8]) -> Result<Self, Invalid> {
        std::str::from_utf8(text).map_err(|_| Invalid)?;
        let mut reader = Reader::of(text);
        let mut roots = Vec::new();
        loop {
            reader.skip_whitespace();
            if reader.at == text.len() {
                return Ok(Self { text, nodes: reader.nodes, roots });
            }
            let start = reader.at;
            let root = reader.value()?;
            // `01` and `truefalse` are damage, not two values: a scalar must be followed by whitespace or an opening
            // delimiter.
            let is_self_delimiting =
                matches!(reader.nodes[root], Node::String(_) | Node::Array(_) | Node::Object(_));
            if !is_self_delimiting
                && !matches!(reader.peek(), None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'{' | b'[' | b'"'))
            {
                return Err(Invalid);
            }
            roots.push((root, start..reader.at));
        }
    }

    /// Returns the top-level values with their bytes.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (Value<'_>, &[u8])> {
        self.roots.iter().map(|(root, bytes)| {
            (Value { document: self, node: &self.nodes[*root] }, &self.text[bytes.clone()])
        })
    }
}

impl<'d> Value<'d> {
    fn at(self, index: usize) -> Self {
        Self { document: self.document, node: &self.document.nodes[index] }
    }

    /// Returns an object's member; for duplicate keys, the last one.
    pub(crate) fn get(self, key: &str) -> Option<Self> {
        let Node::Object(members) = self.node else { return None };
        let (_, index) = members.iter().rev().find(|(name, _)| name == key.as_bytes())?;
        Some(self.at(*index))
    }

    /// Returns an object's member unless it is absent or null.
    pub(crate) fn get_some(self, key: &str) -> Option<Self> {
        self.get(key).filter(|value| !matches!(value.node, Node::Null))
    }

    /// Returns the decoded text of a string member, as WTF-8 if it contains lone surrogates.
    pub(crate) fn string(self, key: &str) -> Option<&'d [u8]> {
        match self.get(key)?.node {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns `true` if the member is this string.
    pub(crate) fn is_string(self, key: &str, text: &str) -> bool {
        self.string(key) == Some(text.as_bytes())
    }

    /// Returns `true` if the member is `true`.
    pub(crate) fn is_true(self, key: &str) -> bool {
        self.get(key).is_some_and(|value| matches!(value.node, Node::Bool(true)))
    }

    pub(crate) fn is_object(self) -> bool {
        matches!(self.node, Node::Object(_))
    }

    /// Returns the text of a number.
    pub(crate) fn number(self) -> Option<&'d [u8]> {
        match self.node {
            Node::Number(raw) => Some(&self.document.text[raw.clone()]),
            _ => None,
        }
    }

    /// Returns the entries of an array, or none for other values.
    pub(crate) fn entries(self) -> impl Iterator<Item = Self> {
        let indexes: &'d [usize] = if let Node::Array(indexes) = self.node { indexes } else { &[] };
        indexes.iter().map(move |index| self.at(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(text: &[u8]) -> bool {
        Document::parse(text).is_ok()
    }

    #[test]
    fn the_grammar_is_strict() {
        for text in [
            "{}",
            "[]",
            "null",
            "-0",
            "0.5e-7",
            "1E+5",
            r#""\u00e9\/""#,
            "[1,[2,{\"a\":[]}]]",
            "{\"a\" : 1 , \"b\":2}",
            "{}{}",
            "{} {}",
            "{}\t1 2",
            "\"a\"\"b\"true",
            "1{}",
            "1e999999",
            "\"\u{7f}\u{2028}\"",
            "",
        ] {
            assert!(valid(text.as_bytes()), "{text}");
        }
        for text in [
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{a:1}",
            "NaN",
            "[Infinity]",
            "+1",
            "01",
            "1.",
            ".5",
            "1e",
            "-",
            "[-]",
            "[01]",
            "truefalse",
            "tru",
            "\"\t\"",
            "\"\\x\"",
            r#""\u12g4""#,
            "\"",
            "'a'",
            "\u{feff}{}",
            "{} x",
            "// comment",
            "{}//",
            "\u{b}{}",
            "[1 2]",
            "{}}",
            "{\"a\":1 \"b\":2}",
            "\u{0}",
            "1-2",
            "{\"a\":NaN}",
            "{}{",
        ] {
            assert!(!valid(text.as_bytes()), "{text}");
        }
        assert!(!valid(b"\"\xff\""));
        assert!(!valid(b"\"\xed\xa0\x80\""));
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let deep = ["[".repeat(200_000), "]".repeat(200_000)].concat();
        assert!(valid(deep.as_bytes()));
        assert!(!valid("{\"a\":".repeat(200_000).as_bytes()));
    }

    #[test]
    fn the_last_of_duplicate_keys_wins() {
        let document = Document::parse(br#"{"a":"x","\u0061":"y"}"#).unwrap();
        let (value, bytes) = document.roots().next().unwrap();
        assert_eq!(value.string("a"), Some(&b"y"[..]));
        assert_eq!(bytes, br#"{"a":"x","\u0061":"y"}"#);
    }

    /// Also for several values on one line.
    #[test]
    fn accepts_exactly_what_serde_json_accepts() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut invalid = 0;
        for _ in 0..30_000 {
            let line = crate::adversarial::line(&mut rng);
            let mut values = serde_json::Deserializer::from_slice(&line).into_iter::<serde::de::IgnoredAny>();
            let expected = std::str::from_utf8(&line).is_ok() && values.all(|value| value.is_ok());
            assert_eq!(valid(&line), expected, "{}", String::from_utf8_lossy(&line));
            invalid += u32::from(!expected);
        }
        assert!((2_000..15_000).contains(&invalid), "{invalid}");
    }
}
