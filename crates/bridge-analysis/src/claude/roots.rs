//! The folders in which transcripts are searched for.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::claude::layout::{DESKTOP, PROJECTS};
use crate::platform::application_data;

/// The folders (or single transcripts) to search, and whether the user named them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRoots {
    folders: Vec<PathBuf>,
    /// Those of the folders, and where others may appear.
    candidates: Vec<PathBuf>,
    configured: bool,
}

impl SourceRoots {
    /// Returns the roots that an argument or a configuration names. A leading `~/` is the home folder. Missing roots
    /// are kept, so that [`discover`](crate::discover) reports them.
    #[must_use]
    pub fn named(
        roots: impl IntoIterator<Item = impl AsRef<Path>>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let home = home(&variable);
        let folders = roots.into_iter().map(|root| expand_home(root.as_ref(), home.as_deref()));
        Self::configured(folders.collect())
    }

    /// Returns the roots that the environment gives: each folder of `CLAUDE_CONFIG_DIR` (comma separated; a
    /// configuration folder or its `projects`), which count as named. Without it, those of `$XDG_CONFIG_HOME/claude/projects`,
    /// `~/.claude/projects` and the desktop clients' folder that exist, or are links whose target is missing.
    #[must_use]
    pub fn usual(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let home = home(&variable);
        if let Some(list) = set(&variable, "CLAUDE_CONFIG_DIR") {
            let folders = comma_separated(&list).map(|folder| expand_home(&folder, home.as_deref()));
            return Self::configured(folders.map(projects_of).collect());
        }
        let config = set(&variable, "XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| Some(home.as_ref()?.join(".config")));
        let candidates = [
            config.as_ref().map(|config| config.join("claude").join(PROJECTS)),
            home.as_ref().map(|home| home.join(".claude").join(PROJECTS)),
            application_data(
                set(&variable, "APPDATA").map(PathBuf::from),
                home.as_deref(),
                config.as_deref(),
            )
            .map(|data| data.join(DESKTOP)),
        ];
        let candidates: Vec<_> = candidates.into_iter().flatten().collect();
        let folders = candidates.iter().filter(|folder| !is_absent(folder)).cloned().collect();
        Self { folders, candidates, configured: false }
    }

    fn configured(folders: Vec<PathBuf>) -> Self {
        Self { candidates: folders.clone(), folders, configured: true }
    }

    /// Returns the roots, in the order in which they were named.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Returns the roots together with the usual ones that do not exist: the places to watch, because a client may create
    /// them at any time.
    #[must_use]
    pub fn candidates(&self) -> &[PathBuf] {
        &self.candidates
    }

    /// Returns whether the user named them. If so, finding nothing there is no reason to look elsewhere.
    #[must_use]
    pub fn are_configured(&self) -> bool {
        self.configured
    }
}

fn set(variable: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<OsString> {
    variable(name).filter(|value| !value.as_encoded_bytes().trim_ascii().is_empty())
}

fn home(variable: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    set(variable, "HOME").or_else(|| set(variable, "USERPROFILE")).map(PathBuf::from)
}

/// Expands a leading `~`, because no shell does so in a configuration or after a comma.
fn expand_home(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => home.to_owned(),
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

fn comma_separated(list: &OsStr) -> impl Iterator<Item = PathBuf> {
    let parts: Vec<PathBuf> = match list.to_str() {
        Some(text) => {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(PathBuf::from).collect()
        }
        // A name that is not UTF-8 cannot be split on every system, so it is one folder.
        None => vec![PathBuf::from(list)],
    };
    parts.into_iter()
}

/// Returns the folder's `projects`, or the folder itself if it is that or has none.
fn projects_of(folder: PathBuf) -> PathBuf {
    let projects = folder.join(PROJECTS);
    if folder.file_name() == Some(OsStr::new(PROJECTS)) || is_absent(&projects) { folder } else { projects }
}

/// Returns whether nothing exists at this path. A link whose target is missing (a disk that is not mounted) exists, at any
/// level of the path.
fn is_absent(path: &Path) -> bool {
    for ancestor in path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        match ancestor.symlink_metadata() {
            Ok(metadata) => {
                return ancestor != path && !(metadata.is_symlink() && is_missing(ancestor.metadata()));
            }
            Err(error) if is_nothing_there(error.kind()) => {}
            // An entry that may not be examined may exist.
            Err(_) => return false,
        }
    }
    true
}

fn is_missing<T>(outcome: io::Result<T>) -> bool {
    outcome.is_err_and(|error| is_nothing_there(error.kind()))
}

fn is_nothing_there(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn environment(variables: &[(&str, &Path)]) -> impl Fn(&str) -> Option<OsString> {
        let variables: Vec<(String, OsString)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_os_str().to_owned()))
            .collect();
        move |name| variables.iter().find(|(set, _)| set == name).map(|(_, value)| value.clone())
    }

