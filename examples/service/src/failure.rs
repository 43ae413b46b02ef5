//! Failures of the service, as it reports them before it ends.

use std::error::Error;
use std::fmt;

use bridge::Escaped;

/// Why the service did not start.
#[derive(Debug)]
pub struct Failure {
    kind: FailureKind,
    /// The setting, file or address that the error is about.
    subject: Option<String>,
    error: Box<dyn Error + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    /// The command line or the settings are wrong.
    Settings,
    /// The settings are valid, but what they name cannot be used.
    Running,
}

impl Failure {
    /// Returns the failure of wrong settings.
    pub fn settings(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: FailureKind::Settings, subject: None, error: error.into() }
    }

    /// Returns the failure of a service with valid settings.
    pub fn running(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: FailureKind::Running, subject: None, error: error.into() }
    }

    /// Returns the failure with the setting, file or address that the error is about.
    #[must_use]
    pub fn about(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// Returns 2 for wrong settings, and 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            FailureKind::Settings => 2,
            FailureKind::Running => 1,
        }
    }

    /// Returns the failure and its causes, one per line.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = escaped(self);
        let mut cause = self.source();
        while let Some(error) = cause {
            text += &format!("\n  caused by: {}", escaped(error));
            cause = error.source();
        }
        text
    }
}

/// Returns the text of an error for a terminal. Those of settings have several lines.
fn escaped(error: &dyn Error) -> String {
    let text = error.to_string();
    let lines: Vec<_> = text.lines().map(|line| Escaped::text(line).to_string()).collect();
    lines.join("\n")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{subject}: {}", self.error),
            None => write!(f, "{}", self.error),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
