//! The pipeline from transcripts to the store.

pub(crate) mod cursors;
pub(crate) mod processor;
pub(crate) mod read;
pub(crate) mod write;
