//! Errors of reading sources.

use std::io;
use std::path::{Path, PathBuf};

/// A file or folder could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", path.display())]
pub struct SourceError {
    path: PathBuf,
    source: io::Error,
}

impl SourceError {
    /// The error for this file or folder.
    #[must_use]
    pub fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }

    /// What could not be read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
