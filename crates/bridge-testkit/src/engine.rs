//! An embedded engine shared by all tests of a binary, with a separate database for each test.
//!
//! Tests fail if the engine is missing. The engine stops when the test binary exits, also on a crash.

use std::fmt;
use std::io::{self, Write};
use std::sync::LazyLock;
use std::thread;

use bridge_embedded::{Credentials, Engine, EngineEvent, EngineOptions};

/// Returns the engine of this test binary. Starts it on the first call.
///
/// # Panics
/// Panics if the engine cannot be downloaded or started.
pub fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        Engine::start_with(&EngineOptions::ephemeral(), show)
            .unwrap_or_else(|error| panic!("these tests need the embedded ClickHouse engine: {error}"))
    });
    &ENGINE
}

/// Prints progress, because downloading may take minutes. Bypasses the test harness, which captures `eprintln!`.
fn show(event: EngineEvent) {
    if !matches!(
        event,
        EngineEvent::Starting { .. } | EngineEvent::Started { .. } | EngineEvent::Joined { .. }
    ) {
        let _ = writeln!(io::stderr(), "{event}");
    }
}

/// The database of one test on the shared engine. Migrating a store creates it.
#[derive(Clone)]
pub struct TestDatabase {
    /// The database's name.
    pub name: String,
}

impl TestDatabase {
    /// Returns the database of the running test, named after it.
    ///
    /// # Panics
    /// Panics if the current thread has no name and is therefore not a test's.
    pub fn of_this_test() -> Self {
        let current = thread::current();
        let test =
            current.name().filter(|name| *name != "main").expect("a test's thread has the test's name");
        Self::named(test)
    }

    /// Returns the database of this name.
    pub fn named(name: &str) -> Self {
        let sanitized: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        // The engine's reader has access to databases with this prefix.
        Self { name: format!("test_{sanitized}") }
    }

    /// Returns the engine's `HOST:PORT`.
    pub fn host(&self) -> &'static str {
        let url = &engine().endpoint().url;
        url.strip_prefix("http://").unwrap_or(url)
    }

    /// Returns the URL with the writer's password.
    pub fn writer_url(&self) -> String {
        self.url(self.host(), &engine().endpoint().writer)
    }

    /// Returns the URL with the reader's password.
    pub fn reader_url(&self) -> String {
        self.url(self.host(), &engine().endpoint().reader)
    }

    /// Returns the URL with the writer's password and another host, such as a
    /// [`FaultProxy`](crate::proxy::FaultProxy).
    pub fn writer_url_by(&self, host: &str) -> String {
        self.url(host, &engine().endpoint().writer)
    }

    fn url(&self, host: &str, user: &Credentials) -> String {
        format!("http://{}:{}@{host}/{}", user.user, user.password, self.name)
    }
}

impl fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.host())
    }
}
