//! The engine that the tests of one binary share, with a database for each test.
//!
//! A missing engine fails the test loudly. The engine leaves when the test binary ends, however it ends.

use std::fmt;
use std::io::{self, Write};
use std::sync::LazyLock;
use std::thread;

use bridge_embedded::{Credentials, Engine, EngineEvent, EngineOptions};

/// The engine of this test binary, started when it is first asked for.
///
/// # Panics
/// There is no engine: it cannot be fetched or started.
pub fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        Engine::start_with(&EngineOptions::ephemeral(), show)
            .unwrap_or_else(|error| panic!("these tests need the embedded ClickHouse engine: {error}"))
    });
    &ENGINE
}

/// Fetching takes its time, so it is shown; the test harness would keep back what `eprintln!` says.
fn show(event: EngineEvent) {
    if !matches!(
        event,
        EngineEvent::Starting { .. } | EngineEvent::Started { .. } | EngineEvent::Joined { .. }
    ) {
        let _ = writeln!(io::stderr(), "{event}");
    }
}

/// A database of its own for one test, on the shared engine. It is not created yet.
#[derive(Clone)]
pub struct TestDatabase {
    /// Its name.
    pub name: String,
}

impl TestDatabase {
    /// The database of the running test, named after it.
    ///
    /// # Panics
    /// The thread has no name: it is not a test's.
    pub fn of_this_test() -> Self {
        let current = thread::current();
        let test = current.name().filter(|name| *name != "main").expect("a test's thread bears its name");
        Self::named(test)
    }

    /// The database of this name.
    pub fn named(name: &str) -> Self {
        let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        // The engine's reader may read databases of this prefix.
        Self { name: format!("test_{plain}") }
    }

    /// `HOST:PORT` of the engine.
    pub fn host(&self) -> &'static str {
        let url = &engine().endpoint().url;
        url.strip_prefix("http://").unwrap_or(url)
    }

    /// The URL with the writer's password.
    pub fn writer_url(&self) -> String {
        self.url(self.host(), &engine().endpoint().writer)
    }

    /// The URL with the reader's password.
    pub fn reader_url(&self) -> String {
        self.url(self.host(), &engine().endpoint().reader)
    }

    /// The URL with the writer's password, by way of another host, a [`FaultProxy`](crate::proxy::FaultProxy) say.
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
