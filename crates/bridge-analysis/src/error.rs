//! Errors of reading sources.

use std::io;
use std::path::{Path, PathBuf};

use bridge_core::Escaped;

/// A file or folder could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", Escaped::path(path))]
pub struct SourceError {
    path: PathBuf,
    source: io::Error,
}

impl SourceError {
    /// Creates the error for this file or folder.
    #[must_use]
    pub fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }

    /// Returns the path that could not be read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
