//! The project and the worktree of a record, by the rules of `docs/attribution.md`.

const TEXT_BYTES_MAX: usize = 512;
const FOLDER_UNITS_MAX: usize = 200;
const WORKTREES: [&str; 2] = [".claude", "worktrees"];

/// A path of either system, in its parts.
#[derive(Clone, PartialEq)]
struct Parts {
    /// The root that the path begins with: `/`, `C:\`, `\\` or nothing.
    root: String,
    names: Vec<String>,
}

/// Returns the project and the worktree of a record with this `cwd` in a transcript in this folder.
pub(crate) fn place(folder: Option<&str>, cwd: Option<&str>) -> (Option<String>, Option<String>) {
    let (project, worktree) = match (folder, cwd) {
        (None, None) => (None, None),
        (Some(folder), None) => {
            let (project, worktree) = by_folder(folder);
            (Some(project), worktree)
        }
        (folder, Some(cwd)) => {
            let (project, worktree) = by_path(folder, cwd);
            (Some(project), worktree)
        }
    };
    let fits = |text: &String| (1..=TEXT_BYTES_MAX).contains(&text.len());
    let project = project.filter(fits).or_else(|| folder.map(|folder| by_folder(folder).0).filter(fits));
    (project, worktree.filter(fits))
}

fn by_folder(folder: &str) -> (String, Option<String>) {
    let marker = "--claude-worktrees-";
    let mut project = folder.to_owned();
    let mut worktree = None;
    if let Some(at) = folder.find(marker)
        && at + marker.len() < folder.len()
    {
        project = folder[..at].to_owned();
        worktree = Some(folder[at + marker.len()..].to_owned());
    }
    if folder.encode_utf16().count() > FOLDER_UNITS_MAX {
        worktree = None;
    }
    let letters: Vec<char> = project.chars().take(3).collect();
    if matches!(letters[..], [drive, '-', '-'] if drive.is_ascii_alphabetic()) {
        project = project[..1].to_uppercase() + &project[1..];
    }
    (project, worktree)
}

fn by_path(folder: Option<&str>, cwd: &str) -> (String, Option<String>) {
    let parts = normal(cwd);
    let worktree = worktree_of(&parts);
    let mut places = vec![cwd.to_owned()];
    if let Some((repository, _, inside)) = &worktree {
        let names = [&repository.names[..], inside].concat();
        places.push(write(&Parts { root: repository.root.clone(), names }));
    }
    let inside = places.iter().find_map(|path| named_ancestor(folder?, path));
    let project = inside.map_or(parts, |path| normal(&path));
    let project = worktree_of(&project).map_or(project, |(repository, ..)| repository);
    (write(&project), worktree.map(|(_, name, _)| name))
}

/// Returns the repository, the name of the worktree, and the names of the folders inside.
fn worktree_of(path: &Parts) -> Option<(Parts, String, Vec<String>)> {
    // The parts before the first of a path without a root are no repository's.
    let first = usize::from(path.root.is_empty());
    let at = (first..path.names.len()).find(|at| {
        path.names[*at..].starts_with(&WORKTREES.map(str::to_owned)) && path.names.len() > at + 2
    })?;
    let repository = Parts { root: path.root.clone(), names: path.names[..at].to_vec() };
    Some((repository, path.names[at + 2].clone(), path.names[at + 3..].to_vec()))
}

fn is_windows(path: &str) -> bool {
    has_drive(path) || path.starts_with(r"\\") || path.starts_with("//") && !path.starts_with("///")
}

fn has_drive(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.len() >= 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && (bytes.len() == 2 || bytes[2] == b'/' || bytes[2] == b'\\')
}

/// Returns the parts of the path in its normal form. A backslash in a name separates on a drive.
fn normal(path: &str) -> Parts {
    parse(&write(&parse(path)))
}

