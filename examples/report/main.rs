//! Reports tokens by day, week, month, session, project, model or any other dimension.
//!
//! `cargo run --release --example report -- --help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod args;
#[path = "../backfill/ascii_json.rs"]
mod ascii_json;
#[path = "../backfill/audit_flush.rs"]
mod audit_flush;
mod budget;
mod column;
mod compare;
mod condition;
mod documents;
mod grouping;
mod layout;
mod notes;
mod opened;
mod rows;
#[path = "../backfill/server.rs"]
mod server;
mod table;
#[path = "../backfill/usage_error.rs"]
mod usage_error;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use bridge_examples::interruption::Signals;
use bridge_examples::{failure, interruption};
use clap::Parser;

use crate::args::{Args, Format};
use crate::opened::Opened;
use crate::rows::Report;

fn main() -> ExitCode {
    let args = match Args::try_parse().and_then(Args::checked) {
        Ok(args) => args,
        Err(error) => return usage_error::report(error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error),
    };
    let outcome = runtime.block_on(run(&args));
    interruption::end(runtime, Duration::from_secs(2));
    args.from.server.warn_of_visible_password();
    match outcome {
        Ok(code) => code,
        Err(error) => failure::report(&*error),
    }
}

async fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    // Before an engine is started for nothing.
    args.filters.time(&args.zone())?;
    let mut signals = Signals::listen()?;
    let opened = signals.during(Opened::new(&args.from)).await?;
    let outcome = signals.during(print(args, &opened)).await;
    audit_flush::flush_before_exit(&opened.bridge).await;
    outcome
}

async fn print(args: &Args, opened: &Opened) -> Result<ExitCode, Box<dyn Error>> {
    let (text, code) = match args.check_budget {
        true => budget::check(&opened.bridge, args.format() == Format::Json).await?,
        false => (report(args, opened).await?, 0),
    };
    let code = exit_code(code, opened.is_incomplete);
    match io::stdout().lock().write_all(text.as_bytes()) {
        // As in `report | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(code),
        outcome => Ok(outcome.map(|()| code)?),
    }
}

/// Returns the exit code of a report, or of the budgets' states. What could not be read makes it a failure, unless a
/// budget is exceeded even without it.
fn exit_code(code: u8, is_incomplete: bool) -> ExitCode {
    let is_failure = is_incomplete && code != budget::EXCEEDED;
    ExitCode::from(if is_failure { 1 } else { code })
}

async fn report(args: &Args, opened: &Opened) -> Result<String, Box<dyn Error>> {
    if let Some(file) = &args.compare {
        return compare::compare(opened, file, args.format()).await;
    }
    let report = Report::read(args, opened).await?;
    let format = args.format();
    if let (Format::Json | Format::Csv, Some(note)) = (format, notes::coarser(&report)) {
        eprintln!("{note}");
    }
    Ok(match format {
        Format::Table => table::text(&report, table::terminal_width()),
        Format::Json => ascii_json::to_ascii_line(&documents::json(&report)) + "\n",
        Format::Csv => documents::csv(&report),
        Format::Markdown => documents::markdown(&report),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_shows_the_report_of_the_sample() {
        let readme = include_str!("../../README.md");
        let command = "$ cargo run --release --example report -- ";
        let (_, rest) = readme.split_once(command).unwrap();
        let (arguments, output) = rest.split_once('\n').unwrap();
        let (shown, _) = output.split_once("```").unwrap();
        // Tests run in the folder of the package.
        let arguments = arguments.replace("examples/", "");
        let args = Args::parse_from(std::iter::once("report").chain(arguments.split(' ')));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let report = runtime.block_on(async {
            let mut opened = Opened::new(&args.from).await.unwrap();
            opened.name = opened.name.replace(" sample", " examples/sample");
            Report::read(&args, &opened).await.unwrap()
        });
        let text = table::text(&report, Some(100));
        assert_eq!(shown, text, "the README does not show:\n{text}");
    }

    #[test]
    fn a_report_of_a_part_fails_and_a_budget_that_a_part_exceeds_is_exceeded() {
        let is = |code: u8, is_incomplete, expected: u8| {
            assert_eq!(exit_code(code, is_incomplete), ExitCode::from(expected), "{code}");
        };
        [0, 3, 4, 5].into_iter().for_each(|code| is(code, false, code));
        [0, 3, 5].into_iter().for_each(|code| is(code, true, 1));
        is(budget::EXCEEDED, true, 4);
    }
}
