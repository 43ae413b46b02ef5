//! The sections of the configuration, with the specification's defaults.

use std::path::PathBuf;
use std::time::Duration;

use bridge_storage::Retention;

use super::Secret;

/// `clickhouse`: the server, the tables on it, and how patient to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClickHouseConfig {
    /// `http://HOST:PORT` or, with the feature `tls`, `https://HOST:PORT`.
    pub url: Option<String>,
    /// The database; made where it is missing.
    pub database: String,
    /// Before the names of all tables.
    pub table_prefix: String,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: Option<Secret>,
    /// A file with the user's password.
    pub password_file: Option<PathBuf>,
    /// The certificates that are trusted, in place of the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// The cluster that the tables are spread over.
    pub cluster: Option<String>,
    /// How long rows of responses stay; `None` leaves the tables as they are.
    pub retention: Option<Retention>,
    /// How long records of the audit stay; `None` leaves the table as it is.
    pub audit_retention: Option<Retention>,
    /// Connections at most.
    pub connection_pool_size: usize,
    /// For making or checking a connection, and for waiting until one is free.
    pub connection_timeout: Duration,
    /// For every attempt of a call.
    pub operation_timeout: Duration,
    /// Attempts after the first.
    pub retry_attempts: usize,
    /// After this time no further attempt begins.
    pub retry_budget: Duration,
    /// After so many failures in a row the database is left alone; 0 turns it off.
    pub circuit_failures: u32,
    /// The first time for which it is left alone.
    pub circuit_open_for: Duration,
    /// The longest time for which it is left alone.
    pub circuit_open_for_max: Duration,
    /// So much of the database's disk, in MiB, is reserved for definitions of tables; 0 turns it off.
    pub disk_reserve_mb: u64,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: None,
            database: "bridge".to_owned(),
            table_prefix: String::new(),
            user: "default".to_owned(),
            password: None,
            password_file: None,
            tls_ca_file: None,
            cluster: None,
            retention: None,
            audit_retention: None,
            connection_pool_size: 10,
            connection_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(30),
            retry_attempts: 3,
            retry_budget: Duration::from_mins(1),
            circuit_failures: 5,
            circuit_open_for: Duration::from_secs(1),
            circuit_open_for_max: Duration::from_secs(30),
            disk_reserve_mb: 8,
        }
    }
}

/// `embedded`: the engine that comes with the bridge, in place of a server. Needs the feature `embedded`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// Where its data lie.
    pub data_dir: Option<PathBuf>,
    /// Where the engine itself is kept.
    pub cache_dir: Option<PathBuf>,
    /// How much memory it may use, in MiB.
    pub memory_mb: u64,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { data_dir: None, cache_dir: None, memory_mb: 4096 }
    }
}

/// `sources`: the transcripts, and what of their names is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourcesConfig {
    /// Folders or files; none means the client's usual places.
    pub paths: Vec<PathBuf>,
    /// The machine's name; `None` means the one it gives itself.
    pub host_name: Option<String>,
    /// What becomes of the projects' names.
    pub project_names: ProjectNameMode,
    /// The key of hashed names.
    pub project_key: Option<Secret>,
    /// A file with the key of hashed names.
    pub project_key_file: Option<PathBuf>,
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
}

/// `processing`: how transcripts are read and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessingConfig {
    /// Rows of one insert of a batch of analyses.
    pub batch_size: usize,
    /// What reading may hold, in MiB: so many threads read as fit, each with the longest line.
    pub max_memory_mb: usize,
    /// Batches stored, or files synchronized, at once.
    pub parallel_limit: usize,
    /// Whether analyses are validated before they are stored.
    pub validation: bool,
    /// Threads that read; 0 means one for each core.
    pub threads: usize,
    /// Longer lines are skipped and reported, in MiB.
    pub max_line_mb: usize,
    /// Whether to validate every line in full.
    pub strict: bool,
    /// Whether to estimate content categories.
    pub categories: bool,
}

impl Default for ProcessingConfig {
    fn default() -> Self {
        Self {
            batch_size: 1000,
            max_memory_mb: 200,
            parallel_limit: 5,
            validation: true,
            threads: 0,
            max_line_mb: 64,
            strict: false,
            categories: false,
        }
    }
}

/// `caching`: summaries that were read before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachingConfig {
    /// How long one is served, in seconds; 0 turns the cache off.
    pub ttl_seconds: u64,
    /// How many are kept.
    pub max_entries: u64,
}

impl Default for CachingConfig {
    fn default() -> Self {
        Self { ttl_seconds: 600, max_entries: 1000 }
    }
}
