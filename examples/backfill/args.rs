//! Command-line arguments of `backfill`.

use std::path::PathBuf;
use std::process::ExitCode;

use bridge::Timestamp;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::server::Server;
use crate::usage_error;

/// Counts the tokens of AI coding sessions exactly and stores the counts in ClickHouse exactly once.
///
/// Without --source, reads the client's default transcript folders; without --url, starts the embedded ClickHouse.
/// If there are no transcripts and neither a source nor a database is given, uses the bundled sample and says so.
///
/// Exit codes: 0 success, 1 failure or partial success, 2 usage error, 130 interrupted, 143 terminated (SIGTERM).
#[derive(Parser)]
#[command(name = "backfill")]
pub(crate) struct Args {
    /// Folder of transcripts, or a single transcript; may be repeated
    #[arg(long, value_name = "DIR", value_parser = usage_error::path_parser())]
    pub(crate) source: Vec<PathBuf>,

    /// Where the embedded ClickHouse keeps its data [default: the user's data folder]
    #[arg(long, value_name = "DIR", conflicts_with = "url", value_parser = usage_error::path_parser())]
    pub(crate) data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) server: Server,

    /// Only responses at or after this time: 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "T", value_parser = time)]
    pub(crate) since: Option<Timestamp>,

    /// Only responses before this time
    #[arg(long, value_name = "T", value_parser = time)]
    pub(crate) until: Option<Timestamp>,

    /// Number of reader threads [default: one per core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,

    /// Skip the content category estimate, which requires parsing every line
    #[arg(long)]
    pub(crate) no_categories: bool,

    /// Validate every line in full, including those without usage
    #[arg(long)]
    pub(crate) strict: bool,

    /// Count tokens only, and show no money
    #[arg(long)]
    pub(crate) no_cost: bool,

    /// Analyze without storing anything or starting an engine
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the result as one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// Parses the process's arguments. Returns an exit code for help and invalid arguments.
    pub(crate) fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().and_then(Self::checked).map_err(usage_error::report)
    }

    fn checked(self) -> Result<Self, clap::Error> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            let message = "--until must be later than --since";
            return Err(Self::command().error(ErrorKind::ValueValidation, message));
        }
        Ok(self)
    }
}

/// Parses a time, or a date as its first instant in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    full.parse().map_err(|_| "expected a date like 2026-01-31 or a time like 2026-01-31T12:00:00Z".to_owned())
}
