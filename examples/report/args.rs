//! Command-line arguments of `report`.

use std::path::PathBuf;

use bridge::{Dimension, TimeRange, TimeZone, Timestamp};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};

use crate::condition::Condition;
use crate::grouping::Grouping;
use crate::server::Server;
use crate::usage_error;

/// Reports tokens by day, week, month, five-hour block, session, project, model or any other dimension.
///
/// Reads a store (--config, --url or --data-dir), or transcripts directly (--source), which stores nothing. Without
/// any of them, reads the data of `backfill` if there is some, else the client's own transcripts.
///
/// Exit codes: 0 success, 1 failure or transcripts that could not be read, 2 usage error, 3 to 5 see --check-budget,
/// 130 interrupted, 143 terminated (SIGTERM).
#[derive(Parser)]
#[command(name = "report")]
pub(crate) struct Args {
    /// hour, day, week or month; block or seven-day, the windows in which clients limit usage; or a dimension: session,
    /// project, branch, model, developer, host, skill, …
    #[arg(default_value = "day", value_name = "BY")]
    pub(crate) by: Grouping,

    #[command(flatten)]
    pub(crate) from: ReportSource,

    #[command(flatten)]
    pub(crate) filters: Filters,

    /// Time zone of days, weeks and months, and of dates in --since and --until [default: the machine's]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<TimeZone>,

    /// Number of rows; all others are summed in one more row. Days and other time steps are always listed
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,

    /// Hide the cost
    #[arg(long)]
    pub(crate) no_cost: bool,

    /// Use the price list with this digest instead of the active one. The JSON of a report has its digest
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["no_cost", "source"])]
    pub(crate) prices: Option<String>,

    /// Order of sessions, projects, models and so on
    #[arg(long, value_name = "ORDER", default_value = "tokens")]
    pub(crate) order: Order,

    /// Print the state of the configured budgets instead. Exit codes: 0 all within limits, 3 warning, 4 exceeded,
    /// 5 unknown, because the store has no prices, or too many tokens have none
    #[arg(long, requires = "config", conflicts_with_all = OPTIONS_OF_ROWS)]
    pub(crate) check_budget: bool,

    /// JSON output of `ccusage claude daily --json` or `tokscale --json` for the same transcripts: print the difference
    /// by model and by cause instead
    #[arg(long, value_name = "FILE", requires = "source", value_parser = usage_error::path_parser(),
        conflicts_with = "check_budget", conflicts_with_all = OPTIONS_OF_ROWS)]
    pub(crate) compare: Option<PathBuf>,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// The options of a report with rows, which the other reports do not have.
const OPTIONS_OF_ROWS: [&str; 14] = [
    "by",
    "since",
    "until",
    "project",
    "model",
    "host",
    "branch",
    "session",
    "conditions",
    "timezone",
    "limit",
    "order",
    "no_cost",
    "prices",
];

impl Args {
    /// Returns the arguments.
    ///
    /// # Errors
    ///
    /// Values that do not go together.
    pub(crate) fn checked(self) -> Result<Self, clap::Error> {
        let is_table = matches!(self.format(), Format::Csv | Format::Markdown);
        if self.check_budget && is_table {
            let message = "--check-budget prints a table or JSON";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        Ok(self)
    }

    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    pub(crate) fn zone(&self) -> TimeZone {
        self.timezone.clone().unwrap_or_else(TimeZone::system)
    }
}

/// The source of the report. It has no `Debug`, because a URL may hold a password.
#[derive(clap::Args)]
pub(crate) struct ReportSource {
    /// Configuration file of the bridge whose store is read
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "data_dir"], value_parser = usage_error::path_parser())]
    pub(crate) config: Option<PathBuf>,

    /// Data folder of the embedded ClickHouse
    #[arg(long, value_name = "DIR", conflicts_with = "url", value_parser = usage_error::path_parser())]
    pub(crate) data_dir: Option<PathBuf>,

    /// Transcripts to analyze instead of a store: a folder or a file; may be repeated. Uses the settings in --config, if
    /// given
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "data_dir"], value_parser = usage_error::path_parser())]
    pub(crate) source: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) server: Server,
}

