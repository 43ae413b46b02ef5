//! Claude's format: where its clients keep transcripts, and what their lines say.

pub(crate) mod categories;
pub(crate) mod content;
pub(crate) mod fields;
mod iterations;
pub(crate) mod layout;
pub(crate) mod record;
pub(crate) mod roots;
mod superseded;
mod usage;