fn parse(path: &str) -> Parts {
    let path = match (path.strip_prefix(r"\\?\UNC\"), path.strip_prefix(r"\\?\")) {
        (Some(share), _) => format!(r"\\{share}"),
        (None, Some(drive)) => {
            // Names of devices have no other form.
            if has_drive(drive) { drive.to_owned() } else { format!(r"\\{drive}") }
        }
        (None, None) => path.to_owned(),
    };
    let windows = is_windows(&path);
    let separators: &[char] = if windows { &['/', '\\'] } else { &['/'] };
    let names = path.split(separators).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    let on_drive = |drive: &str| format!("{}:\\", drive[..1].to_ascii_uppercase());
    let is_wsl = |name: &String| ["wsl$", "wsl.localhost"].contains(&name.to_ascii_lowercase().as_str());
    let root = if has_drive(&path) {
        on_drive(&names.remove(0))
    } else if windows && names.len() >= 2 && is_wsl(&names[0]) {
        names.drain(..2);
        "/".to_owned()
    } else if windows {
        r"\\".to_owned()
    } else if path.starts_with('/') {
        "/".to_owned()
    } else {
        String::new()
    };
    let is_mounted = |name: &String| name.len() == 1 && name.as_bytes()[0].is_ascii_alphabetic();
    if root == "/" && names.first().is_some_and(|name| name == "mnt") && names.get(1).is_some_and(is_mounted)
    {
        let root = on_drive(&names[1]);
        return Parts { root, names: names.split_off(2) };
    }
    Parts { root, names }
}

fn write(path: &Parts) -> String {
    let separator = if path.root.contains('\\') { "\\" } else { "/" };
    format!("{}{}", path.root, path.names.join(separator))
}

/// Returns the longest beginning of the path that the folder is named after, in the letters of the folder.
fn named_ancestor(folder: &str, path: &str) -> Option<String> {
    let folder: Vec<u16> = folder.encode_utf16().collect();
    let mut truncated = None;
    for ancestor in ancestors(path) {
        let names = encodings(&ancestor);
        if let Some(letters) = letters_in(&folder, &names, &ancestor) {
            return Some(letters);
        }
        let is_cut = folder.len() > FOLDER_UNITS_MAX && folder[FOLDER_UNITS_MAX] == u16::from(b'-');
        if !is_cut || names.len() <= FOLDER_UNITS_MAX {
            continue;
        }
        if let Some(letters) = letters_in(&folder[..FOLDER_UNITS_MAX], &names[..FOLDER_UNITS_MAX], &ancestor)
        {
            if String::from_utf16_lossy(&folder[FOLDER_UNITS_MAX + 1..]) == hash(&ancestor) {
                return Some(letters);
            }
            truncated = Some(letters);
        }
    }
    truncated
}

/// The path and what it has before its separators, longest first.
fn ancestors(path: &str) -> Vec<String> {
    let is_separator = |c: char| c == '/' || c == '\\' && is_windows(path);
    let mut found: Vec<String> = Vec::new();
    let ends = path.char_indices().filter(|(_, c)| is_separator(*c)).map(|(at, _)| at);
    let ends: Vec<usize> = ends.chain([path.len()]).collect();
    for end in ends.into_iter().rev() {
        let mut ancestor = path[..end].trim_end_matches(is_separator).to_owned();
        if ancestor.is_empty() {
            ancestor = path.chars().take(1).collect();
        } else if ancestor.len() == 2 && has_drive(&ancestor) {
            ancestor = path.chars().take(3).collect();
        }
        if !found.contains(&ancestor) {
            found.push(ancestor);
        }
    }
    found
}

/// For each UTF-16 unit of the path, that unit and whether a dash may stand for it.
fn encodings(path: &str) -> Vec<(u16, bool)> {
    path.encode_utf16().map(|unit| (unit, !is_alphanumeric(unit))).collect()
}

fn is_alphanumeric(unit: u16) -> bool {
    char::from_u32(unit.into()).is_some_and(|c| c.is_ascii_alphanumeric())
}

/// Returns the path with the folder's letters, if the folder has these units.
fn letters_in(folder: &[u16], names: &[(u16, bool)], path: &str) -> Option<String> {
    if folder.len() != names.len() {
        return None;
    }
    let mut spelled: Vec<u16> = path.encode_utf16().collect();
    for (at, (named, (unit, may_be_dash))) in folder.iter().zip(names).enumerate() {
        let lower = |unit: u16| u8::try_from(unit).map_or(unit, |byte| byte.to_ascii_lowercase().into());
        if named == unit || *may_be_dash && *named == u16::from(b'-') {
            continue;
        }
        if !(is_windows(path) && is_alphanumeric(*unit) && lower(*named) == lower(*unit)) {
            return None;
        }
        spelled[at] = *named;
    }
    String::from_utf16(&spelled).ok()
}

/// `Math.abs` of the 32-bit hash `31 * hash + unit`, in base 36.
fn hash(path: &str) -> String {
    let mut bits: i64 = 0;
    for unit in path.encode_utf16() {
        bits = (bits * 31 + i64::from(unit)) & 0xffff_ffff;
    }
    if bits >= 1 << 31 {
        bits = (1 << 32) - bits;
    }
    let mut text = String::new();
    while bits > 0 || text.is_empty() {
        let digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::try_from(bits % 36).unwrap_or(0)];
        text.insert(0, char::from(digit));
        bits /= 36;
    }
    text
}
