//! The records of projects in memory.

use std::borrow::Cow;
use std::collections::BTreeSet;

use async_trait::async_trait;
use bridge_core::{BridgeError, ProjectName, ProjectRecord, ResponseUsage};

use super::{InMemoryStore, Tables};
use crate::capabilities::ProjectStore;
use crate::dimension::Dimension;
use crate::query::ResponseFilter;

#[async_trait]
impl ProjectStore for InMemoryStore {
    async fn recorded_projects(&self, filter: &ResponseFilter) -> Result<Vec<ProjectName>, BridgeError> {
        let content = self.content();
        let named: BTreeSet<_> =
            content.tables.admitted(filter).filter_map(|row| row.project.clone()).collect();
        Ok(named.into_iter().collect())
    }

    async fn project_records(&self) -> Result<Vec<ProjectRecord>, BridgeError> {
        Ok(self.content().tables.projects.values().cloned().collect())
    }

    async fn put_project_records(&self, records: &[ProjectRecord]) -> Result<(), BridgeError> {
        let projects = &mut self.content().tables.projects;
        for record in records {
            let known = projects.get(&record.name);
            if known.is_none_or(|known| known.recorded_at <= record.recorded_at) {
                projects.insert(record.name.clone(), record.clone());
            }
        }
        Ok(())
    }
}

impl Tables {
    /// Returns the project that a response counts for.
    pub(super) fn project<'a>(&'a self, row: &'a ResponseUsage) -> Option<&'a ProjectName> {
        let recorded = row.project.as_ref()?;
        Some(self.projects.get(recorded).map_or(recorded, |record| &record.current))
    }

    /// Returns the value of a response by the records of projects.
    pub(super) fn value<'a>(&'a self, dimension: &Dimension, row: &'a ResponseUsage) -> Cow<'a, str> {
        let Some(record) = row.project.as_ref().and_then(|name| self.projects.get(name)) else {
            return dimension.value_of(row);
        };
        match dimension {
            Dimension::Project => record.current.as_str().into(),
            Dimension::ProjectGroup => record.group.as_ref().map_or("", |group| group.as_str()).into(),
            Dimension::Worktree if row.attribution.worktree.is_none() => {
                record.worktree.as_ref().map_or("", |worktree| worktree.name.as_str()).into()
            }
            _ => dimension.value_of(row),
        }
    }
}
