//! Sums in SQL that cannot wrap.
//!
//! The engine's `+` and `sum` over `UInt64` wrap at 2^64 without a word, and a row of an older version or of another
//! program may hold any counters. So sums are taken in 128 bits and end at the greatest number of 64 bits, as sums in
//! Rust do. Where that would cost too much they are taken in 64 bits beside a proof that they did not wrap: [`IS_LARGE`].

/// The columns of the four counters.
pub(crate) const COUNTERS: [&str; 4] =
    ["input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens"];

/// The tokens of a response, in 128 bits.
pub(crate) const TOKENS: &str =
    "(toUInt128(input_tokens) + output_tokens + cache_creation_tokens + cache_read_tokens)";

/// The tokens of a response, in 64 bits: exact where [`IS_LARGE`] does not hold.
pub(crate) const NARROW_TOKENS: &str =
    "(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)";

/// The condition of responses worth tokens. A sum of the counters would wrap to 0 for some.
pub(crate) const WORTH_TOKENS: &str =
    "(bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)) != 0)";

/// The condition of responses with a counter of 2^32 or more: four times what the analyzer admits.
///
/// Of fewer than [`NARROW_ROWS`] responses without one no sum in 64 bits wraps, not of all four counters together.
pub(crate) const IS_LARGE: &str = "(bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)) >= 4294967296)";

/// See [`IS_LARGE`]: 2^30 rows of four counters below 2^32 sum to less than 2^64.
pub(crate) const NARROW_ROWS: u64 = 1 << 30;

/// An expression of 128 bits as one of 64 bits, at most their greatest number.
pub(crate) fn saturating(wide: &str) -> String {
    format!("toUInt64(least({wide}, toUInt128(18446744073709551615)))")
}

/// The sum of an expression, at most the greatest number of 64 bits.
pub(crate) fn sum(expression: &str) -> String {
    saturating(&format!("sum(toUInt128({expression}))"))
}
