//! The fast reader: one walk over JSON text, at the speed of its strings.
//!
//! It is sound but not complete: what it skips is valid JSON, and what it returns is what a full
//! parser would return. On something rare (an escape in a key, a tab, deep nesting) or invalid
//! it returns [`Unsure`], and the full reader takes over. Its input was checked to be UTF-8.

use crate::json::reader::{Raw, Reader, Unsure};
use crate::json::string::{next_special, string_end};

/// Maximum nesting depth; beyond it, the walk is unsure.
const DEPTH_MAX: u32 = 64;

/// A place in JSON text.
#[derive(Debug)]
pub(crate) struct FastReader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> FastReader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns whether nothing but white space follows.
    pub(crate) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// Skips spaces. Clients write no other white space.
    pub(crate) fn skip_space(&mut self) {
        while self.peek() == b' ' {
            self.at += 1;
        }
    }

    fn text_from(&self, start: usize) -> Result<Raw<'a>, Unsure> {
        self.text.get(start..self.at).ok_or(Unsure)
    }

    fn skip_value(&mut self, depth: u32) -> Result<(), Unsure> {
        match self.peek() {
            b'"' => self.skip_string(),
            b'{' if depth < DEPTH_MAX => self.skip_object(depth + 1),
            b'[' if depth < DEPTH_MAX => self.skip_array(depth + 1),
            b't' => self.skip_word(b"true"),
            b'f' => self.skip_word(b"false"),
            b'n' => self.skip_word(b"null"),
            _ => self.skip_number(),
        }
    }

    fn skip_array(&mut self, depth: u32) -> Result<(), Unsure> {
        self.items(|reader| reader.skip_value(depth)).map(drop)
    }

    /// Unlike [`Self::members`], allows escapes in keys, because these keys are not used.
    fn skip_object(&mut self, depth: u32) -> Result<(), Unsure> {
        self.expect(b'{')?;
        self.skip_space();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.skip_string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            self.skip_value(depth)?;
            self.skip_space();
            if !self.take(b',') {
                return self.expect(b'}');
            }
            self.skip_space();
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == byte;
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unsure> {
        if self.take(byte) { Ok(()) } else { Err(Unsure) }
    }

    fn skip_word(&mut self, word: &[u8]) -> Result<(), Unsure> {
        if !self.text.as_bytes()[self.at..].starts_with(word) {
            return Err(Unsure);
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_number(&mut self) -> Result<(), Unsure> {
        self.take(b'-');
        if !self.take(b'0') {
            self.skip_digits()?;
        }
        if self.take(b'.') {
            self.skip_digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.skip_digits()?;
        }
        Ok(())
    }

    /// Skips at least one digit.
    fn skip_digits(&mut self) -> Result<(), Unsure> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Unsure) }
    }

    /// Reads a key without escapes, and without its quotes.
    fn key(&mut self) -> Result<&'a [u8], Unsure> {
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        let end = next_special(bytes, self.at)?;
        let key = &bytes[self.at..end];
        self.at = end;
        self.expect(b'"')?;
        Ok(key)
    }

    #[inline]
    fn skip_string(&mut self) -> Result<(), Unsure> {
        self.expect(b'"')?;
        self.at = string_end(self.text.as_bytes(), self.at)?;
        Ok(())
    }
}

impl<'a> Reader<'a> for FastReader<'a> {
    #[inline]
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn value(&mut self) -> Result<Raw<'a>, Unsure> {
        let start = self.at;
        // Most values are strings.
        if self.peek() == b'"' {
            self.skip_string()?
        } else {
            self.skip_value(0)?
        }
        self.text_from(start)
    }

    fn members(
        &mut self,
        mut visit: impl FnMut(&mut Self, &[u8]) -> Result<(), Unsure>,
    ) -> Result<Raw<'a>, Unsure> {
        let start = self.at;
        self.expect(b'{')?;
        self.skip_space();
        if self.take(b'}') {
            return self.text_from(start);
        }
        loop {
            let key = self.key()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            visit(self, key)?;
            self.skip_space();
            if !self.take(b',') {
                self.expect(b'}')?;
                return self.text_from(start);
            }
            self.skip_space();
        }
    }

    fn items(&mut self, mut visit: impl FnMut(&mut Self) -> Result<(), Unsure>) -> Result<Raw<'a>, Unsure> {
        let start = self.at;
        self.expect(b'[')?;
        self.skip_space();
        if self.take(b']') {
            return self.text_from(start);
        }
        loop {
            visit(self)?;
            self.skip_space();
            if !self.take(b',') {
                self.expect(b']')?;
                return self.text_from(start);
            }
            self.skip_space();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::full;
    use bridge_testkit::adversarial;
    use proptest::prelude::*;

    fn walk(text: &str) -> Result<bool, Unsure> {
        let mut reader = FastReader::new(text);
        reader.value()?;
        Ok(reader.at_end())
    }

    fn is_one_value(text: &str) -> bool {
        let mut values = 0;
        full::values(text, |_| values += 1).is_ok() && values == 1
    }

    #[test]
    fn takes_what_clients_write() {
        for text in [
            r#"{"a":[1,-2.5e+3,0,"x\n\"\\\u001b é",{"b":null,"c":[]},{}],"d":true , "e": false}"#,
            "0",
            "\"\"",
        ] {
            assert_eq!(walk(text), Ok(true), "{text}");
        }
    }

    #[test]
    fn never_takes_invalid_json() {
        let deep = "[".repeat(100);
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "01x",
            "-",
            "1.",
            "1e",
            "nul",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"\n\"",
            "\"",
            "\"\\",
            "NaN",
            &deep,
            "[1 2]",
            "{\"a\":1 \"b\":2}",
        ] {
            assert_ne!(walk(text), Ok(true), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn takes_only_what_the_parser_takes(line in adversarial::strategy::line()) {
            if let Ok(text) = std::str::from_utf8(&line) {
                prop_assert!(walk(text) != Ok(true) || is_one_value(text));
            }
        }
    }
}
