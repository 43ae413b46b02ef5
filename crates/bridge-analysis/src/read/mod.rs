//! From files to lines: finds files, detects changes, cuts files into parts and reads those.

pub(crate) mod collector;
pub(crate) mod discover;
pub(crate) mod fingerprint;
pub(crate) mod lines;
mod lookback;
pub(crate) mod part;
pub(crate) mod partial_file;
pub(crate) mod plan;
pub(crate) mod rediscover;
pub(crate) mod scan;
mod walk;
