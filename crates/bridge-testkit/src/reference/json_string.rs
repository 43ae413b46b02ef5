//! Decodes JSON strings to WTF-8, an extension of UTF-8 that encodes lone surrogates as three bytes.

/// Decodes the string at the start of `text`. Returns its content, and its length in bytes including both quotes.
pub(crate) fn decode(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    if text.first() != Some(&b'"') {
        return None;
    }
    let mut decoded = Vec::new();
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some((decoded, at + 1)),
            b'\\' if text.get(at + 1) == Some(&b'u') => {
                let (code, length) = code_point(&text[at..])?;
                push_wtf8(&mut decoded, code);
                at += length;
            }
            b'\\' => {
                decoded.push(escaped(*text.get(at + 1)?)?);
                at += 2;
            }
            0..=0x1f => return None,
            byte => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
}

fn escaped(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// Decodes one `\uXXXX`, or two that form a surrogate pair. Returns the code point and the escapes' length.
fn code_point(text: &[u8]) -> Option<(u32, usize)> {
    let first = code_unit(text)?;
    if (0xd800..0xdc00).contains(&first)
        && let Some(second @ 0xdc00..0xe000) = code_unit(&text[6..])
    {
        return Some((0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12));
    }
    Some((first, 6))
}

fn code_unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

fn push_wtf8(decoded: &mut Vec<u8>, code: u32) {
    if let Some(character) = char::from_u32(code) {
        decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        let [_, _, high, low] = code.to_be_bytes();
        decoded.extend_from_slice(&[
            0xe0 | (high >> 4),
            0x80 | ((high & 0x0f) << 2) | (low >> 6),
            0x80 | (low & 0x3f),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    fn text(json: &str) -> Vec<u8> {
        decode(json.as_bytes()).unwrap().0
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(text(r#""us\u0061ge""#), b"usage");
        assert_eq!(text(r#""\"\\\/\b\f\n\r\t""#), b"\"\\/\x08\x0c\n\r\t");
        assert_eq!(text(r#""\u00E9\ud83d\ude00""#), "é😀".as_bytes());
    }

    #[test]
    fn lone_surrogates_are_preserved() {
        assert_eq!(text(r#""\ud800""#), b"\xed\xa0\x80");
        assert_eq!(text(r#""\udFFFx""#), b"\xed\xbf\xbfx");
        assert_eq!(text(r#""\ud800\u0041""#), b"\xed\xa0\x80A");
        assert_eq!(text(r#""\ud83d\ud83d\ude00""#), b"\xed\xa0\xbd\xf0\x9f\x98\x80");
    }
}
