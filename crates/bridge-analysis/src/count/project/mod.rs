//! The project of a record, and the worktree that it was worked in.

mod folder;
mod path;
mod worktree;

use bridge_core::{AttributionValue, ProjectName};

use self::folder::EncodedFolder;
use self::path::Style;
pub(crate) use self::path::{ancestors, drive, normal_form};
use self::worktree::{Worktree, split_encoded};

/// The project and worktree of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The path of the working tree in its [normal form](path::normal_form), or the name of its folder if no path is
    /// known.
    pub(crate) project: Option<ProjectName>,
    /// The name of the client's worktree.
    pub(crate) worktree: Option<AttributionValue>,
}

/// Returns the place of a record with this `cwd`, in a transcript in this folder. By these texts alone: no file is
/// looked up, so that the same record has the same place on every machine.
///
/// The client keeps a project's transcripts in a folder that is named after the path that it was started in. The
/// records' `cwd` follows the session into subfolders. So the project is the ancestor of `cwd` (or `cwd` itself) that
/// the folder is named after; if there is none, `cwd`. A worktree of the client counts for its repository.
pub(crate) fn place_of(folder: Option<&str>, cwd: Option<&str>) -> Place {
    let (project, worktree) = match (folder, cwd) {
        (folder, Some(cwd)) => of_path(folder, cwd),
        (Some(folder), None) => split_encoded(folder),
        (None, None) => return Place::default(),
    };
    // A path too long for a name still has its project folder.
    let project = ProjectName::new(project).ok().or_else(|| ProjectName::new(split_encoded(folder?).0).ok());
    Place { project, worktree: worktree.and_then(|name| AttributionValue::new(name).ok()) }
}

fn of_path(folder: Option<&str>, cwd: &str) -> (String, Option<String>) {
    let path = normal_form(cwd);
    let worktree = Worktree::containing(&path);
    let name = worktree.as_ref().map(|worktree| worktree.name.to_owned());
    let inside = folder.and_then(|folder| named_ancestor(folder, cwd, worktree.as_ref()));
    let project = inside.unwrap_or_else(|| path.clone());
    let project = match Worktree::containing(&project) {
        Some(worktree) => worktree.repository.to_owned(),
        None => project,
    };
    (project, name)
}

