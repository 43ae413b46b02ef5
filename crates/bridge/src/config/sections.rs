//! The sections of the configuration. Defaults come from the options that the settings are passed to; only those of
//! settings without such options are defined here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bridge_analysis::{AnalyzerOptions, AssignmentRule, ProjectGroupRule, ProjectNameRule};
use bridge_core::ActivityFacts;
use bridge_storage::{ClickHouseLimits, ClickHouseOptions, Retention};

use super::Secret;
use crate::builder::Limits;

/// `clickhouse`: the server, the tables on it, and the limits of its use.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ClickHouseConfig {
    /// `http://HOST:PORT` or, with the feature `tls`, `https://HOST:PORT`.
    pub url: Option<String>,
    /// The database, which is created if it is missing.
    pub database: String,
    /// The prefix of the names of all tables.
    pub table_prefix: String,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: Option<Secret>,
    /// A file with the user's password.
    pub password_file: Option<PathBuf>,
    /// An access token, instead of user and password.
    pub access_token: Option<Secret>,
    /// A file with an access token, which is read again when the token is rejected.
    pub access_token_file: Option<PathBuf>,
    /// HTTP headers of every request.
    pub headers: BTreeMap<String, Secret>,
    /// Settings of ClickHouse for every query.
    pub settings: BTreeMap<String, String>,
    /// The certificates that are trusted, in place of the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// The cluster that the tables are spread over.
    pub cluster: Option<String>,
    /// The retention of responses; `None` does not change it.
    pub retention: Option<Retention>,
    /// The retention of audit records; `None` does not change it.
    pub audit_retention: Option<Retention>,
    /// Connections, timeouts, retries, circuit breaker and disk. Waiting for a free connection has the timeout of
    /// making one.
    pub limits: ClickHouseLimits,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: None,
            database: ClickHouseOptions::DATABASE.to_owned(),
            table_prefix: String::new(),
            user: ClickHouseOptions::USER.to_owned(),
            password: None,
            password_file: None,
            access_token: None,
            access_token_file: None,
            headers: BTreeMap::new(),
            settings: BTreeMap::new(),
            tls_ca_file: None,
            cluster: None,
            retention: None,
            audit_retention: None,
            limits: ClickHouseLimits::default(),
        }
    }
}

/// `embedded`: the engine that comes with the bridge, in place of a server. Needs the feature `embedded`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// The folder of its data.
    pub data_dir: Option<PathBuf>,
    /// The folder of the engine itself.
    pub cache_dir: Option<PathBuf>,
    /// The limit of its memory, in bytes.
    pub memory_bytes_max: u64,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        // The engine's own default, repeated because the engine is an optional dependency.
        Self { data_dir: None, cache_dir: None, memory_bytes_max: 4 << 30 }
    }
}

/// `sources`: the transcripts, and the form in which their names are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourcesConfig {
    /// Folders or files; none means the client's usual places.
    pub paths: Vec<PathBuf>,
    /// The machine's name; `None` means the one it gives itself.
    pub host_name: Option<String>,
    /// The form in which projects' names are stored.
    pub project_names: ProjectNameMode,
    /// The key of hashed names.
    pub project_key: Option<Secret>,
    /// A file with the key of hashed names.
    pub project_key_file: Option<PathBuf>,
    /// The developer of what no rule assigns to one; `user` is the operating system's user.
    pub developer: Option<String>,
    /// The team of what no rule assigns to one.
    pub team: Option<String>,
    /// The labels of everything; a rule's labels of the same names come first.
    pub labels: BTreeMap<String, String>,
    /// Rules by the paths of projects and transcripts; the first that matches applies.
    pub assignments: Vec<AssignmentRule>,
    /// The longest interruption that belongs to the active time of a session.
    pub activity_pause: Duration,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            host_name: None,
            project_names: ProjectNameMode::default(),
            project_key: None,
            project_key_file: None,
            developer: None,
            team: None,
            labels: BTreeMap::new(),
            assignments: Vec::new(),
            activity_pause: ActivityFacts::PAUSE,
        }
    }
}

/// `projects`: what recorded projects count for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectsConfig {
    /// Current names of renamed and moved projects; the first rule that matches applies.
    pub names: Vec<ProjectNameRule>,
    /// Groups of projects; the first rule that matches applies.
    pub groups: Vec<ProjectGroupRule>,
    /// True if worktrees of `git worktree` count for their repository.
    pub git_worktrees: bool,
}

impl Default for ProjectsConfig {
    fn default() -> Self {
        Self { names: Vec::new(), groups: Vec::new(), git_worktrees: true }
    }
}

/// `sources.project_names`. See [`ProjectNames`](bridge_analysis::ProjectNames).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProjectNameMode {
    /// The whole path.
    #[default]
    Full,
    /// The last component of the path.
    LastComponent,
    /// A hash under `project_key`.
    KeyedHash,
    /// No name at all.
    None,
}

/// `processing`: reading and storing transcripts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessingConfig {
    /// Rows of one insert of a batch of analyses.
    pub batch_size: usize,
    /// The memory for reading, in bytes, which limits the number of threads: each needs room for the longest line.
    pub memory_bytes_max: usize,
    /// Batches stored, or files synchronized, at once.
    pub parallel_limit: usize,
    /// Validates analyses before they are stored.
    pub validation: bool,
    /// Threads, the longest line, strictness and categories. The host and the form of projects' names follow from
    /// [`SourcesConfig`].
    pub analyzer: AnalyzerOptions,
}

impl Default for ProcessingConfig {
    fn default() -> Self {
        let Limits { batch_size, parallel } = Limits::default();
        let analyzer = AnalyzerOptions::default();
        Self { batch_size, memory_bytes_max: 200 << 20, parallel_limit: parallel, validation: true, analyzer }
    }
}
