//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use bridge::Timestamp;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::refusal;
use crate::server::Server;

/// Counts the tokens of AI coding sessions exactly and stores the counts in ClickHouse exactly once.
///
/// Without --source it takes the places where the client keeps its transcripts; without --url it starts the
/// embedded ClickHouse. Where there are none, and neither a source nor a database is named, it shows a sample, and says so.
///
/// Exit codes: 0 done, 1 failed or not all of it done, 2 not understood, 130 interrupted, 143 terminated (SIGTERM).
#[derive(Parser)]
#[command(name = "backfill")]
pub(crate) struct Args {
    /// Folder with transcripts (or one transcript); may be given several times
    #[arg(long, value_name = "DIR", value_parser = refusal::path())]
    pub(crate) source: Vec<PathBuf>,

    /// Where the embedded ClickHouse keeps its data [default: the user's data folder]
    #[arg(long, value_name = "DIR", value_parser = refusal::path())]
    pub(crate) data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) server: Server,

    /// Only responses from this time on: 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "T", value_parser = time)]
    pub(crate) since: Option<Timestamp>,

    /// Only responses before this time
    #[arg(long, value_name = "T", value_parser = time)]
    pub(crate) until: Option<Timestamp>,

    /// Threads that read [default: one for each core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,

    /// Leave out the estimate of content categories, which needs every line to be parsed
    #[arg(long)]
    pub(crate) no_categories: bool,

    /// Validate every line in full, also those without usage
    #[arg(long)]
    pub(crate) strict: bool,

    /// Analyze only: store nothing, start no engine
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print one JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// The arguments of this run, or its exit code where there is nothing to run.
    pub(crate) fn of_this_run() -> Result<Self, ExitCode> {
        Self::try_parse().and_then(Self::checked).map_err(refusal::refuse)
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

/// A time, or a date as its first instant in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    full.parse()
        .map_err(|_| "a date like 2026-01-31 or a time like 2026-01-31T12:00:00Z is needed".to_owned())
}
