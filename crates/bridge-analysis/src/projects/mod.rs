//! The projects that recorded ones count for: current names, groups, and repositories of worktrees.

mod catalog;
mod git;
mod seen;

pub use catalog::{ProjectCatalog, ProjectGroupRule, ProjectNameRule};
pub use git::{GitEntry, GitFolders};
pub use seen::SeenProjects;
