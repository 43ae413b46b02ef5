//! Worktrees that the client makes, in `.claude/worktrees` of their repository.

use super::path::{Style, drive};

/// A path in a worktree, in its normal form.
#[derive(Debug)]
pub(super) struct Worktree<'a> {
    pub(super) repository: &'a str,
    pub(super) name: &'a str,
    /// Within the worktree; empty at its root.
    inside: &'a str,
}

impl<'a> Worktree<'a> {
    /// Returns the outermost worktree that the path lies in.
    pub(super) fn containing(path: &'a str) -> Option<Self> {
        let separator = Style::detect(path).separator();
        let folders = format!("{separator}.claude{separator}worktrees{separator}");
        let start = path.find(&folders)?;
        let (name, inside) = match path[start + folders.len()..].split_once(separator) {
            Some((name, inside)) => (name, inside),
            None => (&path[start + folders.len()..], ""),
        };
        // Of a root, the separator is a part.
        let is_root = start == 2 && drive(path).is_some() || path[..start].chars().all(|c| c == separator);
        let repository = if is_root { &path[..=start] } else { &path[..start] };
        (!name.is_empty()).then_some(Self { repository, name, inside })
    }

    /// Returns the path of the same place in the repository.
    pub(super) fn place_in_repository(&self) -> String {
        let separator = Style::detect(self.repository).separator();
        match self.inside {
            "" => self.repository.to_owned(),
            inside if self.repository.ends_with(separator) => format!("{}{inside}", self.repository),
            inside => format!("{}{separator}{inside}", self.repository),
        }
    }
}

/// `/.claude/worktrees/` in the name of a folder.
const ENCODED: &str = "--claude-worktrees-";
/// The client's limit for the name of a folder.
const WHOLE_UNITS: usize = 200;

/// Returns the name of a project's folder without its worktree, and the name of the worktree as far as it is known: the
/// folder has `-` for many characters, and for the separator before a subfolder.
pub(super) fn split_encoded(folder: &str) -> (String, Option<String>) {
    let (repository, worktree) = match folder.split_once(ENCODED) {
        Some((repository, name)) if !name.is_empty() => (repository, Some(name)),
        _ => (folder, None),
    };
    // A longer name ends with a hash.
    let worktree = worktree.filter(|_| folder.encode_utf16().count() <= WHOLE_UNITS).map(str::to_owned);
    (with_upper_drive(repository), worktree)
}

/// The drives of one letter are one: `c--Users-pat` is `C--Users-pat`.
fn with_upper_drive(folder: &str) -> String {
    match folder.as_bytes() {
        [letter, b'-', b'-', ..] if letter.is_ascii_alphabetic() => {
            format!("{}{}", letter.to_ascii_uppercase() as char, &folder[1..])
        }
        _ => folder.to_owned(),
    }
}
