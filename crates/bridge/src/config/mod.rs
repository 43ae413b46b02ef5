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
//! // A key that is not given has the specification's default.
//! assert_eq!((config.processing.batch_size, config.clickhouse.limits.pool_size), (500, 10));
//!
//! // An unknown key is an error with its position and the key that may have been meant.
//! let error = BridgeConfig::from_yaml_str("enhanced_token_bridge:\n  caching:\n    ttl: 5").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "line 3, column 5: enhanced_token_bridge.caching.ttl: is no key; allowed are ttl_seconds, max_entries"
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
//! [`BridgeConfig::keys`] lists every key with its default and the values that it allows; `bridge_config.example.yaml`
//! in the repository's `examples` explains each.
//!
//! The YAML is read event by event (`saphyr-parser`) against one table of keys, not into structs by `serde-saphyr`,
//! which stops at the first problem and suggests no key. This module reports all problems at once, each with its
//! position and the allowed values, and never quotes a secret.

mod assignments;
mod budgets;
mod build;
mod check;
mod environment;
mod error;
mod form;
mod key;
mod node;
mod pricing;
mod secret;
mod sections;
mod spool;
mod suggestion;
mod yaml;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

pub use error::{BuildError, ConfigError, ConfigOrigin, ConfigProblem};
pub use key::ConfigKey;
pub use pricing::PricingConfig;
pub use secret::Secret;
pub use sections::{
    ClickHouseConfig, EmbeddedConfig, ProcessingConfig, ProjectNameMode, ProjectsConfig, SourcesConfig,
};

use bridge_cache::CacheOptions;

use crate::budgets::Budgets;
use crate::{AuditOptions, MonitoringOptions};
use form::RawValue;

/// The key at the top of the file.
const ROOT: &str = "enhanced_token_bridge";

/// A longer file is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The configuration of a bridge. The default has the specification's values, but no store.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct BridgeConfig {
    /// The server.
    pub clickhouse: ClickHouseConfig,
    /// The embedded engine, in place of a server.
    pub embedded: EmbeddedConfig,
    /// The transcripts.
    pub sources: SourcesConfig,
    /// What recorded projects count for.
    pub projects: ProjectsConfig,
    /// Reading and storing.
    pub processing: ProcessingConfig,
    /// The cache.
    pub caching: CacheOptions,
    /// Health checks and exports of metrics.
    pub monitoring: MonitoringOptions,
    /// The budgets, `monitoring.budgets`.
    pub budgets: Budgets,
    /// Prices.
    pub pricing: PricingConfig,
    /// The audit.
    pub audit: AuditOptions,
    /// The origin of each key that was given.
    given: BTreeMap<&'static str, ConfigOrigin>,
}

impl BridgeConfig {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; text that is no YAML; every key that is unknown, given twice or has a value
    /// that it does not allow, with its position. Conflicting keys are reported when a bridge is [built](Self::build),
    /// because the environment may complete them.
    pub fn from_yaml_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let unreadable = |error| ConfigError::unreadable(ConfigOrigin::File(path.to_owned()), "", error);
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

    /// Returns every key, in the order of the documentation.
    #[must_use]
    pub fn keys() -> &'static [ConfigKey] {
        key::KEYS
    }

    fn parse(text: &str, file: Option<&Path>) -> Result<Self, ConfigError> {
        let yaml::Content { entries, mut problems } = yaml::read(text, file);
        let mut config = Self::default();
        for yaml::Entry { key, origin, raw } in entries {
            // A key without a value has its default.
            if raw != RawValue::Nothing
                && let Err(found) = config.set(key, &raw, origin)
            {
                problems.extend(found);
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(problems)) }
    }

    fn set(
        &mut self,
        key: &ConfigKey,
        raw: &RawValue,
        origin: ConfigOrigin,
    ) -> Result<(), Vec<ConfigProblem>> {
        match (key.set)(self, raw) {
            Ok(()) => drop(self.given.insert(key.name, origin)),
            Err(form::WrongForm) => return Err(problems(key, raw, origin)),
        }
        Ok(())
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

/// Returns the problems of a value that its key does not allow.
fn problems(key: &ConfigKey, raw: &RawValue, origin: ConfigOrigin) -> Vec<ConfigProblem> {
    let inside = match (key.problems, raw) {
        (Some(problems), RawValue::Nodes(nodes)) => problems(nodes),
        _ => Vec::new(),
    };
    if inside.is_empty() { vec![not_allowed(key, raw, origin)] } else { inside }
}

/// Returns the problem of a value that its key does not allow.
fn not_allowed(key: &ConfigKey, raw: &RawValue, origin: ConfigOrigin) -> ConfigProblem {
    // Of a list, the first value that is not allowed alone.
    let culprit = |list: &[String]| {
        let is_refused = |one: &&String| {
            (key.set)(&mut BridgeConfig::default(), &RawValue::List(vec![(*one).clone()])).is_err()
        };
        list.iter().find(is_refused).filter(|one| !form::may_hold_a_password(one)).cloned()
    };
    let quoted = |text: &str| format!("{:?}", text.chars().take(80).collect::<String>());
    let shown = match raw {
        _ if key.is_secret() => "the value".to_owned(),
        // A URL with a password, in the place of another key.
        RawValue::Text(text) if form::may_hold_a_password(text) => "the value".to_owned(),
        RawValue::Text(text) => quoted(text),
        RawValue::List(list) if key.is_list() => {
            culprit(list).map_or_else(|| "this".to_owned(), |one| quoted(&one))
        }
        RawValue::List(_) | RawValue::Pairs(_) | RawValue::Nodes(_) | RawValue::Nothing => "this".to_owned(),
    };
    let message = format!("{shown} is not allowed; allowed is {}", key.allowed());
    ConfigProblem { origin, key: key.whole_name(), message }
}