    fn usual(variables: &[(&str, &Path)]) -> Vec<PathBuf> {
        SourceRoots::usual(environment(variables)).folders().to_vec()
    }

    #[test]
    fn the_usual_roots_are_those_that_exist() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join(".claude/projects");
        let xdg = home.path().join(".config/claude/projects");
        assert!(usual(&[]).is_empty());
        assert!(usual(&[("HOME", home.path())]).is_empty());
        fs::create_dir_all(&own).unwrap();
        assert_eq!(usual(&[("HOME", home.path())]), std::slice::from_ref(&own));
        fs::create_dir_all(&xdg).unwrap();
        let found = SourceRoots::usual(environment(&[("HOME", home.path())]));
        assert_eq!((found.folders(), found.are_configured()), (&[xdg, own][..], false));
    }

    #[test]
    fn usual_roots_that_do_not_exist_yet_are_candidates() {
        let home = tempfile::tempdir().unwrap();
        let found = SourceRoots::usual(environment(&[("HOME", home.path())]));
        assert!(found.folders().is_empty());
        for folder in [".claude/projects", ".config/claude/projects"] {
            assert!(found.candidates().contains(&home.path().join(folder)), "{:?}", found.candidates());
        }
        let named = SourceRoots::named(["/missing"], environment(&[("HOME", home.path())]));
        assert_eq!(named.candidates(), named.folders());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_desktop_clients_folder_is_among_the_usual_roots() {
        let home = tempfile::tempdir().unwrap();
        let desktop = home.path().join(".config/Claude/local-agent-mode-sessions");
        fs::create_dir_all(&desktop).unwrap();
        assert_eq!(usual(&[("HOME", home.path())]), std::slice::from_ref(&desktop));
        let config = home.path().join(".config");
        assert_eq!(usual(&[("HOME", Path::new("/nowhere")), ("XDG_CONFIG_HOME", &config)]), [desktop]);
    }

    #[cfg(unix)]
    #[test]
    fn a_usual_root_behind_a_dangling_link_is_not_dropped() {
        let home = tempfile::tempdir().unwrap();
        let (config, own) = (home.path().join(".claude"), home.path().join(".claude/projects"));
        std::os::unix::fs::symlink("unmounted", &config).unwrap();
        assert_eq!(usual(&[("HOME", home.path())]), std::slice::from_ref(&own));
        fs::remove_file(&config).unwrap();
        fs::create_dir(&config).unwrap();
        std::os::unix::fs::symlink("unmounted", &own).unwrap();
        assert_eq!(usual(&[("HOME", home.path())]), [own]);
    }

    #[test]
    fn every_folder_of_the_variable_is_kept_and_counts_as_named() {
        let home = tempfile::tempdir().unwrap();
        let projects = home.path().join(".claude/projects");
        fs::create_dir_all(&projects).unwrap();
        let list =
            format!("{}, {} ,~/.claude,,/missing", home.path().join(".claude").display(), projects.display());
        let found = SourceRoots::usual(environment(&[
            ("HOME", home.path()),
            ("CLAUDE_CONFIG_DIR", Path::new(&list)),
        ]));
        let expected = [projects.clone(), projects.clone(), projects, "/missing".into()];
        assert_eq!((found.folders(), found.are_configured()), (&expected[..], true));
    }

    #[test]
    fn a_leading_tilde_is_the_home_folder_and_no_other_one() {
        let named = SourceRoots::named(
            ["~/a", "~", "~other/a", "/x/~/a", "b"],
            environment(&[("HOME", Path::new("/home/user"))]),
        );
        let expected = ["/home/user/a", "/home/user", "~other/a", "/x/~/a", "b"].map(PathBuf::from);
        assert_eq!((named.folders(), named.are_configured()), (&expected[..], true));
        let homeless = SourceRoots::named(["~/a"], |_| None);
        assert_eq!(homeless.folders(), [PathBuf::from("~/a")]);
    }
}
