//! Connections to ClickHouse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::clickhouse::{Client, Compression};
use bridge_core::{BridgeError, ConnectionKind};
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};

use super::answer::ForeignAnswer;
use super::errors::{bridge_error, timed_out};
use super::locate::Location;
use super::transport::Transport;
use crate::clickhouse::access::{AccessToken, Credentials};
use crate::clickhouse::options::ClickHouseOptions;
use crate::stats::PoolStatus;

/// A managed pool of connections to ClickHouse. Connections that failed or were idle are checked before they are
/// reused.
///
/// ```no_run
/// # async fn run(store: bridge_storage::ClickHouseStore) -> Result<(), Box<dyn std::error::Error>> {
/// let pool = store.pool();
/// let connection = pool.acquire_connection().await?;
/// let version: String = connection.client().query("SELECT version()").fetch_one().await?;
/// println!("{version}, {} of {} connections in use", pool.status().in_use, pool.status().size);
/// // Dropping it does the same.
/// pool.release_connection(connection);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BridgeConnectionPool {
    pool: Pool<Connector>,
    host: String,
    /// The timeout for waiting, checking and connecting together: several failed connections may need a check.
    limit: Duration,
}

/// A connection of the pool, which dropping returns to it.
#[derive(Debug)]
pub struct PooledConnection(Object<Connector>);

impl PooledConnection {
    /// Returns the client (of the crate `clickhouse`) to query with, on the store's database.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.0.database()
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0
    }

    /// Has the connection checked before it is reused.
    pub(crate) fn mark_failed(&self) {
        self.0.failed.store(true, Ordering::Relaxed);
    }
}

const ACQUIRE: &str = "acquire a connection";

/// A connection that was idle for longer is checked before it is used.
const IDLE_MAX: Duration = Duration::from_secs(10);

