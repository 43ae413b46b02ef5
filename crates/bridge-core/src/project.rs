//! The record of a project besides its name.

use serde::{Deserialize, Serialize};

use crate::{AttributionValue, ProjectName, Timestamp};

/// The project that another name of it counts for, and its group. A store applies it when it reads, so that a
/// correction needs no transcript: responses keep the name that they were recorded under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRecord {
    /// The project as responses name it.
    pub name: ProjectName,
    /// The project that it counts for; mostly itself.
    pub current: ProjectName,
    /// The group of projects that it belongs to.
    pub group: Option<AttributionValue>,
    /// The repository that it is a worktree of.
    pub worktree: Option<LinkedWorktree>,
    /// When this was recorded: of two records of a name the later one counts.
    pub recorded_at: Timestamp,
}

/// A folder that `git worktree` made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedWorktree {
    /// The repository, as a project.
    pub repository: ProjectName,
    /// The name of the worktree in it.
    pub name: AttributionValue,
}

impl ProjectRecord {
    /// Returns the record of a project that counts for itself and belongs to no group.
    #[must_use]
    pub fn new(name: ProjectName, recorded_at: Timestamp) -> Self {
        Self { current: name.clone(), name, group: None, worktree: None, recorded_at }
    }

    /// Returns whether both say the same, whenever they were recorded.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        *self == Self { recorded_at: self.recorded_at, ..other.clone() }
    }
}
