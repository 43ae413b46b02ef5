//! Options of a ClickHouse store.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bridge_core::{BridgeError, ConnectionKind};
use url::Url;

use super::connection::locate::Locate;
use super::schema::retention::Retention;
use super::schema::tables::TablePrefix;
use super::schema::topology::Topology;
use crate::breaker::CircuitPolicy;
use crate::retry::RetryPolicy;

/// Limits of a store: connections, timeouts, retries, circuit breaker and disk.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ClickHouseLimits {
    /// The maximum number of connections.
    pub pool_size: usize,
    /// The timeout for making or checking a connection.
    pub connect_timeout: Duration,
    /// The timeout for waiting until a connection of the pool is free.
    pub acquire_timeout: Duration,
    /// The timeout of every attempt of a call.
    pub operation_timeout: Duration,
    /// The retries of a call that failed.
    pub retry: RetryPolicy,
    /// The circuit breaker.
    pub circuit: CircuitPolicy,
    /// The part of the database's disk that is reserved for definitions of tables, in bytes; 0 turns it off.
    pub disk_reserve: u64,
}

impl Default for ClickHouseLimits {
    /// Ten connections, 30 s for each timeout, the default policies, 8 MiB: room for some thousand definitions, and
    /// small beside any disk that holds a history.
    fn default() -> Self {
        Self {
            pool_size: 10,
            connect_timeout: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            circuit: CircuitPolicy::default(),
            disk_reserve: 8 << 20,
        }
    }
}

/// The address, credentials and limits of a ClickHouse store. No form of output shows the password.
#[derive(Clone)]
pub struct ClickHouseOptions {
    pub(crate) endpoint: String,
    pub(crate) host: String,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) limits: ClickHouseLimits,
    pub(crate) insert_rows: usize,
    pub(crate) table_prefix: TablePrefix,
    pub(crate) topology: Topology,
    pub(crate) retention: Option<Retention>,
    pub(crate) audit_retention: Option<Retention>,
    /// Connections are encrypted by TLS.
    pub(crate) secure: bool,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) locator: Option<Arc<dyn Locate>>,
}

impl ClickHouseOptions {
    /// The database where none is given.
    pub const DATABASE: &str = "bridge";
    /// The user where none is given.
    pub const USER: &str = "default";

    /// Takes `http://USER:PASSWORD@HOST:PORT/DATABASE`. User, password and database may be left out
    /// (`default`, empty, `bridge`), the port too (8123). With the feature `tls` also `https://…` (8443). Nothing may
    /// follow the database; `/`, `?`, `#` and `@` in a user or password are written `%2F`, `%3F`, `%23` and `%40`.
    ///
    /// A command line shows in the process list: a password belongs into
    /// [a file](Self::with_password_file) or a variable.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::InvalidUrl`] where it is no such URL, or TLS is asked for and not built in.
    pub fn from_url(url: &str) -> Result<Self, BridgeError> {
        let invalid = |host: &str| BridgeError::Connection {
            operation: "read the URL",
            host: host.to_owned(),
            kind: ConnectionKind::InvalidUrl,
            context: Box::default(),
            source: None,
        };
        // The text itself may hold a password, so it is never quoted.
        let parsed = Url::parse(url).map_err(|_| invalid("(no URL like http://HOST:8123)"))?;
        // Where a password is not written in the URL's form a piece of it may be taken for the host, so that is not
        // quoted either.
        if parsed.query().is_some() || parsed.fragment().is_some() || parsed.path().contains('@') {
            return Err(invalid(
                "(only http://USER:PASSWORD@HOST:PORT/DATABASE, with `/?#@` in a password as %2F %3F %23 %40)",
            ));
        }
        let name = parsed.host_str().filter(|host| !host.is_empty());
        let Some(name) = name else { return Err(invalid("(no host in it)")) };
        let scheme = parsed.scheme();
        let secure = scheme == "https";
        let host = format!("{name}:{}", parsed.port().unwrap_or(if secure { 8443 } else { 8123 }));
        if secure && !cfg!(feature = "tls") {
            return Err(invalid(&format!("{host} (for https:// build with the feature `tls`)")));
        }
        if !secure && scheme != "http" {
            return Err(invalid(&format!("{host} (neither http:// nor https://)")));
        }
        let decoded = |text: &str| {
            let pair = format!("x={}", text.replace('+', "%2B"));
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            decoded.map_or_else(String::new, |(_, value)| value.into_owned())
        };
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        Ok(Self {
            endpoint: format!("{scheme}://{host}"),
            host,
            database: or(decoded(parsed.path().trim_matches('/')), Self::DATABASE),
            user: or(decoded(parsed.username()), Self::USER),
            password: decoded(parsed.password().unwrap_or_default()),
            limits: ClickHouseLimits::default(),
            insert_rows: 100_000,
            table_prefix: TablePrefix::default(),
            topology: Topology::OneServer,
            retention: None,
            audit_retention: None,
            secure,
            ca_file: None,
            locator: None,
        })
    }

