//! The folders and file names of the transcripts of Claude's clients.

use std::ffi::OsStr;
use std::path::{Component, Path};

/// The folder of the client's configuration that holds its transcripts.
pub(crate) const PROJECTS: &str = "projects";

/// The desktop clients' folder. Each `local_*` below it is a session with its files; of these only the transcripts
/// in `.claude` and the audit belong to the client, the others are the user's work.
const DESKTOP_SESSIONS: &str = "local-agent-mode-sessions";

/// The folder of the desktop and Cowork clients, below the user's application data.
pub(crate) const DESKTOP: &str = "Claude/local-agent-mode-sessions";

/// Files of the client that end in `.jsonl` but are not transcripts.
const NO_TRANSCRIPTS: [&str; 2] = ["journal.jsonl", "history.jsonl"];

/// Returns whether a file of this name is a transcript.
pub(crate) fn is_transcript(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    path.extension() == Some(OsStr::new("jsonl")) && name.is_none_or(|name| !NO_TRANSCRIPTS.contains(&name))
}

/// Returns whether a file of this name holds only a subagent's lines.
pub(crate) fn is_subagent(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"agent-"))
}

/// Returns how deep the file's subagent is nested; 0 for a session's own file. Newer clients keep the files of
/// subagents in a folder `subagents` of their session.
pub(crate) fn subagent_depth(path: &Path) -> u8 {
    if !is_subagent(path) {
        return 0;
    }
    let folders = path.components().filter(|part| part.as_os_str() == "subagents").count();
    u8::try_from(folders.max(1)).unwrap_or(u8::MAX)
}

/// Returns whether the folder is a session of a desktop client.
pub(crate) fn is_desktop_session(folder: &Path) -> bool {
    let is_named_so = folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"local_"));
    is_named_so && folder.components().any(|part| part.as_os_str() == DESKTOP_SESSIONS)
}

/// Returns whether this entry of a desktop client's session belongs to the client.
pub(crate) fn is_of_desktop_client(name: &OsStr) -> bool {
    matches!(name.as_encoded_bytes(), b".claude" | b"audit.jsonl")
}

/// Returns the component after the last `projects`, or else the first below the root.
pub(crate) fn project_folder(root: &Path, path: &Path) -> Option<String> {
    let parent = path.parent()?;
    let names: Vec<_> = parent.components().map(Component::as_os_str).collect();
    let below_projects = names.iter().rposition(|name| *name == PROJECTS).and_then(|at| names.get(at + 1));
    let below_root = || parent.strip_prefix(root).ok()?.components().next().map(Component::as_os_str);
    below_projects.copied().or_else(below_root).map(|name| name.to_string_lossy().into_owned())
}
