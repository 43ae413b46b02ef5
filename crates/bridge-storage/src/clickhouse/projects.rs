//! The table `project_names`: the project that each name counts for.

use ::clickhouse::Row;
use async_trait::async_trait;
use bridge_core::{
    AttributionValue, BridgeError, InvalidValue, LinkedWorktree, ProjectName, ProjectRecord, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::usage::read::{bind, conditions};
use super::usage::rows::COUNTED;
use crate::capabilities::ProjectStore;
use crate::query::ResponseFilter;

const READ: &str = "read projects";

/// A row of `project_names`. A text that a record lacks is empty.
#[derive(Debug, Row, Serialize, Deserialize)]
struct StoredProject {
    name: String,
    current: String,
    project_group: String,
    repository: String,
    worktree: String,
    recorded_at: i64,
}

impl StoredProject {
    fn from_record(record: &ProjectRecord) -> Self {
        let worktree = record.worktree.as_ref();
        Self {
            name: record.name.as_str().to_owned(),
            current: record.current.as_str().to_owned(),
            project_group: record.group.as_ref().map_or("", |group| group.as_str()).to_owned(),
            repository: worktree.map_or("", |worktree| worktree.repository.as_str()).to_owned(),
            worktree: worktree.map_or("", |worktree| worktree.name.as_str()).to_owned(),
            recorded_at: record.recorded_at.as_millis(),
        }
    }

    fn into_record(self) -> Result<ProjectRecord, InvalidValue> {
        let group = Some(self.project_group).filter(|group| !group.is_empty());
        let worktree = match self.worktree.is_empty() {
            true => None,
            false => Some(LinkedWorktree {
                repository: ProjectName::new(self.repository)?,
                name: AttributionValue::new(self.worktree)?,
            }),
        };
        Ok(ProjectRecord {
            name: ProjectName::new(self.name)?,
            current: ProjectName::new(self.current)?,
            group: group.map(AttributionValue::new).transpose()?,
            worktree,
            recorded_at: Timestamp::from_millis(self.recorded_at)?,
        })
    }
}

#[async_trait]
impl ProjectStore for ClickHouseStore {
    async fn recorded_projects(&self, filter: &ResponseFilter) -> Result<Vec<ProjectName>, BridgeError> {
        let conditions = [vec![COUNTED.to_owned(), "project != ''".to_owned()], conditions(filter)].concat();
        let query = &format!(
            "SELECT DISTINCT toString(project) AS name FROM token_usage FINAL WHERE {} ORDER BY name",
            conditions.join(" AND ")
        );
        let names: Vec<String> = self
            .call(READ, |tables| async move { bind(tables.query(query), filter).fetch_all().await })
            .await?;
        let unreadable = |error: InvalidValue| corrupt(READ, error.to_string());
        names.into_iter().map(|name| ProjectName::new(name).map_err(unreadable)).collect()
    }

    async fn project_records(&self) -> Result<Vec<ProjectRecord>, BridgeError> {
        let query = "SELECT name, current, project_group, repository, worktree, recorded_at
            FROM project_names FINAL ORDER BY name";
        let rows: Vec<StoredProject> =
            self.call(READ, |tables| async move { tables.query(query).fetch_all().await }).await?;
        let unreadable = |error: InvalidValue| corrupt(READ, error.to_string());
        rows.into_iter().map(|row| row.into_record().map_err(unreadable)).collect()
    }

    async fn put_project_records(&self, records: &[ProjectRecord]) -> Result<(), BridgeError> {
        if records.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = records.iter().map(StoredProject::from_record).collect();
        let rows = &rows;
        self.call("store projects", |tables| async move {
            let mut insert = tables.insert::<StoredProject>("project_names", rows.len()).await?;
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        })
        .await
    }
}
