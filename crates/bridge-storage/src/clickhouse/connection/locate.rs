//! Databases that do not stay at one address, and the proof that one found there is the right one.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bridge_core::BridgeError;

/// Locates a database that may come back at another address with another password, such as the embedded engine.
pub trait Locate: fmt::Debug + Send + Sync {
    /// Returns the last known address.
    fn current(&self) -> Arc<Location>;

    /// Finds the database again, after starting it if it is not running. Called when it could not be reached at
    /// [`current`](Self::current), which returns the new address from then on.
    fn locate(&self) -> HookFuture<'_>;
}

/// A future of a connection hook: of [`Locate::locate`] or [`AccessTokens::renew`](crate::AccessTokens::renew).
pub type HookFuture<'a> = Pin<Box<dyn Future<Output = Result<(), BridgeError>> + Send + 'a>>;

/// The address of a database, and the credentials for it.
#[derive(Clone)]
pub struct Location {
    /// `http://HOST:PORT`.
    pub url: String,
    /// The user.
    pub user: String,
    /// The user's password. No form of output shows it.
    pub password: String,
    /// Checks every new connection before a password is sent on it.
    pub guard: Option<Arc<dyn GuardConnection>>,
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

/// Makes the other side of a new connection prove that it is the database.
pub trait GuardConnection: Send + Sync {
    /// Returns a challenge for one connection.
    ///
    /// # Errors
    ///
    /// No challenge can be created.
    fn challenge(&self) -> io::Result<Box<dyn ChallengeConnection>>;
}

/// The challenge of one connection.
pub trait ChallengeConnection: Send + Sync {
    /// Returns the first bytes of the connection.
    fn request(&self) -> Vec<u8>;

    /// Judges what was received; `None` while more must come. A connection that passes is at the start of a
    /// request.
    fn verify(&self, received: &[u8]) -> Option<bool>;
}
