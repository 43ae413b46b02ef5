//! Options of a ClickHouse store.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::clickhouse::Client;
use bridge_core::{BridgeError, ConnectionKind};
use url::Url;

use super::access::{AccessToken, AccessTokens, Credentials, TokenFile};
use super::connection::locate::Locate;
use super::extras::{check_header, check_setting};
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
    /// little compared with any disk that holds a history.
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
///
/// ```
/// use std::time::Duration;
///
/// use bridge_storage::{AccessToken, CircuitPolicy, ClickHouseLimits, ClickHouseOptions, Retention, RetryPolicy};
///
/// let server = ClickHouseOptions::from_url("http://db.example:8123/usage")?
///     .with_user("etb_writer", "")
///     .with_password("…")
///     .with_table_prefix("etb_")?
///     .with_header("x-team", "tools")?
///     .with_setting("max_threads", "4")?
///     .with_retention(Retention::For(Duration::from_hours(24 * 365)))
///     .with_audit_retention(Retention::For(Duration::from_hours(24 * 90)));
/// assert!(server.has_password() && server.host() == "db.example:8123" && server.database() == "usage");
/// assert!(!ClickHouseOptions::allows_header("authorization", "Bearer …"));
/// assert!(!ClickHouseOptions::allows_setting("async_insert"));
///
/// let in_cluster = server
///     .with_cluster("main")?
///     .with_access_token(AccessToken::new("eyJhbGciOi")?)
///     .with_limits(ClickHouseLimits::default())
///     .with_pool_size(4)
///     .with_connect_timeout(Duration::from_secs(2))
///     .with_acquire_timeout(Duration::from_secs(2))
///     .with_operation_timeout(Duration::from_mins(2))
///     .with_retry(RetryPolicy::once())
///     .with_circuit(CircuitPolicy { failures: 3, ..CircuitPolicy::default() })
///     .with_disk_reserve(64 << 20);
/// // Secrets and CA certificates in files are read at once, so the files must exist:
/// let with_files = || -> Result<ClickHouseOptions, bridge_core::BridgeError> {
///     let options = ClickHouseOptions::from_url("http://db.example:8123")?.with_ca_file("ca.pem");
///     options.with_password_file("/run/secrets/etb")?.with_access_token_file("/run/secrets/jwt")
/// };
/// assert!(with_files().is_err());
/// # let _ = in_cluster;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ClickHouseOptions {
    pub(crate) endpoint: String,
    pub(crate) host: String,
    pub(crate) database: String,
    pub(crate) credentials: Credentials,
    /// The embedder's own client, in place of one for the endpoint.
    pub(crate) client: Option<Client>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) settings: Vec<(String, String)>,
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
    /// The default database.
    pub const DATABASE: &str = "bridge";
    /// The default user.
    pub const USER: &str = "default";

    /// Parses `http://USER:PASSWORD@HOST:PORT/DATABASE`. User, password, database and port are optional; the defaults
    /// are `default`, empty, `bridge` and 8123. With the feature `tls`, `https://…` works too, with port 8443. Nothing
    /// may follow the database; `/`, `?`, `#` and `@` in a user or password are written `%2F`, `%3F`, `%23` and `%40`.
    ///
    /// Command lines are visible in the process list, so keep passwords in [a file](Self::with_password_file) or an
    /// environment variable.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::InvalidUrl`] if the URL has another form, or uses TLS without the feature `tls`.
    pub fn from_url(url: &str) -> Result<Self, BridgeError> {
        let invalid = |wanted: &str| BridgeError::connection(ConnectionKind::InvalidUrl, "from_url", wanted);
        // The text itself may hold a password, so it is never quoted.
        let parsed = Url::parse(url).map_err(|_| invalid("expected is http://HOST:8123"))?;
        // A part of a password that is not percent-encoded may parse as the host, so that is not quoted either.
        if parsed.query().is_some() || parsed.fragment().is_some() || parsed.path().contains('@') {
            return Err(invalid(
                "expected is http://USER:PASSWORD@HOST:PORT/DATABASE, with `/?#@` in a password as %2F %3F %23 %40",
            ));
        }
        let name = parsed.host_str().filter(|host| !host.is_empty());
        let Some(name) = name else { return Err(invalid("expected is http://HOST:8123, it has no host")) };
        let scheme = parsed.scheme();
        let secure = scheme == "https";
        let host = format!("{name}:{}", parsed.port().unwrap_or(if secure { 8443 } else { 8123 }));
        if secure && !cfg!(feature = "tls") {
            return Err(invalid(&format!("for https://{host} build with the feature `tls`")));
        }
        if !secure && scheme != "http" {
            return Err(invalid(&format!("expected is http:// or https:// before {host}")));
        }
        let decoded = |text: &str| {
            let pair = format!("x={}", text.replace('+', "%2B"));
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            decoded.map_or_else(String::new, |(_, value)| value.into_owned())
        };
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        let credentials = Credentials::User {
            user: or(decoded(parsed.username()), Self::USER),
            password: decoded(parsed.password().unwrap_or_default()),
        };
        let database = or(decoded(parsed.path().trim_matches('/')), Self::DATABASE);
        Ok(Self { endpoint: format!("{scheme}://{host}"), secure, ..Self::new(host, database, credentials) })
    }

    /// Uses an embedder's own client, with its connector, address, credentials, compression, headers, settings and
    /// database (`bridge` if it has none). The store adds what it needs itself. The client's type is that of
    /// [`clickhouse_rs`](crate::clickhouse_rs): depend on the same minor version.
    ///
    /// The store's own connections reject responses that do not come from the database, for example from a proxy,
    /// before any row counts as stored. So do a client's if its connector is a
    /// [`GuardedConnector`](crate::GuardedConnector). Errors name the host that
    /// [`with_host_name`](Self::with_host_name) sets.
    ///
    /// ```
    /// use bridge_storage::clickhouse_rs::Client;
    /// use bridge_storage::{ClickHouseOptions, ClickHouseStore, GuardedConnector};
    /// use hyper_util::client::legacy::{Client as HyperClient, connect::HttpConnector};
    /// use hyper_util::rt::TokioExecutor;
    ///
    /// let mut connector = HttpConnector::new();
    /// connector.set_nodelay(true);
    /// let http = HyperClient::builder(TokioExecutor::new()).build(GuardedConnector::new(connector));
    /// let client = Client::with_http_client(http).with_url("http://db.example:8123").with_database("usage");
    /// let options = ClickHouseOptions::from_client(client).with_host_name("db.example").with_table_prefix("etb_")?;
    /// let store = ClickHouseStore::new(options)?;
    /// assert_eq!(store.options().database(), "usage");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn from_client(client: Client) -> Self {
        let host = "the address of the given client".to_owned();
        let database = client.database().unwrap_or(Self::DATABASE).to_owned();
        Self { client: Some(client), ..Self::new(host, database, Credentials::OfClient) }
    }

    fn new(host: String, database: String, credentials: Credentials) -> Self {
        Self {
            endpoint: String::new(),
            host,
            database,
            credentials,
            client: None,
            headers: Vec::new(),
            settings: Vec::new(),
            limits: ClickHouseLimits::default(),
            insert_rows: 100_000,
            table_prefix: TablePrefix::default(),
            topology: Topology::OneServer,
            retention: None,
            audit_retention: None,
            secure: false,
            ca_file: None,
            locator: None,
        }
    }

    /// Sets the database's host as errors and reports name it.
    #[must_use]
    pub fn with_host_name(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Takes the address, user and password from a locator, which is asked again whenever the database cannot be
    /// reached or rejects the password.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::InvalidUrl`] if its URL cannot be parsed.
    pub fn located(locator: Arc<dyn Locate>) -> Result<Self, BridgeError> {
        let location = locator.current();
        let options = Self::from_url(&location.url)?.with_user(&location.user, &location.password);
        Ok(Self { locator: Some(locator), ..options })
    }

    /// Sets the database.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        database.clone_into(&mut self.database);
        self
    }

    /// Sets the user and the password.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        self.credentials = Credentials::User { user: user.to_owned(), password: password.to_owned() };
        self
    }

    /// Sets the user's password.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        let user = match &self.credentials {
            Credentials::User { user, .. } => user.clone(),
            _ => Self::USER.to_owned(),
        };
        self.with_user(&user, password)
    }

    /// Returns whether a non-empty password was given.
    #[must_use]
    pub fn has_password(&self) -> bool {
        matches!(&self.credentials, Credentials::User { password, .. } if !password.is_empty())
    }

    /// Authenticates by this access token instead of user and password.
    #[must_use]
    pub fn with_access_token(mut self, token: AccessToken) -> Self {
        self.credentials = Credentials::Token(token);
        self
    }

    /// Authenticates by the access token in this file instead of user and password. The file is read now, and again
    /// whenever the token is rejected, because another program may renew it.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] if the file cannot be read or contains no token.
    pub fn with_access_token_file(self, file: impl AsRef<Path>) -> Result<Self, BridgeError> {
        let tokens = TokenFile::read(file.as_ref())
            .map_err(|why| self.misconfigured("with_access_token_file", why.into()))?;
        Ok(self.with_access_tokens(Arc::new(tokens)))
    }

    /// Authenticates by access tokens from this source instead of user and password. A new one is requested whenever
    /// the database, or a gateway in front of it, rejects the current one.
    #[must_use]
    pub fn with_access_tokens(mut self, tokens: Arc<dyn AccessTokens>) -> Self {
        self.credentials = Credentials::Tokens(tokens);
        self
    }

    /// Adds an HTTP header to every request, for example for a gateway in front of the database. Its value never
    /// appears in any output.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] if the header is invalid, or one that the client sets itself.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, BridgeError> {
        check_header(name, value).map_err(|error| self.misconfigured("with_header", error.into()))?;
        self.headers.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Returns whether [`with_header`](Self::with_header) accepts this header.
    #[must_use]
    pub fn allows_header(name: &str, value: &str) -> bool {
        check_header(name, value).is_ok()
    }

    /// Returns whether [`with_setting`](Self::with_setting) accepts a setting of this name.
    #[must_use]
    pub fn allows_setting(name: &str) -> bool {
        check_setting(name).is_ok()
    }

    /// Adds a ClickHouse setting to every query, for example `max_memory_usage` or a workload. Settings that the bridge
    /// adds to a single query take precedence.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] if it is not a setting's name, or one that the bridge sets or relies on, such
    /// as `async_insert`: an insert that returned is durable.
    pub fn with_setting(mut self, name: &str, value: &str) -> Result<Self, BridgeError> {
        check_setting(name).map_err(|error| self.misconfigured("with_setting", error.into()))?;
        self.settings.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Reads the user's password from a file. A final line break is not part of it.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] if the file cannot be read or is empty.
    pub fn with_password_file(self, file: impl AsRef<Path>) -> Result<Self, BridgeError> {
        let file = file.as_ref();
        let unusable = |why: &dyn fmt::Display| {
            self.misconfigured("with_password_file", format!("{}: {why}", file.display()).into())
        };
        let text = std::fs::read_to_string(file).map_err(|error| unusable(&error))?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err(unusable(&"it is empty"));
        }
        Ok(self.with_password(password))
    }

    /// Sets a prefix of all table names, so that a database can hold other tables too: at most 64 letters, digits and
    /// underscores, not starting with a digit.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] if the prefix has another form.
    pub fn with_table_prefix(mut self, prefix: &str) -> Result<Self, BridgeError> {
        let prefix = TablePrefix::new(prefix);
        self.table_prefix = prefix.map_err(|error| self.misconfigured("with_table_prefix", error.into()))?;
        Ok(self)
    }

    /// Distributes the tables over this cluster of the server's `remote_servers`. Requires Keeper, and the macros
    /// `shard` and `replica` on every server.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::Misconfigured`] if it is not a cluster's name.
    pub fn with_cluster(mut self, cluster: &str) -> Result<Self, BridgeError> {
        let topology = Topology::cluster(cluster);
        self.topology = topology.map_err(|error| self.misconfigured("with_cluster", error.into()))?;
        Ok(self)
    }

    /// Sets the retention of audit records. By default migrations do not change it.
    #[must_use]
    pub fn with_audit_retention(mut self, retention: Retention) -> Self {
        self.audit_retention = Some(retention);
        self
    }

    /// Sets the retention of responses. By default migrations do not change it.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Sets all limits, replacing those set before.
    #[must_use]
    pub fn with_limits(mut self, limits: ClickHouseLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Reserves this much of the database's disk, in bytes, for table definitions: with less free space, checkpoints,
    /// rollbacks and migrations fail. Health checks warn before that. 0 turns it off.
    #[must_use]
    pub fn with_disk_reserve(mut self, bytes: u64) -> Self {
        self.limits.disk_reserve = bytes;
        self
    }

    /// Trusts only the certificates in this PEM file, instead of the system's. The file is read when the store is
    /// created.
    #[must_use]
    pub fn with_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Sets the timeout for opening or checking a connection.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// Sets the timeout for waiting for a free connection of the pool.
    #[must_use]
    pub fn with_acquire_timeout(mut self, timeout: Duration) -> Self {
        self.limits.acquire_timeout = timeout;
        self
    }

    /// Sets the maximum number of connections.
    #[must_use]
    pub fn with_pool_size(mut self, connections: usize) -> Self {
        self.limits.pool_size = connections.max(1);
        self
    }

    /// Sets the timeout of each attempt of a call, which the server enforces too. Exact reads over 10^8 rows may take
    /// minutes.
    #[must_use]
    pub fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        self.limits.operation_timeout = timeout;
        self
    }

    /// Sets the retry policy.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.limits.retry = retry;
        self
    }

    /// Sets the policy of the circuit breaker.
    #[must_use]
    pub fn with_circuit(mut self, circuit: CircuitPolicy) -> Self {
        self.limits.circuit = circuit;
        self
    }

    /// Returns host and port, as errors and reports show them.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Rejects options that an own client overrides.
    pub(crate) fn check(&self) -> Result<(), BridgeError> {
        let is_free = matches!(self.credentials, Credentials::OfClient) && self.ca_file.is_none();
        if self.client.is_none() || is_free {
            return Ok(());
        }
        let why = "the given client has credentials and certificates of its own: \
                   set them there, and none by with_user, with_password, with_access_token or with_ca_file";
        Err(self.misconfigured("from_client", why.into()))
    }

    /// Returns the error for an unusable option.
    pub(crate) fn misconfigured(
        &self,
        operation: &'static str,
        why: Box<dyn Error + Send + Sync>,
    ) -> BridgeError {
        BridgeError::connection(ConnectionKind::Misconfigured, operation, &self.host).with_source(why)
    }
}

