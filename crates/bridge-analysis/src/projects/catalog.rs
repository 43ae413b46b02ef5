//! The catalog of projects: their current names and groups, by configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use bridge_core::{AttributionValue, ProjectName};

use crate::assignments::{InvalidPattern, PathPattern};
use crate::count::project::normal_form;

/// The subject of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    /// This folder and everything inside.
    Folder(String),
    /// The names that match.
    Pattern(PathPattern),
}

impl Scope {
    fn new(text: &str) -> Result<Self, InvalidPattern> {
        match text.contains(['*', '?', '[']) {
            true => PathPattern::new(text).map(Self::Pattern),
            false => Ok(Self::Folder(normal_form(text))),
        }
    }

    fn contains(&self, path: &str) -> bool {
        match self {
            Self::Folder(folder) => inside(folder, path).is_some(),
            Self::Pattern(pattern) => pattern.matches(path),
        }
    }
}

/// Returns the rest of a path inside of a folder, with the separator before it; empty for the folder itself.
fn inside<'p>(folder: &str, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(folder)?;
    (rest.is_empty() || rest.starts_with(['/', '\\']) || folder.ends_with(['/', '\\'])).then_some(rest)
}

/// The end of a pattern for everything inside of a folder.
const INSIDE: &str = "/**";

/// A rule for the current name of a renamed or moved project.
///
/// ```
/// use bridge_analysis::{ProjectCatalog, ProjectNameRule};
/// use bridge_core::ProjectName;
///
/// let renamed = ProjectNameRule::new("/home/pat/old-app", "/home/pat/app")?;
/// let moved = ProjectNameRule::new("/srv/old/**", "/srv/new/**")?;
/// let catalog = ProjectCatalog::new([renamed, moved], []);
/// let current = |name: &str| {
///     let name = ProjectName::new(name).ok()?;
///     Some(catalog.place(&name, None).0.to_string())
/// };
/// assert_eq!(current("/home/pat/old-app/src").as_deref(), Some("/home/pat/app"), "with what is inside");
/// assert_eq!(current("/srv/old/web/api").as_deref(), Some("/srv/new/web/api"), "each project keeps its own name");
/// assert_eq!(current("/home/pat/old-apps").as_deref(), Some("/home/pat/old-apps"));
/// # Ok::<(), bridge_analysis::InvalidPattern>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectNameRule {
    scope: Scope,
    current: Current,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Current {
    Project(String),
    /// The folder to which everything in the scope's folder was moved.
    MovedTo(String),
}

impl ProjectNameRule {
    /// Returns the rule that what `old` matches counts for `current`. `old` is a folder, with everything inside, or a
    /// [pattern](PathPattern). If both end with `/**`, the contents of a folder were moved.
    ///
    /// # Errors
    ///
    /// `old` is no pattern.
    pub fn new(old: &str, current: &str) -> Result<Self, InvalidPattern> {
        if let (Some(from), Some(to)) = (old.strip_suffix(INSIDE), current.strip_suffix(INSIDE))
            && let folder @ Scope::Folder(_) = Scope::new(from)?
        {
            return Ok(Self { scope: folder, current: Current::MovedTo(normal_form(to)) });
        }
        Ok(Self { scope: Scope::new(old)?, current: Current::Project(normal_name(current)) })
    }

    fn apply_to(&self, path: &str) -> Option<String> {
        match (&self.scope, &self.current) {
            (Scope::Folder(folder), Current::MovedTo(to)) => {
                let rest = inside(folder, path).filter(|rest| !rest.is_empty())?;
                // The root is nothing but a separator.
                let separators = ['/', '\\'];
                let (to, rest) = (to.trim_end_matches(separators), rest.trim_start_matches(separators));
                Some(normal_form(&format!("{to}/{rest}")))
            }
            (scope, Current::Project(current)) => scope.contains(path).then(|| current.clone()),
            (Scope::Pattern(_), Current::MovedTo(_)) => None,
        }
    }
}

/// A path in its one spelling; any other name as it is.
fn normal_name(name: &str) -> String {
    if name.contains(['/', '\\']) { normal_form(name) } else { name.to_owned() }
}

/// A rule for the group of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectGroupRule {
    scope: Scope,
    group: AttributionValue,
}

impl ProjectGroupRule {
    /// Returns the rule that what `projects` matches belongs to this group. `projects` is a folder, with everything
    /// inside, or a [pattern](PathPattern); it may match the recorded or the current name.
    ///
    /// # Errors
    ///
    /// `projects` is no pattern.
    pub fn new(projects: &str, group: AttributionValue) -> Result<Self, InvalidPattern> {
        Ok(Self { scope: Scope::new(projects)?, group })
    }
}

/// The current names and the groups of projects. The first rule that matches applies; a name is replaced once.
///
/// ```
/// use bridge_analysis::{ProjectCatalog, ProjectGroupRule, ProjectNameRule};
/// use bridge_core::{AttributionValue, ProjectName};
///
/// let group = ProjectGroupRule::new("/projects/acme", AttributionValue::new("acme")?)?;
/// let catalog = ProjectCatalog::new([ProjectNameRule::new("/old/web", "/projects/acme/web")?], [group]);
/// let (current, group) = catalog.place(&ProjectName::new("/old/web")?, None);
/// assert_eq!(current.as_str(), "/projects/acme/web");
/// assert_eq!(group.as_ref().map(AttributionValue::as_str), Some("acme"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectCatalog(Arc<Rules>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    names: Vec<ProjectNameRule>,
    groups: Vec<ProjectGroupRule>,
}

