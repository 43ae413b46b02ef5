//! Filler content: words, identifiers, times and JSON strings.

use fastrand::Rng;

const WORDS: [&str; 40] = [
    "the",
    "parser",
    "reads",
    "a",
    "line",
    "and",
    "then",
    "checks",
    "whether",
    "cache",
    "holds",
    "it",
    "tests",
    "pass",
    "on",
    "branch",
    "fix",
    "refactor",
    "module",
    "error",
    "“quoted”",
    "déjà vu",
    "進捗",
    "├──",
    "\t",
    "\n",
    "\\d+\\.\\w*",
    "{\"usage\":1}",
    "\"input_tokens\":5",
    "src/lib.rs",
    "fn main() {}",
    "😀",
    "\u{2028}",
    "\u{1b}[1m",
    "returns",
    "value",
    "when",
    "queue",
    "is",
    "empty",
];
const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Generates words with at least this many bytes.
pub(crate) fn words(rng: &mut Rng, bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(WORDS[rng.usize(..WORDS.len())]);
        text.push(' ');
    }
    text
}

/// Generates words as a JSON string, with this many bytes on average.
pub(crate) fn quoted_words(rng: &mut Rng, bytes: usize) -> String {
    let bytes = rng.usize(1..=bytes.max(1) * 2);
    quoted(&words(rng, bytes))
}

/// Formats a text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}

/// Generates a random (version 4) UUID.
pub(crate) fn uuid(rng: &mut Rng) -> String {
    let (high, low) = (rng.u64(..), rng.u64(..));
    let variant = 0x8000 | (low >> 48 & 0x3fff);
    format!(
        "{:08x}-{:04x}-4{:03x}-{variant:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

/// Generates this many base-58 characters.
pub(crate) fn base58(rng: &mut Rng, length: usize) -> String {
    (0..length).map(|_| char::from(BASE58[rng.usize(..BASE58.len())])).collect()
}

/// Formats milliseconds since 1970 as the client does: `2026-02-03T04:05:06.789Z`.
pub fn timestamp(millis: i64) -> String {
    let (days, in_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", in_day % 1000)
}

/// Converts days since 1970 to a date (Howard Hinnant's `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_agree_with_jiff() {
        let mut rng = Rng::with_seed(3);
        for _ in 0..5_000 {
            let time = jiff::Timestamp::from_millisecond(rng.i64(0..4_000_000_000_000)).unwrap();
            assert_eq!(timestamp(time.as_millisecond()), format!("{time:.3}"));
        }
    }

    #[test]
    fn quoted_texts_round_trip() {
        let mut rng = Rng::with_seed(3);
        for _ in 0..500 {
            let text = words(&mut rng, 200);
            assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text);
        }
    }
}
