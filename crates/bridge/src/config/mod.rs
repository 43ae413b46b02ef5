//! The configuration: `bridge_config.yaml`, overridden by environment variables.
//!
//! ```
//! use bridge::config::BridgeConfig;
//!
//! let config = BridgeConfig::from_yaml_str(
//!     "enhanced_token_bridge:
//!        clickhouse:
//!          url: http://localhost:8123
//!          table_prefix: etb_
//!          connection_timeout: 5s
//!        processing:
//!          batch_size: 500",
//! )?;
//! // What is not given has the specification's default.
//! assert_eq!((config.processing.batch_size, config.clickhouse.connection_pool_size), (500, 10));
//!
//! // What is no key is an error that says where, and what was meant.
//! let error = BridgeConfig::from_yaml_str("enhanced_token_bridge:\n  caching:\n    ttl: 5").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "line 3: enhanced_token_bridge.caching.ttl: is no key; allowed are ttl_seconds, max_entries"
//! );
//! # Ok::<(), bridge::config::ConfigError>(())
//! ```
//!
//! A program reads its file, lets the environment override it, and builds its bridge:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use bridge::config::BridgeConfig;
//!
//! let bridge = BridgeConfig::from_yaml_file("bridge_config.yaml")?.with_process_env()?.build().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`BridgeConfig::keys`] lists every key with its default and what it allows; `bridge_config.example.yaml` in the
//! repository's `examples` says what each is for.

mod build;
mod check;
mod environment;
mod error;
mod key;
mod secret;
mod sections;
mod suggestion;
mod value;
mod yaml;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

pub use error::{BuildError, ConfigError, ConfigOrigin, ConfigProblem};
pub use key::ConfigKey;
pub use secret::Secret;
pub use sections::{
    CachingConfig, ClickHouseConfig, EmbeddedConfig, ProcessingConfig, ProjectNameMode, SourcesConfig,
};

use crate::{AuditOptions, MonitoringOptions};
use value::Given;

/// The key at the top of the file.
const ROOT: &str = "enhanced_token_bridge";

/// A longer file is none of ours.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The configuration of a bridge. The default has the specification's values, and no store.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct BridgeConfig {
    /// The server.
    pub clickhouse: ClickHouseConfig,
    /// The embedded engine, in place of a server.
    pub embedded: EmbeddedConfig,
    /// The transcripts.
    pub sources: SourcesConfig,
    /// Reading and storing.
    pub processing: ProcessingConfig,
    /// The cache.
    pub caching: CachingConfig,
    /// How often the bridge looks at itself.
    pub monitoring: MonitoringOptions,
    /// What is put on record.
    pub audit: AuditOptions,
    /// Where what is not a default was given.
    given: BTreeMap<&'static str, ConfigOrigin>,
}

impl BridgeConfig {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; text that is no YAML; every key that is unknown, given twice or has a value
    /// that it does not allow, with its line. Whether the keys go together is told when a bridge is
    /// [built](Self::build): the environment may yet complete them.
    pub fn from_yaml_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let unreadable = |error| {
            ConfigError::unreadable(ConfigOrigin::Line { file: Some(path.to_owned()), line: 0 }, "", error)
        };
        Self::parse(&read_limited(path).map_err(unreadable)?, Some(path))
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// As [`from_yaml_file`](Self::from_yaml_file).
    pub fn from_yaml_str(text: &str) -> Result<Self, ConfigError> {
        Self::parse(text, None)
    }

    /// Every key, in the order of the documentation.
    #[must_use]
    pub fn keys() -> &'static [ConfigKey] {
        key::KEYS
    }

    fn parse(text: &str, file: Option<&Path>) -> Result<Self, ConfigError> {
        let origin = |line| ConfigOrigin::Line { file: file.map(Path::to_owned), line };
        let content = yaml::read(text);
        let complaints = content.complaints.into_iter().map(|complaint| ConfigProblem {
            origin: origin(complaint.line),
            key: complaint.key,
            message: complaint.message,
        });
        let mut problems: Vec<ConfigProblem> = complaints.collect();
        let mut config = Self::default();
        for entry in content.entries {
            // A key without a value has its default.
            let Some(key) = key::find(&entry.name).filter(|_| entry.given != Given::Nothing) else {
                continue;
            };
            match (key.set)(&mut config, &entry.given) {
                Ok(()) => drop(config.given.insert(key.name, origin(entry.line))),
                Err(_) => problems.push(unfit(key, &entry.given, origin(entry.line))),
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(problems)) }
    }
}

fn read_limited(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(text)
}

/// The problem of a value that its key does not allow.
fn unfit(key: &ConfigKey, given: &Given, origin: ConfigOrigin) -> ConfigProblem {
    let shown = match given {
        _ if key.is_secret() => "the value".to_owned(),
        // A URL with a password, in the place of another key.
        Given::Text(text) if value::may_hold_a_password(text) => "the value".to_owned(),
        Given::Text(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Given::List(_) | Given::Nothing => "this".to_owned(),
    };
    let message = format!("{shown} is not allowed; allowed is {}", key.allowed());
    ConfigProblem { origin, key: format!("{ROOT}.{}", key.name), message }
}
