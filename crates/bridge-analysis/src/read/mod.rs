//! From files to lines: finding them, seeing what changed, cutting them into parts and reading those.

pub(crate) mod collector;
pub(crate) mod discover;
pub(crate) mod fingerprint;
pub(crate) mod lines;
mod lookback;
pub(crate) mod part;
pub(crate) mod partial_file;
pub(crate) mod plan;
pub(crate) mod scan;
mod walk;
