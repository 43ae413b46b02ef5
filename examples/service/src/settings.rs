//! The settings: `service.toml`.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::start::Failure;

/// The file of the settings, if none is named.
const DEFAULT_FILE: &str = "service.toml";

/// The settings of the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The configuration of the bridge.
    pub bridge: PathBuf,
    /// Where the service listens, and who is admitted.
    pub listen: Listen,
    /// The database user for what is shown.
    pub reader: Option<Reader>,
    /// The limits of requests.
    pub limits: Limits,
    /// The file that they are from.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// Where the service listens, and who is admitted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Address and port.
    pub address: String,
    /// Further host names under which the service is asked.
    pub names: Vec<String>,
    /// The file with the token that requests must bear.
    pub token_file: Option<PathBuf>,
    /// The certificate of the service.
    pub tls: Option<Tls>,
    /// The host name of a proxy that ends TLS in front of the service.
    pub proxy: Option<String>,
    /// The addresses that the proxy connects from. Others than these and this machine are refused.
    pub proxy_addresses: Vec<Network>,
}

/// A network (`10.1.0.0/24`), or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl Network {
    /// Returns whether the address is in the network, an IPv4 address also in the form that it has in IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network
            .map(Self)
            .map_err(|_| format!("{text:?} is neither an address nor a network such as 10.1.0.0/24"))
    }
}

/// A certificate chain and its key, in PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, followed by those that signed it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A database user who may only read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// Name.
    pub user: String,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
}

/// The limits of requests.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Maximum duration of a request, in seconds.
    pub request_seconds: u64,
    /// Maximum number of requests at once.
    pub requests_max: usize,
    /// Maximum number of queries at once.
    pub queries_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bridge: "bridge_config.yaml".into(),
            listen: Listen::default(),
            reader: None,
            limits: Limits::default(),
            file: None,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8080".to_owned(),
            names: Vec::new(),
            token_file: None,
            tls: None,
            proxy: None,
            proxy_addresses: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_seconds: 15, requests_max: 512, queries_max: 4 }
    }
}

impl Limits {
    /// The maximum duration of a request.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_seconds.max(1))
    }
}

impl Settings {
    /// Reads and checks the settings. `listen` takes the place of their address.
    ///
    /// # Errors
    ///
    /// A named file that is missing; what is wrong in it, with its line; an address that is open to others without a
    /// token, or without TLS or a proxy of known addresses.
    pub fn load(file: Option<&Path>, listen: Option<&str>) -> Result<Self, Failure> {
        let is_named = file.is_some();
        let file = file.unwrap_or(Path::new(DEFAULT_FILE));
        let mut settings = match std::fs::read_to_string(file) {
            Ok(text) => {
                let settings: Self = toml::from_str(&text).map_err(|error| {
                    Failure::settings(format!("{}: {}", file.display(), error.to_string().trim_end()))
                })?;
                Self { file: Some(file.to_owned()), ..settings }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => Self::default(),
            Err(error) => return Err(Failure::settings(format!("{}: {error}", file.display()))),
        };
        if let Some(address) = listen {
            address.clone_into(&mut settings.listen.address);
        }
        settings.listen.check()?;
        Ok(settings)
    }
}

impl Listen {
    /// True if only programs on this machine reach the address.
    fn is_local(&self) -> Result<bool, Failure> {
        let resolved = self.address.to_socket_addrs();
        let addresses: Vec<SocketAddr> = resolved
            .map_err(|error| Failure::settings(format!("listen.address {:?}: {error}", self.address)))?
            .collect();
        Ok(!addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback()))
    }

    fn check(&self) -> Result<(), Failure> {
        if self.proxy.is_none() && !self.proxy_addresses.is_empty() {
            return Err(Failure::settings(
                "listen.proxy_addresses: set listen.proxy to the proxy's host name",
            ));
        }
        if self.is_local()? {
            return Ok(());
        }
        let open = format!("listen.address {:?} can be reached by others", self.address);
        if self.token_file.is_none() {
            return Err(Failure::settings(format!("{open}: set listen.token_file")));
        }
        if self.tls.is_some() {
            return Ok(());
        }
        if self.proxy.is_none() {
            return Err(Failure::settings(format!(
                "{open}: set listen.tls, or listen.proxy to the host name of the proxy that ends TLS"
            )));
        }
        if self.proxy_addresses.is_empty() {
            return Err(Failure::settings(format!(
                "{open} without the proxy: set listen.proxy_addresses to the addresses that it connects from"
            )));
        }
        Ok(())
    }

    /// Reads the token, if requests must bear one.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds fewer than 16 characters.
    pub fn token(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::settings(format!("listen.token_file {}: {error}", file.display())))?;
        let token = text.trim();
        if token.len() < 16 {
            return Err(Failure::settings(format!(
                "listen.token_file {}: a token has 16 characters or more",
                file.display()
            )));
        }
        Ok(Some(token.to_owned()))
    }
}
