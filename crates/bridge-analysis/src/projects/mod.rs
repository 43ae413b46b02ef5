//! The projects that recorded ones count for: current names, groups, and repositories of worktrees.

mod catalog;
mod folder;
mod git;
mod seen;

pub use catalog::{ProjectCatalog, ProjectGroupRule, ProjectNameRule};
pub use folder::folder_of_project;
pub use git::{GitEntry, GitFolders};
pub use seen::SeenProjects;