impl ProjectCatalog {
    /// Returns the catalog of these rules, in the order in which they are tried.
    #[must_use]
    pub fn new(
        names: impl IntoIterator<Item = ProjectNameRule>,
        groups: impl IntoIterator<Item = ProjectGroupRule>,
    ) -> Self {
        let (names, groups) = (names.into_iter().collect(), groups.into_iter().collect());
        Self(Arc::new(Rules { names, groups }))
    }

    /// Returns the current name and the group of a recorded project, which may be a worktree of this repository. A
    /// rule for its own name comes before those for the repository's.
    #[must_use]
    pub fn place(
        &self,
        recorded: &ProjectName,
        repository: Option<&ProjectName>,
    ) -> (ProjectName, Option<AttributionValue>) {
        let paths = [Some(recorded), repository].into_iter().flatten();
        let renamed = paths.clone().find_map(|path| self.renamed(path));
        let current = renamed.unwrap_or_else(|| repository.unwrap_or(recorded).clone());
        let of_any = |rule: &&ProjectGroupRule| {
            rule.scope.contains(current.as_str())
                || paths.clone().any(|path| rule.scope.contains(path.as_str()))
        };
        let group = self.0.groups.iter().find(of_any).map(|rule| rule.group.clone());
        (current, group)
    }

    fn renamed(&self, path: &ProjectName) -> Option<ProjectName> {
        let renamed = self.0.names.iter().find_map(|rule| rule.apply_to(path.as_str()))?;
        ProjectName::new(renamed).ok()
    }

    /// Returns the folders that the rules name, whose names can be recognized after they were shortened or hashed.
    #[must_use]
    pub fn folders(&self) -> BTreeSet<ProjectName> {
        let scopes = self.0.names.iter().map(|rule| &rule.scope);
        let scopes = scopes.chain(self.0.groups.iter().map(|rule| &rule.scope));
        let folders = scopes.filter_map(|scope| match scope {
            Scope::Folder(folder) => ProjectName::new(folder).ok(),
            Scope::Pattern(_) => None,
        });
        let current = self.0.names.iter().filter_map(|rule| match &rule.current {
            Current::Project(name) => ProjectName::new(name).ok(),
            Current::MovedTo(_) => None,
        });
        folders.chain(current).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(names: &[(&str, &str)], groups: &[(&str, &str)]) -> ProjectCatalog {
        let names = names.iter().map(|(old, current)| ProjectNameRule::new(old, current).unwrap());
        let group = |name| AttributionValue::new(name).unwrap();
        let groups =
            groups.iter().map(|(projects, name)| ProjectGroupRule::new(projects, group(*name)).unwrap());
        ProjectCatalog::new(names, groups)
    }

    fn place(catalog: &ProjectCatalog, recorded: &str, repository: Option<&str>) -> (String, String) {
        let repository = repository.map(|path| ProjectName::new(path).unwrap());
        let (current, group) = catalog.place(&ProjectName::new(recorded).unwrap(), repository.as_ref());
        (current.to_string(), group.map(|group| group.to_string()).unwrap_or_default())
    }

    #[test]
    fn the_first_rule_that_matches_renames_once() {
        let catalog = catalog(
            &[("/a/deep", "/d"), ("/a", "/b"), ("/b", "/c"), ("**/tmp-*", "Scratch"), ("/x", "/a")],
            &[],
        );
        let current = |name: &str| place(&catalog, name, None).0;
        assert_eq!(["/a", "/a/src", "/a/deep/er", "/ab"].map(current), ["/b", "/b", "/d", "/ab"]);
        assert_eq!(["/data/tmp-1", "/data/tmp", "/x/y"].map(current), ["Scratch", "/data/tmp", "/a"]);
    }

    #[test]
    fn spellings_of_a_windows_path_are_one_folder() {
        let catalog = catalog(&[("c:/old/app/", "D:/app"), ("C:/moved/**", "/mnt/d/here/**")], &[]);
        let current = |name: &str| place(&catalog, name, None).0;
        assert_eq!(current("C:\\old\\app\\src"), "D:\\app");
        assert_eq!(current("C:\\moved\\web\\api"), "D:\\here\\web\\api");
        assert_eq!(current("C:\\moved"), "C:\\moved", "only what is inside was moved");
        assert_eq!(current("C:\\old\\apps"), "C:\\old\\apps");
    }

    #[test]
    fn a_root_is_a_folder_like_others() {
        let catalog = catalog(&[("/old/**", "/**")], &[("/", "all")]);
        assert_eq!(place(&catalog, "/old/app", None), ("/app".into(), "all".into()));
        assert_eq!(place(&catalog, "C:\\app", None), ("C:\\app".into(), String::new()));
    }

    #[test]
    fn a_worktree_has_the_name_and_group_of_its_repository_unless_it_has_its_own() {
        let catalog = catalog(&[("/own", "/own"), ("/repo", "Shop")], &[("Shop", "web"), ("/own", "mine")]);
        assert_eq!(place(&catalog, "/fix", Some("/repo")), ("Shop".into(), "web".into()));
        assert_eq!(place(&catalog, "/own", Some("/repo")), ("/own".into(), "mine".into()));
        assert_eq!(place(&catalog, "/fix", Some("/other")), ("/other".into(), String::new()));
        assert_eq!(place(&ProjectCatalog::default(), "/fix", None), ("/fix".into(), String::new()));
    }
}
