//! Records of projects besides their names.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{BridgeError, ProjectName, ProjectRecord};

use crate::query::ResponseFilter;

/// Keeps the records of projects, by which [`Dimension::Project`](crate::Dimension::Project),
/// [`ProjectGroup`](crate::Dimension::ProjectGroup) and [`Worktree`](crate::Dimension::Worktree) are answered. They belong to
/// no checkpoint: a rollback leaves them as they are.
#[async_trait]
pub trait ProjectStore: Send + Sync + fmt::Debug {
    /// Returns the projects that the responses name that the filter admits, by name.
    async fn recorded_projects(&self, filter: &ResponseFilter) -> Result<Vec<ProjectName>, BridgeError>;

    /// Returns the records, by name.
    async fn project_records(&self) -> Result<Vec<ProjectRecord>, BridgeError>;

    /// Stores records. Of two of the same name the later one stays; of two of the same time, the one stored last.
    /// When it returns they are durable.
    async fn put_project_records(&self, records: &[ProjectRecord]) -> Result<(), BridgeError>;
}
