//! Problems of a configuration, and errors of building a bridge from it.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use bridge_core::BridgeError;

use crate::advice;

/// The place at which a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigOrigin {
    /// This file.
    File(PathBuf),
    /// A place in a file, or in a text.
    Line {
        /// The file.
        file: Option<PathBuf>,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
    },
    /// This environment variable.
    Variable(String),
    /// Nowhere: it is missing.
    Nowhere,
}

impl fmt::Display for ConfigOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Line { file: Some(file), line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Line { file: None, line, column } => write!(f, "line {line}, column {column}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// A problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// Its place.
    pub origin: ConfigOrigin,
    /// The full name of the key, such as `enhanced_token_bridge.clickhouse.url`; empty if the problem has none.
    pub key: String,
    /// The problem, with the allowed values. No secret is quoted.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{}: {}{separator}{}", self.origin, self.key, self.message)
    }
}

/// The configuration is not usable. All problems are reported at once.
#[derive(Debug)]
pub struct ConfigError {
    problems: Vec<ConfigProblem>,
    source: Option<std::io::Error>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<ConfigProblem>) -> Self {
        Self { problems, source: None }
    }

    pub(super) fn unreadable(origin: ConfigOrigin, key: &str, source: std::io::Error) -> Self {
        let problem = ConfigProblem { origin, key: key.to_owned(), message: "cannot be read".to_owned() };
        Self { problems: vec![problem], source: Some(source) }
    }

    /// Returns all problems.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// No bridge can be built. The message states what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration is not usable.
    Config(ConfigError),
    /// The store cannot be reached, or its tables cannot be created.
    Store(BridgeError),
    /// The embedded engine cannot be fetched or started.
    #[cfg(feature = "embedded")]
    Engine(bridge_embedded::EngineError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Store(error) => write!(f, "{error}; {}", advice(error)),
            #[cfg(feature = "embedded")]
            Self::Engine(error) => error.fmt(f),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The message is the error's own, so its cause comes next.
        match self {
            Self::Config(error) => error.source(),
            Self::Store(error) => error.source(),
            #[cfg(feature = "embedded")]
            Self::Engine(error) => error.source(),
        }
    }
}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<BridgeError> for BuildError {
    fn from(error: BridgeError) -> Self {
        Self::Store(error)
    }
}

#[cfg(feature = "embedded")]
impl From<bridge_embedded::EngineError> for BuildError {
    fn from(error: bridge_embedded::EngineError) -> Self {
        Self::Engine(error)
    }
}
