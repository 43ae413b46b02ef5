//! Finds transcripts and reads their lines.

use super::{
    activity::{self, Activity},
    json::Document,
    record::{self, Context},
    snapshot::Snapshot,
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// One transcript in memory.
#[derive(Debug, Clone)]
pub struct ReferenceFile {
    /// The path: its stem is the session of records that name none, and the folder after the last `projects`, or else its
    /// first folder, is the project's.
    pub path: PathBuf,
    /// The modification time in milliseconds since 1970: the time of records before the first valid time.
    pub modified_millis: i64,
    /// The file's bytes.
    pub content: Vec<u8>,
}

impl ReferenceFile {
    /// Creates a file with this content.
    pub fn new(path: impl Into<PathBuf>, modified_millis: i64, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), modified_millis, content: content.into() }
    }
}

/// Options of the reference analyzer.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The maximum length of a line, in bytes without its newline.
    pub line_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { line_bytes_max: 64 << 20 }
    }
}

/// Reads all `*.jsonl` files in a folder and its subfolders, without following links to folders.
///
/// # Errors
/// Fails if a folder or file cannot be read.
pub fn read_folder(folder: &Path) -> io::Result<Vec<ReferenceFile>> {
    jsonl_paths(folder)?.iter().map(|path| load(folder, path)).collect()
}

/// Returns the paths of all `*.jsonl` files in a folder and its subfolders.
pub(crate) fn jsonl_paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![folder.to_path_buf()];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jsonl") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads a file and stores its path relative to `folder`.
pub(crate) fn load(folder: &Path, path: &Path) -> io::Result<ReferenceFile> {
    let modified = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified_millis = i64::try_from(modified.as_millis()).unwrap_or(i64::MAX);
    Ok(ReferenceFile::new(path.strip_prefix(folder).unwrap_or(path), modified_millis, fs::read(path)?))
}

/// The statistics and snapshots of one file.
#[derive(Debug, Default)]
pub(crate) struct FileContent {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) bad_lines: u64,
    pub(crate) pending: u64,
    pub(crate) oversize: u64,
    pub(crate) bad_usage: u64,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) activity: BTreeMap<String, Activity>,
}

fn project_folder(path: &Path) -> Option<String> {
    let folders: Vec<_> = path.parent()?.iter().map(|name| name.to_string_lossy()).collect();
    let below_projects =
        folders.iter().rposition(|name| name == "projects").and_then(|at| folders.get(at + 1));
    below_projects.or(folders.first()).map(|name| name.to_string())
}

/// Reads all lines of a file.
pub(crate) fn read(file: &ReferenceFile, options: Options) -> FileContent {
    let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = project_folder(&file.path);
    let mut content = FileContent { bytes: file.content.len() as u64, ..FileContent::default() };
    let mut time_millis = file.modified_millis;
    for (number, line) in file.content.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if text.len() > options.line_bytes_max {
            content.oversize += 1;
            content.lines += 1;
            continue;
        }
        // A byte order mark is only permitted at the start of the file.
        let text = if number == 0 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        if text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            continue;
        }
        content.lines += 1;
        let Ok(document) = Document::parse(text) else {
            let is_last_without_newline = !line.ends_with(b"\n");
            *(if is_last_without_newline { &mut content.pending } else { &mut content.bad_lines }) += 1;
            continue;
        };
        if let Some((value, bytes)) = document.roots().find(|(value, _)| value.is_object()) {
            let session = record::session(value).unwrap_or(&stem);
            activity::add(&mut content.activity, value, bytes, session, stem.starts_with("agent-"));
        }
        for (value, bytes) in document.roots() {
            time_millis = record::timestamp(value).unwrap_or(time_millis);
            let found = record::snapshots(
                value,
                bytes,
                &Context { time_millis, stem: &stem, folder: folder.as_deref() },
            );
            content.bad_usage += found.bad_usage;
            content.snapshots.extend(found.snapshots);
        }
    }
    content
}