    /// Takes the address, user and password from a locator, and asks it again whenever the database cannot be reached
    /// or refuses the password.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::InvalidUrl`] where its URL is none.
    pub fn located(locator: Arc<dyn Locate>) -> Result<Self, BridgeError> {
        let location = locator.current();
        let options = Self::from_url(&location.url)?.with_user(&location.user, &location.password);
        Ok(Self { locator: Some(locator), ..options })
    }

    /// With this database.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        database.clone_into(&mut self.database);
        self
    }

    /// With this user and password.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        user.clone_into(&mut self.user);
        password.clone_into(&mut self.password);
        self
    }

    /// With this password for the user.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    /// Returns whether a non-empty password was given.
    #[must_use]
    pub fn has_password(&self) -> bool {
        !self.password.is_empty()
    }

    /// With the password that the file holds; a line end behind it is not part of it.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] where the file cannot be read or holds none.
    pub fn with_password_file(mut self, file: impl AsRef<Path>) -> Result<Self, BridgeError> {
        let file = file.as_ref();
        let unusable = |why: &dyn fmt::Display| {
            self.misconfigured("read the password file", format!("{}: {why}", file.display()).into())
        };
        let text = std::fs::read_to_string(file).map_err(|error| unusable(&error))?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err(unusable(&"it is empty"));
        }
        password.clone_into(&mut self.password);
        Ok(self)
    }

    /// With this before the names of all tables, so that they can stand in a database with others: letters,
    /// digits and underlines, 64 at most, with no digit first.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] where it is no such word.
    pub fn with_table_prefix(mut self, prefix: &str) -> Result<Self, BridgeError> {
        let prefix = TablePrefix::new(prefix);
        self.table_prefix = prefix.map_err(|error| self.misconfigured("read the options", error.into()))?;
        Ok(self)
    }

    /// With tables that are spread over this cluster of the server's `remote_servers`. It needs Keeper, and the
    /// macros `shard` and `replica` on every server.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] where it is no name of a cluster.
    pub fn with_cluster(mut self, cluster: &str) -> Result<Self, BridgeError> {
        let topology = Topology::cluster(cluster);
        self.topology = topology.map_err(|error| self.misconfigured("read the options", error.into()))?;
        Ok(self)
    }

    /// With records of the audit that are kept so long. Without it a migration leaves the table as it is.
    #[must_use]
    pub fn with_audit_retention(mut self, retention: Retention) -> Self {
        self.audit_retention = Some(retention);
        self
    }

    /// With rows of responses that are kept so long. Without it a migration leaves the tables as they are.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// With these limits, in place of all that were set before.
    #[must_use]
    pub fn with_limits(mut self, limits: ClickHouseLimits) -> Self {
        self.limits = limits;
        self
    }

    /// With this much of the database's disk, in bytes, reserved for definitions of tables: below it checkpoints,
    /// rollbacks and migrations are refused, and health reports it before. 0 turns it off.
    #[must_use]
    pub fn with_disk_reserve(mut self, bytes: u64) -> Self {
        self.limits.disk_reserve = bytes;
        self
    }

    /// With the certificates of this PEM file as the only ones that are trusted, in place of the system's. It is
    /// read when the store is made.
    #[must_use]
    pub fn with_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// With this limit for making or checking a connection.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// With this limit for waiting until a connection of the pool is free.
    #[must_use]
    pub fn with_acquire_timeout(mut self, timeout: Duration) -> Self {
        self.limits.acquire_timeout = timeout;
        self
    }

    /// With so many connections at most.
    #[must_use]
    pub fn with_pool_size(mut self, connections: usize) -> Self {
        self.limits.pool_size = connections.max(1);
        self
    }

    /// With this limit for every attempt of a call. It is sent to the server, too. Exact reads over 10^8 rows may need
    /// minutes.
    #[must_use]
    pub fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        self.limits.operation_timeout = timeout;
        self
    }

    /// With this policy of trying again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.limits.retry = retry;
        self
    }

    /// With this policy of leaving a database alone that is away.
    #[must_use]
    pub fn with_circuit(mut self, circuit: CircuitPolicy) -> Self {
        self.limits.circuit = circuit;
        self
    }

    /// Host and port, as errors and reports show them.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The error for a setting that cannot be used.
    pub(crate) fn misconfigured(
        &self,
        operation: &'static str,
        why: Box<dyn Error + Send + Sync>,
    ) -> BridgeError {
        let (host, kind, context) = (self.host.clone(), ConnectionKind::Misconfigured, Box::default());
        BridgeError::Connection { operation, host, kind, context, source: Some(why) }
    }
}

