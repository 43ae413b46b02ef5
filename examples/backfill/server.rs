//! The ClickHouse server that a program is given on its command line.

use std::error::Error;
use std::path::PathBuf;

use bridge::storage::ClickHouseOptions;

use crate::refusal;

/// The variable that holds the password: the one of the bridge's configuration.
const PASSWORD: &str = "ETB_CLICKHOUSE_PASSWORD";

/// A server in place of the embedded engine. It has no `Debug`, because the URL may hold a password.
#[derive(clap::Args)]
pub(crate) struct Server {
    /// A ClickHouse server instead: http://USER@HOST:8123/DATABASE. A password in it shows in the process list: give it
    /// with --password-file or in the variable ETB_CLICKHOUSE_PASSWORD
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    pub(crate) url: Option<String>,

    /// A file with the password for --url
    #[arg(long, value_name = "FILE", requires = "url", value_parser = refusal::path())]
    password_file: Option<PathBuf>,
}

impl Server {
    /// How to connect to the server, where one was given. The password is the file's, else the URL's, else the
    /// variable's.
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
                Err(format!("the variable {PASSWORD} is not UTF-8").into())
            }
        }
    }

    /// Warns of a password that other users of the machine can see.
    pub(crate) fn warn_of_visible_password(&self) {
        let url = self.url.as_deref().unwrap_or_default();
        if ClickHouseOptions::from_url(url).is_ok_and(|options| options.has_password()) {
            eprintln!(
                "note: a password in --url shows in the process list; give it with --password-file or in {PASSWORD}"
            );
        }
    }
}
