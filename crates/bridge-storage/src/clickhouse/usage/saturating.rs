//! Sums in SQL that cannot wrap.
//!
//! The engine's `+` and `sum` over `UInt64` silently wrap at 2^64, and a row of an older version or of another
//! program may hold any counters. So sums are computed in 128 bits and saturate at the greatest 64-bit number, like
//! those in Rust. Where that would cost too much, they are computed in 64 bits, with a proof that they did not wrap:
//! [`IS_LARGE`].

/// The columns of the four counters.
pub(crate) const COUNTERS: [&str; 4] =
    ["input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens"];

/// The tokens of a response, in 128 bits.
pub(crate) const TOKENS: &str =
    "(toUInt128(input_tokens) + output_tokens + cache_creation_tokens + cache_read_tokens)";

/// The tokens of a response, in 64 bits: exact if [`IS_LARGE`] does not hold.
pub(crate) const NARROW_TOKENS: &str =
    "(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)";

/// The condition of responses worth tokens. A sum of the counters would wrap to 0 for some.
pub(crate) const WORTH_TOKENS: &str =
    "(bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)) != 0)";

/// The condition of responses with a counter of 2^32 or more: four times what the analyzer accepts.
///
/// A sum in 64 bits over fewer than [`NARROW_ROWS`] responses without such a counter cannot wrap, even over all four
/// counters together.
pub(crate) const IS_LARGE: &str = "(bitOr(bitOr(input_tokens, output_tokens), \
     bitOr(cache_creation_tokens, cache_read_tokens)) >= 4294967296)";

/// See [`IS_LARGE`]: 2^30 rows of four counters below 2^32 sum to less than 2^64.
pub(crate) const NARROW_ROWS: u64 = 1 << 30;

/// Returns a 128-bit expression as a saturated 64-bit one.
pub(crate) fn saturating(wide: &str) -> String {
    format!("toUInt64(least({wide}, toUInt128(18446744073709551615)))")
}

/// Returns the sum of an expression, saturated to 64 bits.
pub(crate) fn sum(expression: &str) -> String {
    saturating(&format!("sum(toUInt128({expression}))"))
}

/// Returns the sum of the values of a nullable expression that are not `NULL`, saturated to 64 bits; `NULL` if none is.
pub(crate) fn sum_of_known(expression: &str) -> String {
    let wide = format!("sum(toUInt128({expression}))");
    // `least` ignores `NULL` in newer versions of the database.
    format!("if(isNull({wide}), NULL, {})", saturating(&format!("assumeNotNull({wide})")))
}
