//! The embedded engine as a database that a running bridge finds again, wherever it comes back.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bridge_core::{BridgeError, ConnectionKind};
use bridge_embedded::{Challenge, Engine, EngineError, EngineEvent, EngineOptions, ProofKey, Shutdown};
use bridge_storage::{ChallengeConnection, ClickHouseOptions, GuardConnection, HookFuture, Locate, Location};

/// The engine of a data folder, for a store of this process.
///
/// If the engine's supervisor is killed, the engine dies with it, and comes back on another port with another
/// password: started by the next program that uses the folder, or by this one when the old address no longer answers.
/// No password is sent on a connection before its other side has proven that it is the engine's supervisor.
///
/// A client of your own takes address, user and password from the [endpoint](Engine::endpoint) of
/// [`engine`](Self::engine). It does not find the engine again if its supervisor is killed.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use bridge::embedded::EngineOptions;
/// use bridge::storage::ClickHouseStore;
/// use bridge::{EmbeddedDatabase, EnhancedTokenDatabaseBridge, TokenStore};
///
/// let options = EngineOptions::at("tokens.clickhouse");
/// let starting = move || EmbeddedDatabase::start_with(&options, |event| eprintln!("{event}"));
/// let database = tokio::task::spawn_blocking(starting).await??;
/// let store = Arc::new(ClickHouseStore::new(database.store_options()?)?);
/// store.migrate().await?;
/// // `shutdown` closes the engine: `database.close` with a deadline.
/// let bridge = EnhancedTokenDatabaseBridge::builder(store).close_engine(database).build();
/// bridge.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EmbeddedDatabase {
    shared: Arc<Shared>,
}

struct Shared {
    found: Mutex<Found>,
    /// Held by the caller that looks for the engine. The others wait and use what was found.
    looking: Mutex<()>,
}

struct Found {
    engine: Arc<Engine>,
    location: Arc<Location>,
}

impl Found {
    fn new(engine: Engine) -> Self {
        let endpoint = engine.endpoint();
        let guard: Arc<dyn GuardConnection> = Arc::new(SupervisorGuard(endpoint.proof_key.clone()));
        let location = Location {
            url: endpoint.url.clone(),
            user: endpoint.writer.user.clone(),
            password: endpoint.writer.password.clone(),
            guard: Some(guard),
        };
        Self { engine: Arc::new(engine), location: Arc::new(location) }
    }
}

impl EmbeddedDatabase {
    /// Uses the engine of a data folder, and reports every step to `observer`. Blocks: see [`Engine::start_with`].
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start_with`].
    pub fn start_with(
        options: &EngineOptions,
        observer: impl FnMut(EngineEvent),
    ) -> Result<Self, EngineError> {
        // Everything but the rows of the bridge's tables can be derived, so a truncated definition is no loss.
        let options = options.clone().table_definitions(bridge_storage::table_definition);
        let found = Mutex::new(Found::new(Engine::start_with(&options, observer)?));
        Ok(Self { shared: Arc::new(Shared { found, looking: Mutex::default() }) })
    }

    /// Returns the options of a store on this database. The engine is in use as long as the store lives.
    ///
    /// # Errors
    ///
    /// The engine's address is not a URL.
    pub fn store_options(&self) -> Result<ClickHouseOptions, BridgeError> {
        let database = self.engine().endpoint().database.clone();
        Ok(ClickHouseOptions::located(Arc::new(self.clone()))?.with_database(&database))
    }

    /// Releases the engine and waits up to `wait` for it to exit; does not wait if others use it. The next call of a
    /// store on this database joins it again, or starts it. Blocks.
    #[must_use]
    pub fn close(&self, wait: Duration) -> Shutdown {
        self.engine().close(wait)
    }

    /// Returns the last known engine.
    #[must_use]
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.shared.found().engine)
    }
}

impl fmt::Debug for EmbeddedDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedDatabase").field("location", &self.current()).finish_non_exhaustive()
    }
}

impl Shared {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the engine, or starts it again.
    fn look(&self) -> Result<(), EngineError> {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        // Not under the lock of `found`: others ask for the address meanwhile, and fail on their own.
        let before = Arc::clone(&self.found().engine);
        let engine = before.rejoin()?;
        let mut found = self.found();
        if engine.endpoint() != found.engine.endpoint() {
            *found = Found::new(engine);
        }
        Ok(())
    }
}

impl Locate for EmbeddedDatabase {
    fn current(&self) -> Arc<Location> {
        Arc::clone(&self.shared.found().location)
    }

    fn locate(&self) -> HookFuture<'_> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            // It continues when this future is dropped, and serves the next call.
            match tokio::task::spawn_blocking(move || shared.look()).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(not_found(error.into())),
                Err(died) => Err(not_found(died.into())),
            }
        })
    }
}

fn not_found(source: Box<dyn std::error::Error + Send + Sync>) -> BridgeError {
    BridgeError::connection(ConnectionKind::Unreachable, "find the embedded engine", "the embedded engine")
        .with_source(source)
}

/// Accepts only the engine's supervisor.
struct SupervisorGuard(ProofKey);

impl GuardConnection for SupervisorGuard {
    fn challenge(&self) -> io::Result<Box<dyn ChallengeConnection>> {
        let challenge = self.0.challenge().map_err(io::Error::other)?;
        Ok(Box::new(SupervisorChallenge(challenge)))
    }
}

struct SupervisorChallenge(Challenge);

impl ChallengeConnection for SupervisorChallenge {
    fn request(&self) -> Vec<u8> {
        self.0.request()
    }

    fn verify(&self, received: &[u8]) -> Option<bool> {
        self.0.verify(received)
    }
}
