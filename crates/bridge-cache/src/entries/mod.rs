//! The entries of the cache, on `moka`.

mod analyses;
mod summaries;

pub(crate) use analyses::Analyses;
pub(crate) use summaries::Summaries;

/// The capacity of a cache that holds so much, or of one that is turned off.
fn capacity(options: &crate::CacheOptions, full: u64) -> u64 {
    if options.ttl.is_zero() { 0 } else { full }
}