/// The responses that are counted.
#[derive(clap::Args)]
pub(crate) struct Filters {
    /// Only responses at or after this time: 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "T")]
    since: Option<String>,

    /// Only responses before this time; for a date, before its first instant
    #[arg(long, value_name = "T")]
    until: Option<String>,

    /// Only this project, by its full name; may be repeated, like the options below
    #[arg(long, value_name = "NAME")]
    project: Vec<String>,

    /// Only this model
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,

    /// Only this host
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,

    /// Only this branch
    #[arg(long, value_name = "NAME")]
    branch: Vec<String>,

    /// Only this session
    #[arg(long, value_name = "ID")]
    session: Vec<String>,

    /// DIMENSION=VALUE, or DIMENSION!=VALUE: only responses with this value, or without it; may be repeated
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<Condition>,
}

impl Filters {
    /// Returns the time range. A date is one of this zone.
    pub(crate) fn time(&self, zone: &TimeZone) -> Result<TimeRange, String> {
        let time = |option: &str, text: &Option<String>| match text.as_deref() {
            Some(text) => instant(text, zone).map(Some).map_err(|why| format!("{option}: {why}")),
            None => Ok(None),
        };
        let range = TimeRange { start: time("--since", &self.since)?, end: time("--until", &self.until)? };
        match (range.start, range.end) {
            (Some(since), Some(until)) if since >= until => {
                Err("--until must be later than --since".to_owned())
            }
            _ => Ok(range),
        }
    }

    /// Returns all conditions.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let short = [
            (Dimension::Project, &self.project),
            (Dimension::Model, &self.model),
            (Dimension::Host, &self.host),
            (Dimension::Branch, &self.branch),
            (Dimension::Session, &self.session),
        ];
        let short = short.into_iter().flat_map(|(dimension, values)| {
            values.iter().map(move |value| Condition::equal(dimension.clone(), value))
        });
        short.chain(self.conditions.iter().cloned()).collect()
    }
}

fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let time = if text.len() == 10 { zone.start_of(text).ok() } else { text.parse().ok() };
    time.ok_or_else(|| "expected a date like 2026-01-31 or a time like 2026-01-31T12:00:00Z".to_owned())
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Fits the width of the terminal
    Table,
    /// One JSON object
    Json,
    /// RFC 4180, with a header
    Csv,
    /// A GitHub Markdown table
    Markdown,
}

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Most tokens first
    Tokens,
    /// Highest cost first
    Cost,
    /// Latest response first
    Time,
    /// By name
    Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: &[&str]) -> Option<ErrorKind> {
        let all = ["report"].iter().chain(arguments);
        Args::try_parse_from(all).and_then(Args::checked).err().map(|error| error.kind())
    }

    #[test]
    fn no_option_is_ignored() {
        let budget = ["--config", "c.yaml", "--check-budget"];
        let compare = ["--source", "folder", "--compare", "figures.json"];
        assert_eq!((error(&budget), error(&compare)), (None, None));
        for options in [
            ["--since", "2026-01-01"],
            ["--until", "2026-01-01"],
            ["--project", "p"],
            ["--model", "m"],
            ["--host", "h"],
            ["--branch", "b"],
            ["--session", "s"],
            ["--where", "team=a"],
            ["--timezone", "UTC"],
            ["--limit", "5"],
            ["--order", "cost"],
            ["--prices", "digest"],
        ] {
            let with = |command: &[&'static str]| error(&[command, &options].concat());
            let conflict = Some(ErrorKind::ArgumentConflict);
            assert_eq!((with(&budget), with(&compare)), (conflict, conflict), "{options:?}");
        }
        let conflict = Some(ErrorKind::ArgumentConflict);
        for format in ["csv", "markdown"] {
            assert_eq!(error(&[&budget[..], &["--format", format]].concat()), conflict);
            assert_eq!(error(&[&compare[..], &["--format", format]].concat()), None);
        }
        assert_eq!(error(&[&budget[..], &["--no-cost"]].concat()), conflict);
        assert_eq!(error(&[&budget[..], &["month"]].concat()), conflict);
        assert_eq!(error(&[&budget[..], &["--json"]].concat()), None);
        assert_eq!(error(&["--no-cost", "--prices", "digest"]), conflict);
    }
}
