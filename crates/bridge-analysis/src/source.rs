//! Transcript files, as discovered.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use bridge_core::Timestamp;

use crate::claude::layout;
use crate::error::SourceError;

/// A transcript file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path.
    pub path: PathBuf,
    /// Its size when it was found, in bytes.
    pub size: u64,
    /// When it was last modified.
    pub modified: Timestamp,
    /// The folder of its project: the one below `projects`, or else the first below the root.
    pub project_folder: Option<String>,
}

impl SourceFile {
    /// Creates a file from these facts. Its project follows from its path, as if it had been discovered.
    #[must_use]
    pub fn of_path(path: &Path, size: u64, modified: Timestamp) -> Self {
        let root = path.parent().and_then(Path::parent).unwrap_or(Path::new(""));
        Self { path: path.to_owned(), size, modified, project_folder: layout::project_folder(root, path) }
    }

    /// Returns the file's name without `.jsonl`, which is its session if the lines name none.
    #[must_use]
    pub fn stem(&self) -> String {
        let stem = self.path.file_stem().unwrap_or(OsStr::new("unnamed"));
        stem.to_string_lossy().into_owned()
    }

    /// Returns how deep the subagent of this file is nested; 0 for a session's own file.
    #[must_use]
    pub fn subagent_depth(&self) -> u8 {
        layout::subagent_depth(&self.path)
    }

    /// Returns whether the client writes only a subagent's lines into it.
    #[must_use]
    pub fn is_subagent(&self) -> bool {
        layout::is_subagent(&self.path)
    }
}

/// The transcripts below some folders.
#[derive(Debug, Default)]
pub struct Discovery {
    /// The transcripts, each once, sorted by path.
    pub files: Vec<SourceFile>,
    /// Files and folders that could not be visited.
    pub errors: Vec<SourceError>,
}

impl Discovery {
    /// Returns the size of all files, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}