impl BridgeConnectionPool {
    /// Returns a pool with these options, which connects on demand.
    pub(crate) fn new(options: &ClickHouseOptions) -> Result<Self, BridgeError> {
        let connector = Connector {
            options: options.clone(),
            transport: Transport::new(options)?,
            renewing: tokio::sync::Mutex::default(),
        };
        let pool = Pool::builder(connector)
            .max_size(options.limits.pool_size)
            .wait_timeout(Some(options.limits.acquire_timeout))
            .recycle_timeout(Some(options.limits.connect_timeout))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| {
                BridgeError::connection(ConnectionKind::Misconfigured, "build the pool", &options.host)
                    .with_source(error)
            })?;
        let limit = options.limits.acquire_timeout.saturating_add(options.limits.connect_timeout);
        Ok(Self { pool, host: options.host.clone(), limit })
    }

    /// Returns a connection on which the database has just answered.
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::PoolExhausted`] if none became free in time, [`ConnectionKind::TimedOut`] or
    /// [`ConnectionKind::Unreachable`] if the database did not answer, [`ConnectionKind::Refused`] if it rejects the
    /// user or password.
    pub async fn acquire_connection(&self) -> Result<PooledConnection, BridgeError> {
        let connection = self.acquire().await?;
        let options = &self.pool.manager().options;
        ping(connection.connection().server(), options).await.inspect_err(|_| connection.mark_failed())?;
        Ok(connection)
    }

    /// Returns a connection for one of the store's own calls. A new one is not checked: the call itself shows
    /// whether the database is there, and saves a round trip.
    pub(crate) async fn acquire(&self) -> Result<PooledConnection, BridgeError> {
        let Ok(acquired) = tokio::time::timeout(self.limit, self.pool.get()).await else {
            return Err(timed_out(ACQUIRE, &self.host, self.limit));
        };
        acquired.map(PooledConnection).map_err(|error| match error {
            PoolError::Backend(error) => error,
            _ => BridgeError::connection(ConnectionKind::PoolExhausted, ACQUIRE, &self.host),
        })
    }

    /// Returns a connection that is not one of the pool's, for probes of the database while the pool is exhausted.
    pub(crate) fn dedicated_connection(&self) -> Connection {
        self.pool.manager().connect()
    }

    /// Checks that the database answers, on a connection outside of the pool. A database that has moved is located
    /// again.
    pub(crate) async fn ping_dedicated(&self) -> Result<(), BridgeError> {
        let connector = self.pool.manager();
        let connection = connector.connect();
        match ping(connection.server(), &connector.options).await {
            Err(error) if connector.recover(connection.token, &error).await => {
                ping(connector.connect().server(), &connector.options).await
            }
            answer => answer,
        }
    }

    /// Returns the current access token.
    pub(crate) fn access_token(&self) -> Option<AccessToken> {
        self.pool.manager().options.credentials.token()
    }

    /// Renews the access token after a call with this one failed. Returns false if there is no other token.
    pub(crate) async fn renew_token(&self, used: Option<AccessToken>, error: &BridgeError) -> bool {
        self.pool.manager().renew_token(used, error).await
    }

    /// Returns the numbers of connections in use and idle, and of waiting callers.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        let in_use = status.size.saturating_sub(status.available);
        PoolStatus { in_use, idle: status.available, waiting: status.waiting, size: status.max_size }
    }

    /// Returns a connection to the pool. Dropping it does the same.
    pub fn release_connection(&self, connection: PooledConnection) {
        drop(connection);
    }
}

/// Opens and checks connections.
#[derive(Debug)]
pub(crate) struct Connector {
    options: ClickHouseOptions,
    transport: Transport,
    /// Held while the access token is renewed. Other callers wait and use the new one.
    renewing: tokio::sync::Mutex<()>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The client without a database.
    server: ClientWithoutSecrets,
    /// The client with the database. It caches the tables' columns, which it would otherwise query before each insert.
    database: ClientWithoutSecrets,
    failed: AtomicBool,
    /// The location that it connects to, if the database has a locator.
    location: Option<Arc<Location>>,
    /// The access token that it authenticates with.
    token: Option<AccessToken>,
}

/// Does not rely on the client's own `Debug` to hide the password.
struct ClientWithoutSecrets(Client);

impl std::fmt::Debug for ClientWithoutSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Connection {
    pub(crate) fn server(&self) -> &Client {
        &self.server.0
    }

    pub(crate) fn database(&self) -> &Client {
        &self.database.0
    }
}

impl Connector {
    /// Returns a connection, which is opened when it is first used.
    fn connect(&self) -> Connection {
        let (location, token) = (self.location(), self.options.credentials.token());
        let server = client(&self.transport, &self.options, location.as_deref(), token.as_ref());
        let database = ClientWithoutSecrets(server.clone().with_database(&self.options.database));
        Connection {
            server: ClientWithoutSecrets(server),
            database,
            failed: AtomicBool::new(false),
            location,
            token,
        }
    }

    fn location(&self) -> Option<Arc<Location>> {
        self.options.locator.as_ref().map(|locator| locator.current())
    }

    /// Returns whether the connection leads to a former location of the database, or uses an old access token.
    fn is_outdated(&self, connection: &Connection) -> bool {
        if connection.token != self.options.credentials.token() {
            return true;
        }
        match (&connection.location, self.location()) {
            (Some(then), Some(now)) => !Arc::ptr_eq(then, &now),
            _ => false,
        }
    }

    /// Renews the access token after this error. Returns false if there is no other token.
    async fn renew_token(&self, used: Option<AccessToken>, error: &BridgeError) -> bool {
        let Credentials::Tokens(tokens) = &self.options.credentials else { return false };
        if !is_refusal(error) {
            return false;
        }
        let _renewing = self.renewing.lock().await;
        if used.is_some_and(|used| used != tokens.current()) {
            return true;
        }
        let renewed = tokens.renew().await;
        renewed.inspect_err(|error| tracing::warn!(%error, "access token renewal failed")).is_ok()
    }

    /// Renews the access token or locates the database again after this error. Returns false if neither succeeds.
    async fn recover(&self, used: Option<AccessToken>, error: &BridgeError) -> bool {
        if self.renew_token(used, error).await {
            return true;
        }
        let Some(locator) = &self.options.locator else { return false };
        if !matches!(error, BridgeError::Connection { .. }) {
            return false;
        }
        match locator.locate().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the database cannot be located");
                false
            }
        }
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = BridgeError;

    async fn create(&self) -> Result<Connection, BridgeError> {
        Ok(self.connect())
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<BridgeError> {
        if self.is_outdated(connection) {
            *connection = self.connect();
        } else if !connection.failed.load(Ordering::Relaxed) && metrics.last_used() < IDLE_MAX {
            return Ok(());
        }
        if let Err(error) = ping(connection.server(), &self.options).await {
            if !self.recover(connection.token.clone(), &error).await {
                return Err(RecycleError::Backend(error));
            }
            *connection = self.connect();
            ping(connection.server(), &self.options).await.map_err(RecycleError::Backend)?;
        }
        // It may have failed because the tables were replaced.
        connection.database().clear_cached_metadata().await;
        connection.failed.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// Returns whether the database, or a gateway in front of it, rejects the credentials.
fn is_refusal(error: &BridgeError) -> bool {
    match error {
        BridgeError::Connection { kind: ConnectionKind::Refused, .. } => true,
        BridgeError::Connection { .. } => {
            ForeignAnswer::in_causes_of(error).is_some_and(ForeignAnswer::demands_credentials)
        }
        _ => false,
    }
}

pub(crate) async fn ping(client: &Client, options: &ClickHouseOptions) -> Result<(), BridgeError> {
    let answer =
        tokio::time::timeout(options.limits.connect_timeout, client.query("SELECT 1").fetch_one::<u8>());
    match answer.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(bridge_error("ping", &options.host, error)),
        Err(_) => Err(timed_out("ping", &options.host, options.limits.connect_timeout)),
    }
}

fn client(
    transport: &Transport,
    options: &ClickHouseOptions,
    location: Option<&Location>,
    token: Option<&AccessToken>,
) -> Client {
    let client = match &options.client {
        // The store's database may not exist yet; this one does, on every server.
        Some(own) => own.clone().with_database("system"),
        None => identified(transport, options, location, token).with_compression(Compression::Lz4),
    };
    let client = options.headers.iter().fold(client, |client, (name, value)| client.with_header(name, value));
    let own = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let topology = options.topology.settings().iter().copied();
    let client = own.chain(topology).fold(client, |client, (name, value)| client.with_setting(name, value));
    client
        .with_setting("max_query_size", "67108864")
        // Lower than a rollback's, and equal to all other queries of the bridge.
        .with_setting("priority", "2")
        .with_setting("max_execution_time", options.limits.operation_timeout.as_secs().max(1).to_string())
}

/// Returns a client with the address and the credentials of the database.
fn identified(
    transport: &Transport,
    options: &ClickHouseOptions,
    location: Option<&Location>,
    token: Option<&AccessToken>,
) -> Client {
    let guard = location.and_then(|location| location.guard.as_ref());
    let client = transport.client(options.limits.connect_timeout, guard);
    let client = client.with_url(location.map_or(&options.endpoint, |location| &location.url));
    match (location, token, &options.credentials) {
        (Some(Location { user, password, .. }), ..) | (None, None, Credentials::User { user, password }) => {
            client.with_user(user).with_password(password)
        }
        (None, Some(token), _) => client.with_access_token(token.expose()),
        (None, None, _) => client,
    }
}
