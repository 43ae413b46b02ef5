//! Command-line options for connecting to a ClickHouse server.

use std::error::Error;
use std::path::PathBuf;

use bridge::storage::ClickHouseOptions;

use crate::usage_error;

/// Environment variable with the password, the same one that overrides the bridge's configuration.
const PASSWORD: &str = "ETB_CLICKHOUSE_PASSWORD";

/// A server in place of the embedded engine. It has no `Debug`, because the URL may hold a password.
#[derive(clap::Args)]
pub(crate) struct Server {
    /// ClickHouse server to use instead: http://USER@HOST:8123/DATABASE. A password in the URL is visible in the
    /// process list; pass it with --password-file or in ETB_CLICKHOUSE_PASSWORD
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// File that contains the password for --url
    #[arg(long, value_name = "FILE", requires = "url", value_parser = usage_error::path_parser())]
    password_file: Option<PathBuf>,
}

impl Server {
    /// Returns the connection options, or `None` without a URL. The password comes from the file, the URL or the
    /// environment, in this order.
    pub(crate) fn options(&self) -> Result<Option<ClickHouseOptions>, Box<dyn Error>> {
        let Some(url) = &self.url else { return Ok(None) };
        let options = ClickHouseOptions::from_url(url)?;
        if let Some(file) = &self.password_file {
            return Ok(Some(options.with_password_file(file)?));
        }
        if options.has_password() {
            return Ok(Some(options));
        }
        match std::env::var(PASSWORD) {
            Ok(password) => Ok(Some(options.with_password(&password))),
            Err(std::env::VarError::NotPresent) => Ok(Some(options)),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(format!("environment variable {PASSWORD} is not valid UTF-8").into())
            }
        }
    }

    /// Warns about a password that other users of the machine can see.
    pub(crate) fn warn_of_visible_password(&self) {
        let url = self.url.as_deref().unwrap_or_default();
        if ClickHouseOptions::from_url(url).is_ok_and(|options| options.has_password()) {
            eprintln!(
                "note: a password in --url is visible in the process list; pass it with --password-file or in {PASSWORD}"
            );
        }
    }
}