impl fmt::Debug for ClickHouseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseOptions")
            .field("host", &self.host)
            .field("database", &self.database)
            .field("table_prefix", &self.table_prefix)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_url_are_read_and_the_password_is_not_shown() {
        let options = ClickHouseOptions::from_url("http://me:s%40cret@db.local:9000/usage").unwrap();
        assert_eq!((options.host(), &*options.database), ("db.local:9000", "usage"));
        assert_eq!((&*options.user, &*options.password), ("me", "s@cret"));
        assert!(!format!("{options:?}").contains("cret"));
        assert_eq!(ClickHouseOptions::from_url("http://db").unwrap().host(), "db:8123");
    }

    #[test]
    fn an_unusable_url_is_refused_without_being_quoted() {
        for url in [
            "db:8123",
            "ftp://me:secret@db",
            "http://",
            "nonsense secret",
            "http://db?user=me&password=secret",
            "http://db/usage?password=secret",
            "http://db#secret",
            "http://me:pass@secret#word@db",
            "http://secret:12/34@db",
            "http://me:sec/ret-secret@db",
            "ftp://me:pa@secret?x@db",
        ] {
            let error = ClickHouseOptions::from_url(url).unwrap_err().to_string();
            assert!(error.contains("URL is invalid") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn tls_is_spoken_where_it_is_built_in() {
        match ClickHouseOptions::from_url("https://me:secret@db") {
            Ok(options) => assert!(cfg!(feature = "tls") && options.host() == "db:8443"),
            Err(error) => assert!(!cfg!(feature = "tls") && error.to_string().contains("feature `tls`")),
        }
    }

    #[test]
    fn names_that_would_be_sql_are_refused() {
        let options = || ClickHouseOptions::from_url("http://db").unwrap();
        assert!(options().with_table_prefix("a; DROP").is_err());
        assert!(options().with_cluster("a' b").is_err());
        assert!(options().with_cluster("").is_err());
    }

    #[test]
    fn a_password_file_is_read_without_its_line_end_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let read = || ClickHouseOptions::from_url("http://db").unwrap().with_password_file(&file);
        assert!(read().is_err());
        std::fs::write(&file, "\n").unwrap();
        assert!(read().is_err());
        std::fs::write(&file, "s3cret \r\n").unwrap();
        let options = read().unwrap();
        assert_eq!(options.password, "s3cret ");
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