/// Returns the ancestor of `cwd`, or `cwd` itself, that the folder is named after. In a worktree, the same place in the
/// repository will do.
fn named_ancestor(folder: &str, cwd: &str, worktree: Option<&Worktree<'_>>) -> Option<String> {
    let folder = EncodedFolder::new(folder);
    let in_repository = worktree.map(Worktree::place_in_repository);
    let found = [Some(cwd), in_repository.as_deref()].into_iter().flatten();
    let found =
        found.map(|path| folder.find(Style::detect(path), ancestors(path))).find_map(|found| found)?;
    Some(normal_form(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: Option<&str>, cwd: Option<&str>) -> (Option<String>, Option<String>) {
        let place = place_of(folder, cwd);
        (place.project.map(String::from), place.worktree.map(String::from))
    }

    fn project(folder: &str, cwd: &str) -> String {
        let (project, worktree) = place(Some(folder), Some(cwd));
        assert_eq!(worktree, None, "{cwd}");
        project.unwrap()
    }

    #[test]
    fn a_subfolder_belongs_to_the_project_that_the_folder_is_named_after() {
        let folder = "-home-user-my-app";
        assert_eq!(project(folder, "/home/user/my_app"), "/home/user/my_app");
        assert_eq!(project(folder, "/home/user/my_app/src/deep"), "/home/user/my_app");
        assert_eq!(project(folder, "/home/user/my_app/src/"), "/home/user/my_app");
        assert_eq!(project(folder, "/elsewhere"), "/elsewhere");
        assert_eq!(project("-", "/etc"), "/");
        assert_eq!(place(Some(folder), None), (Some(folder.into()), None));
        assert_eq!(place(None, Some("/home/user/app/")), (Some("/home/user/app".into()), None));
        assert_eq!(place(None, None), (None, None));
    }

    #[test]
    fn characters_are_dashes_by_their_utf_16_units() {
        assert_eq!(project("-home-user---app", "/home/user/é/app/src"), "/home/user/é/app");
        assert_eq!(project("-home-user----app", "/home/user/😀/app/src"), "/home/user/😀/app");
        assert_eq!(project("-home-user--config-a-b", "/home/user/.config/a b/c"), "/home/user/.config/a b");
        assert_eq!(
            project("-home-user-my.app", "/home/user/my.app/c"),
            "/home/user/my.app",
            "an early client's"
        );
    }

    #[test]
    fn a_folder_with_another_name_leaves_it_to_the_path() {
        for folder in ["my-project", "-workspace", "é"] {
            assert_eq!(project(folder, "/home/user/app"), "/home/user/app");
        }
    }

    #[test]
    fn spellings_of_a_windows_path_are_one_project() {
        for cwd in [
            "C:\\Users\\pat\\app",
            "c:\\Users\\pat\\app\\",
            "C:/Users/pat/app/src",
            "c:\\users\\pat\\APP",
            "\\\\?\\C:\\Users\\pat\\app",
        ] {
            assert_eq!(project("C--Users-pat-app", cwd), "C:\\Users\\pat\\app", "{cwd}");
            assert_eq!(project("c--Users-pat-app", cwd), "C:\\Users\\pat\\app", "{cwd}");
        }
        assert_eq!(project("-mnt-c-Users-pat-app", "/mnt/c/Users/pat/app/src"), "C:\\Users\\pat\\app");
        assert_eq!(project("x", "//wsl$/Ubuntu/mnt/c/Users"), "C:\\Users");
        assert_eq!(project("C--", "c:\\Users"), "C:\\");
        assert_eq!(place(Some("c--Users-pat-app"), None).0.unwrap(), "C--Users-pat-app");
    }

    #[test]
    fn a_distribution_of_wsl_is_its_own_root() {
        for cwd in
            ["\\\\wsl.localhost\\Ubuntu\\home\\user\\app\\src", "\\\\WSL.localhost\\Ubuntu\\home\\user\\app"]
        {
            assert_eq!(project("--wsl-localhost-Ubuntu-home-user-app", cwd), "/home/user/app");
        }
        assert_eq!(
            project("--wsl--Ubuntu-home-user-app", "\\\\wsl$\\Ubuntu\\home\\user\\app\\src"),
            "/home/user/app"
        );
        assert_eq!(project("-home-user-app", "/home/user/app/src"), "/home/user/app");
        assert_eq!(project("--server-share-app", "//server/share/app/src"), "\\\\server\\share\\app");
    }

    #[test]
    fn a_worktree_counts_for_its_repository_and_keeps_its_name() {
        let expected = (Some("/home/user/app".to_owned()), Some("elastic-cori".to_owned()));
        let cwd = "/home/user/app/.claude/worktrees/elastic-cori";
        for folder in
            [Some("-home-user-app--claude-worktrees-elastic-cori"), Some("-home-user-app"), Some("x"), None]
        {
            assert_eq!(place(folder, Some(cwd)), expected, "{folder:?}");
            assert_eq!(place(folder, Some(&format!("{cwd}/src/"))), expected, "{folder:?}");
        }
        assert_eq!(
            place(Some("-home-user-app--claude-worktrees-elastic-cori"), None),
            (Some("-home-user-app".to_owned()), Some("elastic-cori".to_owned()))
        );
        let windows = "c:\\app\\.claude\\worktrees\\w1\\src";
        assert_eq!(place(None, Some(windows)), (Some("C:\\app".to_owned()), Some("w1".to_owned())));
        let package = "/repo/.claude/worktrees/w1/packages/web/src";
        assert_eq!(
            place(Some("-repo-packages-web"), Some(package)),
            (Some("/repo/packages/web".to_owned()), Some("w1".to_owned())),
            "the place in the repository that the session began in"
        );
        assert_eq!(
            place(None, Some("/repo/.claude/worktrees")),
            (Some("/repo/.claude/worktrees".into()), None)
        );
    }

    #[test]
    fn a_long_folder_is_one_project() {
        let parts: Vec<_> = (0..40).map(|part| format!("part{part:02}")).collect();
        let cwd = format!("/home/user/{}", parts.join("/"));
        let encoded: String = cwd.chars().map(|c| if c == '/' { '-' } else { c }).take(200).collect();
        let folder = format!("{encoded}-1a2b3c");
        assert_eq!(project(&folder, &cwd), project(&folder, &format!("{cwd}/sub")));
        assert!(cwd.starts_with(&project(&folder, &cwd)));
        // By the client's hash of a string, the ancestor is certain.
        let hashed = format!("{encoded}-{}", folder::hash(&cwd));
        assert_eq!(project(&hashed, &format!("{cwd}/sub")), cwd);
    }

    #[test]
    fn a_path_too_long_for_a_name_has_the_name_of_its_folder() {
        let cwd = format!("/{}/.claude/worktrees/w", "x".repeat(600));
        assert_eq!(place(Some("-p--claude-worktrees-w"), Some(&cwd)), (Some("-p".into()), Some("w".into())));
        assert_eq!(place(None, Some(&cwd)), (None, Some("w".into())));
    }
}
