//! The project of a record.

use bridge_core::ProjectName;

/// Returns the project's path, or the name of its folder if no path is known.
///
/// The client keeps a project's transcripts in a folder named after the path it was started in, every
/// character but letters and digits replaced by `-`. The records' `cwd` follows the session into
/// subfolders. So the project is the ancestor of `cwd` (or `cwd` itself) that the folder is named after.
pub(crate) fn project_path(folder: Option<&str>, cwd: Option<&str>) -> Option<ProjectName> {
    let name = match (folder, cwd) {
        (Some(folder), Some(cwd)) => ancestors(cwd).find(|path| is_folder_of(folder, path)).unwrap_or(cwd),
        (_, Some(cwd)) => cwd,
        (Some(folder), None) => folder,
        (None, None) => return None,
    };
    // A path too long for a name still has its project folder.
    ProjectName::new(name).ok().or_else(|| ProjectName::new(folder?).ok())
}

/// Returns the path and its ancestors, by either system's separators.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rfind(['/', '\\']).map(|end| &path[..end]))
        .filter(|path| !path.is_empty())
}

fn is_folder_of(folder: &str, path: &str) -> bool {
    let dashed = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    dashed.eq(folder.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(folder: Option<&str>, cwd: Option<&str>) -> Option<String> {
        project_path(folder, cwd).map(String::from)
    }

    #[test]
    fn a_subfolder_belongs_to_the_project_that_the_folder_is_named_after() {
        let folder = Some("-home-user-my-app");
        assert_eq!(project(folder, Some("/home/user/my_app")), Some("/home/user/my_app".into()));
        assert_eq!(project(folder, Some("/home/user/my_app/src/deep")), Some("/home/user/my_app".into()));
        assert_eq!(project(folder, Some("/elsewhere")), Some("/elsewhere".into()));
        assert_eq!(project(folder, None), Some("-home-user-my-app".into()));
        assert_eq!(
            project(Some("C--Users-me-app"), Some("C:\\Users\\me\\app\\x")),
            Some("C:\\Users\\me\\app".into())
        );
        assert_eq!(project(None, None), None);
    }
}
