//! How a ClickHouse server is reached.

use std::fmt;
use std::time::Duration;

use bridge_core::{BridgeError, ConnectionKind, RetryHistory};
use url::Url;

use crate::retry::RetryPolicy;

/// How a ClickHouse server is reached and used. No form of output shows the password.
#[derive(Clone)]
pub struct ClickHouseOptions {
    pub(crate) endpoint: String,
    pub(crate) host: String,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) pool_size: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) insert_rows: usize,
    pub(crate) retry: RetryPolicy,
}

impl ClickHouseOptions {
    /// Takes `http://USER:PASSWORD@HOST:PORT/DATABASE`. User, password and database may be left out
    /// (`default`, empty, `bridge`), the port too (8123).
    ///
    /// # Errors
    ///
    /// [`ConnectionKind::InvalidUrl`] where it is no such URL. TLS is not built in yet.
    pub fn from_url(url: &str) -> Result<Self, BridgeError> {
        let invalid = |host: &str| BridgeError::Connection {
            operation: "read the URL",
            host: host.to_owned(),
            kind: ConnectionKind::InvalidUrl,
            history: RetryHistory::default(),
            source: None,
        };
        // The text itself may hold a password, so it is never quoted.
        let parsed = Url::parse(url).map_err(|_| invalid("(no URL like http://HOST:8123)"))?;
        let name = parsed.host_str().filter(|host| !host.is_empty());
        let Some(name) = name else { return Err(invalid("(no host in it)")) };
        let host = format!("{name}:{}", parsed.port().unwrap_or(8123));
        if parsed.scheme() != "http" {
            return Err(invalid(&format!("{host} (only http:// is built in)")));
        }
        let decoded = |text: &str| {
            let pair = format!("x={}", text.replace('+', "%2B"));
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            decoded.map_or_else(String::new, |(_, value)| value.into_owned())
        };
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        Ok(Self {
            endpoint: format!("http://{host}"),
            host,
            database: or(decoded(parsed.path().trim_matches('/')), "bridge"),
            user: or(decoded(parsed.username()), "default"),
            password: decoded(parsed.password().unwrap_or_default()),
            pool_size: 10,
            connect_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_secs(30),
            insert_rows: 100_000,
            retry: RetryPolicy::default(),
        })
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

    /// With so many connections at most.
    #[must_use]
    pub fn with_pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections.max(1);
        self
    }

    /// With this limit for every call.
    #[must_use]
    pub fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// With this policy of trying again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Host and port, as errors and reports show them.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Debug for ClickHouseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseOptions")
            .field("host", &self.host)
            .field("database", &self.database)
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
        for url in ["db:8123", "https://me:secret@db", "http://", "nonsense secret"] {
            let error = ClickHouseOptions::from_url(url).unwrap_err().to_string();
            assert!(error.contains("not usable") && !error.contains("secret"), "{error}");
        }
    }
}