impl fmt::Debug for ClickHouseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseOptions")
            .field("host", &self.host)
            .field("database", &self.database)
            .field("table_prefix", &self.table_prefix)
            .field("credentials", &self.credentials)
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
        let Credentials::User { user, password } = &options.credentials else { panic!("{options:?}") };
        assert_eq!((&**user, &**password), ("me", "s@cret"));
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
            assert!(
                error.starts_with("from_url: the database's URL is invalid: expected is http://"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
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
    fn what_the_bridge_relies_on_cannot_be_overridden() {
        let options = || ClickHouseOptions::from_url("http://db").unwrap();
        let options =
            options().with_header("X-Team", "s3cret").unwrap().with_setting("max_threads", "2").unwrap();
        assert!(!format!("{options:?}").contains("s3cret"));
        for name in ["Authorization", "X-ClickHouse-User", "x-bridge-rows", "no header", ""] {
            assert!(options.clone().with_header(name, "a").is_err(), "{name}");
        }
        assert!(options.clone().with_header("x-a", "two\nlines").is_err());
        for name in ["async_insert", "query_id", "a b", ""] {
            assert!(options.clone().with_setting(name, "1").is_err(), "{name}");
        }
    }

    /// The message names the method, the cause what it takes.
    #[test]
    fn options_that_cannot_be_used_name_their_method_and_what_it_takes() {
        let options = || ClickHouseOptions::from_url("http://db").unwrap();
        let own = ClickHouseOptions::from_client(Client::default()).with_user("me", "s3cret");
        for (refused, method, cause) in [
            (options().with_table_prefix("a; DROP").map(drop), "with_table_prefix", "letters, digits"),
            (options().with_cluster("a' b").map(drop), "with_cluster", "cluster"),
            (options().with_setting("final", "1").map(drop), "with_setting", "the bridge sets itself"),
            (options().with_header("host", "a").map(drop), "with_header", "the client sets itself"),
            (
                options().with_password_file("missing/pw").map(drop),
                "with_password_file",
                "missing/pw: No such",
            ),
            (
                options().with_access_token_file("missing/jwt").map(drop),
                "with_access_token_file",
                "missing/jwt: No such",
            ),
            (own.check(), "from_client", "none by with_user"),
        ] {
            let error = refused.unwrap_err();
            let source = error.source().unwrap().to_string();
            assert!(error.to_string().starts_with(&format!("{method}: the connection settings")), "{error}");
            assert!(source.contains(cause) && !source.contains("s3cret"), "{method}: {source}");
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
        assert!(matches!(&options.credentials, Credentials::User { password, .. } if password == "s3cret "));
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
