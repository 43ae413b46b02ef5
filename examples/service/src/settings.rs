//! The settings: `service.toml`.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::failure::Failure;

/// The file of the settings, if none is named.
const DEFAULT_FILE: &str = "service.toml";

/// The settings of the service. Relative paths start at the folder of their file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The configuration of the bridge.
    pub bridge: PathBuf,
    /// Where the service listens, and who is admitted.
    pub listen: Listen,
    /// The database user for what is shown.
    pub reader: Option<Reader>,
    /// Settings of the page.
    pub page: Page,
    /// The limits of requests.
    pub limits: Limits,
    /// The absolute path of the file that they are from.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// The address of the command line, which took the place of the file's.
    #[serde(skip)]
    pub listen_argument: Option<String>,
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
    /// Name, unless an access token states it.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The file with an access token, which is read again when the token is rejected.
    pub access_token_file: Option<PathBuf>,
}

/// Settings of the page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    /// True if it shows costs beside tokens.
    pub cost: bool,
}

/// The limits of requests.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Maximum duration of a request, in seconds.
    pub request_seconds: NonZeroU64,
    /// Maximum number of requests at once.
    pub requests_max: NonZeroUsize,
    /// Maximum number of queries at once.
    pub queries_max: NonZeroUsize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bridge: "bridge_config.yaml".into(),
            listen: Listen::default(),
            reader: None,
            page: Page::default(),
            limits: Limits::default(),
            file: None,
            listen_argument: None,
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

impl Default for Page {
    fn default() -> Self {
        Self { cost: true }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const { Self::of(15, 512, 4) }
    }
}

impl Limits {
    const fn of(request_seconds: u64, requests_max: usize, queries_max: usize) -> Self {
        Self {
            request_seconds: NonZeroU64::new(request_seconds).expect("a constant that is not zero"),
            requests_max: NonZeroUsize::new(requests_max).expect("a constant that is not zero"),
            queries_max: NonZeroUsize::new(queries_max).expect("a constant that is not zero"),
        }
    }

    /// The maximum duration of a request.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_seconds.get())
    }
}

impl Settings {
    /// Reads and checks the settings. `listen` takes the place of their address.
    ///
    /// # Errors
    ///
    /// A named file that is missing; what is wrong in it, with its line; an address that others can reach, themselves
    /// or through a proxy, without a token, or without TLS or a proxy of known addresses; a reader without a user.
    pub fn load(file: Option<&Path>, listen: Option<&str>) -> Result<Self, Failure> {
        let is_named = file.is_some();
        let file = file.unwrap_or(Path::new(DEFAULT_FILE));
        let mut settings = match std::fs::read_to_string(file) {
            Ok(text) => {
                // As a text: the error's source has the same text once more, and the file.
                let settings: Self = toml::from_str(&text)
                    .map_err(|error| Failure::settings(error.to_string().trim_end()).about(file.display()))?;
                let absolute = std::path::absolute(file).map_err(Failure::settings)?;
                Self { file: Some(absolute), ..settings }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => Self::default(),
            Err(error) => return Err(Failure::settings(error).about(file.display())),
        };
        if let Some(address) = listen {
            address.clone_into(&mut settings.listen.address);
            settings.listen_argument = Some(address.to_owned());
        }
        settings.listen.check()?;
        settings.reader.as_ref().map_or(Ok(()), Reader::check)?;
        Ok(settings)
    }

    /// Makes the folder of the settings the current one, so that relative paths in the settings, and in the bridge's
    /// configuration, mean the same however the service is started.
    ///
    /// # Errors
    ///
    /// The folder cannot be entered.
    pub fn enter_folder(&self) -> Result<(), Failure> {
        let Some(folder) = self.file.as_deref().and_then(Path::parent) else { return Ok(()) };
        std::env::set_current_dir(folder).map_err(|error| Failure::settings(error).about(folder.display()))
    }
}

impl Reader {
    fn check(&self) -> Result<(), Failure> {
        if self.user.is_some() == self.access_token_file.is_some() {
            return Err(Failure::settings("set one of reader.user and reader.access_token_file"));
        }
        if self.password_file.is_some() && self.user.is_none() {
            return Err(Failure::settings("reader.password_file has no meaning with an access token"));
        }
        Ok(())
    }
}

impl Listen {
    /// True if only programs on this machine reach the address.
    fn is_local(&self) -> Result<bool, Failure> {
        let resolved = self.address.to_socket_addrs();
        let addresses: Vec<SocketAddr> = resolved
            .map_err(|error| Failure::settings(error).about(format!("listen.address {:?}", self.address)))?
            .collect();
        Ok(!addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback()))
    }

    fn check(&self) -> Result<(), Failure> {
        if self.proxy.is_none() && !self.proxy_addresses.is_empty() {
            return Err(Failure::settings(
                "listen.proxy_addresses: set listen.proxy to the proxy's host name",
            ));
        }
        let is_local = self.is_local()?;
        let open = match (&self.proxy, is_local) {
            (None, true) => return Ok(()),
            (Some(proxy), true) => {
                format!("listen.address {:?} can be reached by others through {proxy:?}", self.address)
            }
            (_, false) => format!("listen.address {:?} can be reached by others", self.address),
        };
        if self.token_file.is_none() {
            return Err(Failure::settings(format!("{open}: set listen.token_file")));
        }
        if is_local || self.tls.is_some() {
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
        let subject = format!("listen.token_file {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| Failure::settings(error).about(&subject))?;
        let token = text.trim();
        if token.len() < 16 {
            return Err(Failure::settings("a token has 16 characters or more").about(subject));
        }
        Ok(Some(token.to_owned()))
    }
}
