//! Access tokens, with which a store authenticates to the database or a gateway in front of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bridge_core::{BridgeError, ConnectionKind, InvalidValue};

use super::connection::locate::HookFuture;

/// A bearer token, a JWT for instance. No form of output shows it.
///
/// ```
/// use bridge_storage::AccessToken;
///
/// let token = AccessToken::new("eyJhbGciOi")?;
/// assert!(!format!("{token:?}").contains("eyJ"));
/// assert!(AccessToken::new("two words").is_err());
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Arc<str>);

impl AccessToken {
    /// Checks the token, without the word `Bearer`.
    ///
    /// # Errors
    ///
    /// It is empty, or has bytes that a header may not contain.
    pub fn new(text: &str) -> Result<Self, InvalidValue> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.into()));
        }
        Err(InvalidValue::new("access token", "have visible ASCII characters only"))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// Supplies access tokens that expire.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use bridge_storage::{AccessToken, AccessTokens, ClickHouseOptions, HookFuture};
///
/// /// Exchanges the workload's identity for a token.
/// #[derive(Debug)]
/// struct FromIssuer {
///     current: Mutex<AccessToken>,
/// }
///
/// # async fn ask_issuer() -> Result<AccessToken, bridge_core::BridgeError> { unimplemented!() }
/// impl AccessTokens for FromIssuer {
///     fn current(&self) -> AccessToken {
///         self.current.lock().unwrap().clone()
///     }
///
///     fn renew(&self) -> HookFuture<'_> {
///         Box::pin(async {
///             let token = ask_issuer().await?;
///             *self.current.lock().unwrap() = token;
///             Ok(())
///         })
///     }
/// }
///
/// let tokens = FromIssuer { current: Mutex::new(AccessToken::new("eyJhbGciOi")?) };
/// let options = ClickHouseOptions::from_url("http://db.example:8123")?.with_access_tokens(Arc::new(tokens));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait AccessTokens: fmt::Debug + Send + Sync {
    /// Returns the current token without waiting. Called before every use of a connection, so a program may renew its
    /// token ahead of time.
    fn current(&self) -> AccessToken;

    /// Gets a token in place of [`current`](Self::current), which was refused. Called by one task at a time; the
    /// refused call is repeated with the new token.
    fn renew(&self) -> HookFuture<'_>;
}

/// The credentials of a store.
#[derive(Clone)]
pub(crate) enum Credentials {
    User {
        user: String,
        password: String,
    },
    Token(AccessToken),
    Tokens(Arc<dyn AccessTokens>),
    /// Those of the embedder's own client.
    OfClient,
}

impl Credentials {
    pub(crate) fn token(&self) -> Option<AccessToken> {
        match self {
            Self::Token(token) => Some(token.clone()),
            Self::Tokens(tokens) => Some(tokens.current()),
            Self::User { .. } | Self::OfClient => None,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { user, .. } => f.debug_struct("User").field("user", user).finish_non_exhaustive(),
            Self::Token(token) => token.fmt(f),
            Self::Tokens(tokens) => tokens.fmt(f),
            Self::OfClient => f.write_str("OfClient"),
        }
    }
}

/// The token in a file that another program renews. It is read again when the token is rejected.
pub(crate) struct TokenFile {
    file: PathBuf,
    current: Mutex<AccessToken>,
}

impl TokenFile {
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        Ok(Self { current: Mutex::new(token_in(file)?), file: file.to_owned() })
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").field("file", &self.file).finish_non_exhaustive()
    }
}

impl AccessTokens for TokenFile {
    fn current(&self) -> AccessToken {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn renew(&self) -> HookFuture<'_> {
        Box::pin(async {
            let token = token_in(&self.file).map_err(|why| {
                let kind = ConnectionKind::Misconfigured;
                BridgeError::connection(kind, "renew the access token", "the database").with_source(why)
            })?;
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = token;
            Ok(())
        })
    }
}

fn token_in(file: &Path) -> Result<AccessToken, String> {
    let named = |why: &dyn fmt::Display| format!("{}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    AccessToken::new(text.trim_end()).map_err(|error| named(&error))
}
