//! Paths of other machines, as text.

use std::borrow::Cow;

/// The system that a path is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Separated by `/`, in which letters differ by their case.
    Unix,
    /// Separated by `\` or `/`, in which they do not.
    Windows,
}

impl Style {
    pub(super) fn detect(path: &str) -> Self {
        let is_unc =
            path.starts_with("\\\\") || path.strip_prefix("//").is_some_and(|rest| !rest.starts_with('/'));
        if is_unc || drive(path).is_some() { Self::Windows } else { Self::Unix }
    }

    pub(super) fn is_separator(self, c: char) -> bool {
        c == '/' || c == '\\' && self == Self::Windows
    }

    pub(super) fn separator(self) -> char {
        match self {
            Self::Unix => '/',
            Self::Windows => '\\',
        }
    }
}

/// Returns one spelling for all of a path:
///
/// | path | normal form |
/// |---|---|
/// | `/home/user//app/` | `/home/user/app` |
/// | `c:/Users/pat/app/`, `\\?\C:\Users\pat\app` | `C:\Users\pat\app` |
/// | `/mnt/c/Users/pat/app` (WSL) | `C:\Users\pat\app` |
/// | `\\wsl.localhost\Ubuntu\home\user\app`, `\\wsl$\…` | `/home/user/app` |
/// | `//server/share/app/` | `\\server\share\app` |
///
/// Names such as `..` are kept; the client writes none.
pub(crate) fn normal_form(path: &str) -> String {
    match Style::detect(path) {
        Style::Unix => normal_unix(path),
        Style::Windows => normal_windows(path),
    }
}

fn normal_unix(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    if let (true, ["mnt", drive, inside @ ..]) = (path.starts_with('/'), &parts[..])
        && let [letter] = drive.as_bytes()
        && letter.is_ascii_alphabetic()
    {
        // Windows cannot have a backslash in a name.
        let inside: Vec<_> =
            inside.iter().flat_map(|name| name.split('\\')).filter(|name| !name.is_empty()).collect();
        return on_drive(char::from(*letter), &inside);
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

fn normal_windows(path: &str) -> String {
    let path: Cow<'_, str> = match ["\\\\?\\UNC\\", "\\\\?\\"].map(|long| path.strip_prefix(long)) {
        [Some(share), _] => format!("\\\\{share}").into(),
        [None, Some(rest)] => rest.into(),
        [None, None] => path.into(),
    };
    let parts: Vec<_> = path.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    if let Some(letter) = drive(&path) {
        return on_drive(letter, &parts[1..]);
    }
    match &parts[..] {
        [server, _, inside @ ..] if is_wsl(server) => normal_unix(&format!("/{}", inside.join("/"))),
        _ => format!("\\\\{}", parts.join("\\")),
    }
}

fn on_drive(letter: char, inside: &[&str]) -> String {
    format!("{}:\\{}", letter.to_ascii_uppercase(), inside.join("\\"))
}

fn is_wsl(server: &str) -> bool {
    ["wsl$", "wsl.localhost"].iter().any(|name| server.eq_ignore_ascii_case(name))
}

/// Returns the letter of the drive that the path begins with.
pub(crate) fn drive(path: &str) -> Option<char> {
    let mut chars = path.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    let is_drive = chars.next() == Some(':') && chars.next().is_none_or(|c| matches!(c, '/' | '\\'));
    is_drive.then_some(letter)
}

/// Returns the path and its ancestors, without separators at their ends except for the root's.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let style = Style::detect(path);
    let trimmed = move |path: &'_ str| path.trim_end_matches(|c| style.is_separator(c)).len();
    let cut = move |end: usize| path[..end].rfind(|c| style.is_separator(c)).map(|at| trimmed(&path[..at]));
    let ends = std::iter::successors(Some(trimmed(path)), move |end| cut(*end));
    // The root is nothing but separators, or a drive and one.
    ends.map(move |end| match &path[..end] {
        "" => path.get(..1).unwrap_or_default(),
        name if name.len() == 2 && drive(name).is_some() => path.get(..3).unwrap_or(name),
        ancestor => ancestor,
    })
    .filter(|ancestor| !ancestor.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_form_is_its_own() {
        for path in [
            "/",
            "/a/b",
            "C:\\",
            "C:\\a\\b",
            "\\\\server\\share\\a",
            "a/b",
            "a",
            "/mnt",
            "/mnt/cc/x",
            "/a\\b",
        ] {
            assert_eq!(normal_form(path), path);
        }
        for path in [
            "c:",
            "/mnt/c",
            "\\\\wsl$\\Ubuntu\\",
            "\\\\?\\UNC\\server\\share\\",
            "////a//",
            "x:y",
            "/mnt/c/a\\\\b\\/c",
        ] {
            assert_eq!(normal_form(&normal_form(path)), normal_form(path), "{path}");
        }
    }

    #[test]
    fn ancestors_begin_with_the_path_and_end_with_the_root() {
        let of = |path| ancestors(path).collect::<Vec<_>>();
        assert_eq!(of("/a/b/"), ["/a/b", "/a", "/"]);
        assert_eq!(of("c:\\a/b"), ["c:\\a/b", "c:\\a", "c:\\"]);
        assert_eq!(of("/a\\b"), ["/a\\b", "/"]);
        assert_eq!(of("a/b"), ["a/b", "a"]);
        assert_eq!(of("/"), ["/"]);
    }
}
