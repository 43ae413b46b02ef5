//! Finds transcripts, counts their tokens, stores the counts in ClickHouse, reads them back and prints a report.
//!
//! `cargo run --release --example backfill -- --help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod args;
mod ascii_json;
mod audit_flush;
mod endpoints;
mod progress;
mod report;
mod server;
mod usage_error;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bridge::analysis::AnalyzerOptions;
use bridge::sessions::ExpiringTranscripts;
use bridge::storage::{InMemoryStore, ResponseFilter, StoreTotals, TokenStore, UpsertOptions};
use bridge::{
    AnalysisSummary, BackfillOptions, BackfillResult, EnhancedTokenDatabaseBridge, Escaped, Stopwatch,
    TimeRange,
};
use bridge_examples::interruption::Signals;
use bridge_examples::{failure, interruption};
use serde_json::{Value, json};

use crate::args::Args;
use crate::endpoints::{Sources, Target};
use crate::report::Stored;

/// The days within which the deletion of a transcript that is not stored is reported.
const EXPIRING_DAYS: u64 = 7;

fn main() -> ExitCode {
    let args = match Args::from_command_line() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error),
    };
    let outcome = runtime.block_on(run(&args));
    interruption::end(runtime, Duration::from_secs(2));
    let code = match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failure::report(&*error),
    };
    args.server.warn_of_visible_password();
    code
}

/// Runs the whole job. Returns `false` if parts of it failed.
async fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let mut signals = Signals::listen()?;
    let sources = endpoints::sources(args)?;
    let target = match args.dry_run {
        true => None,
        false => Some(signals.during(endpoints::target(args, sources.sample)).await?),
    };
    // Fetching and starting the engine does not count towards the reported duration.
    let stopwatch = Stopwatch::start();
    let memory = || Arc::new(InMemoryStore::default()) as Arc<dyn TokenStore>;
    let store = target.as_ref().map_or_else(memory, |target| Arc::clone(&target.store));
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::clone(&store))
        .sources(&sources.roots)
        .analyzer(analyzer_options(args))
        .build();
    let job =
        Job { args, sources: &sources, target: target.as_ref(), store: &store, bridge: &bridge, stopwatch };
    let outcome = signals.during(job.run()).await;
    audit_flush::flush_before_exit(&bridge).await;
    outcome
}

fn analyzer_options(args: &Args) -> AnalyzerOptions {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.threads = args.threads;
    analyzer.strict = args.strict;
    analyzer.categories = !args.no_categories;
    analyzer
}

/// Runs a backfill or a dry run, and reports its result.
struct Job<'a> {
    args: &'a Args,
    sources: &'a Sources,
    target: Option<&'a Target>,
    store: &'a Arc<dyn TokenStore>,
    bridge: &'a EnhancedTokenDatabaseBridge,
    stopwatch: Stopwatch,
}

impl Job<'_> {
    async fn run(&self) -> Result<bool, Box<dyn Error>> {
        let bar = progress::bar();
        let mut options = BackfillOptions::default().with_progress(progress::callback(&bar));
        (options.start_date, options.end_date) = (self.args.since, self.args.until);
        let outcome = match self.target {
            Some(target) => {
                target.store.migrate().await?;
                JobOutcome::from(self.bridge.backfill_historical_data(options).await?)
            }
            None => analyze_only(self.bridge, options, self.store, self.args).await?,
        };
        bar.finish_and_clear();
        self.print(&outcome).await?;
        Ok(outcome.errors.is_empty())
    }

    async fn print(&self, outcome: &JobOutcome) -> Result<(), Box<dyn Error>> {
        if !self.args.json {
            eprint!("{}", report::damage(&outcome.summary));
        }
        for error in &outcome.errors {
            eprintln!("error: {}", Escaped::text(error));
        }
        if outcome.summary.files == 0 && outcome.errors.is_empty() {
            eprintln!("No transcripts (*.jsonl) found in {}.", endpoints::join_paths(&self.sources.roots));
        }
        let costs = match self.args.no_cost {
            true => None,
            false => report::costs(&**self.store, &self.bridge.dashboard()).await?,
        };
        let stored = Stored::read(&**self.store, &ResponseFilter::default(), costs).await?;
        let expiring = self.expiring().await;
        if self.args.json {
            let totals = self.target.map(|_| &stored.totals);
            let mut object =
                outcome.json(self.sources.sample, totals, self.stopwatch.elapsed().as_secs_f64());
            let costs = stored.costs.as_ref().filter(|_| self.target.is_some());
            if let (Some(metrics), Value::Object(fields)) = (costs, &mut object) {
                fields.insert("cost".to_owned(), json!(metrics.totals.cost));
                fields.insert("priced_by".to_owned(), json!(metrics.priced_by));
            }
            if let (false, Value::Object(fields)) = (expiring.unstored.is_empty(), &mut object) {
                let expiring = json!({ "within_days": EXPIRING_DAYS, "unstored": expiring.unstored });
                fields.insert("expiring".to_owned(), expiring);
            }
            println!("{}", ascii_json::to_ascii_line(&object));
            return Ok(());
        }
        let target = self.target.map_or("dry run, nothing stored", |target| &target.name);
        let sample = if self.sources.sample { "SAMPLE DATA, not your transcripts: " } else { "" };
        println!(
            "{}",
            report::text(&outcome.summary, &stored, &format!("{sample}{target}"), self.stopwatch.elapsed())
        );
        if let Some(new) = outcome.newly_stored {
            println!("{} responses are new in the database.", report::number(new));
        }
        print!("{}", report::expiring(&expiring, EXPIRING_DAYS));
        Ok(())
    }

    /// Returns the transcripts that the client is about to delete and that this run did not store, for instance because
    /// of `--since`; none if that cannot be determined. No client deletes the sample.
    async fn expiring(&self) -> ExpiringTranscripts {
        if self.sources.sample {
            return ExpiringTranscripts::default();
        }
        let within = Duration::from_hours(24 * EXPIRING_DAYS);
        let expiring = self.bridge.sessions().expiring_transcripts(within).await;
        expiring.unwrap_or_else(|error| {
            eprintln!("warning: {}", Escaped::text(&error.to_string()));
            ExpiringTranscripts::default()
        })
    }
}

/// The result of a backfill or a dry run.
struct JobOutcome {
    summary: AnalysisSummary,
    /// `None` for a dry run.
    newly_stored: Option<u64>,
    errors: Vec<String>,
}

impl From<BackfillResult> for JobOutcome {
    fn from(result: BackfillResult) -> Self {
        Self { summary: result.analysis, newly_stored: Some(result.new_responses), errors: result.errors }
    }
}

/// Analyzes without a database. The text report sums the responses in an in-memory store.
async fn analyze_only(
    bridge: &EnhancedTokenDatabaseBridge,
    options: BackfillOptions,
    memory: &Arc<dyn TokenStore>,
    args: &Args,
) -> Result<JobOutcome, Box<dyn Error>> {
    let range = TimeRange { start: args.since, end: args.until };
    let history = bridge.analyze_historical_data(options).await?;
    if !args.json {
        let rows: Vec<_> =
            history.responses().filter(|row| range.contains(row.time)).map(|row| row.to_usage()).collect();
        memory.upsert(&rows, &UpsertOptions::default()).await?;
    }
    let errors = history.errors().iter().map(ToString::to_string).collect();
    Ok(JobOutcome { summary: history.summary(&range)?, newly_stored: None, errors })
}

impl JobOutcome {
    fn json(&self, sample: bool, stored: Option<&StoreTotals>, seconds: f64) -> Value {
        let summary = &self.summary;
        let mut object = json!({
            "sample": sample,
            "total_tokens": summary.counts.total(),
            "reported_input_tokens": summary.counts.input,
            "reported_output_tokens": summary.counts.output,
            "reported_cache_creation_tokens": summary.counts.cache_creation,
            "reported_cache_read_tokens": summary.counts.cache_read,
            "responses": summary.responses,
            "unfinished_responses": summary.unfinished_responses,
            "sessions": summary.sessions,
            "files": summary.files,
            "bytes": summary.bytes,
            "lines": summary.lines,
            "bad_lines": summary.receipt.damage.bad_lines,
            "damaged_lines": summary.damaged_lines,
            "accuracy_ratio": summary.accuracy_ratio,
            "receipt": summary.receipt,
            "seconds": seconds,
            "errors": self.errors,
        });
        if let (Some(stored), Value::Object(fields)) = (stored, &mut object) {
            fields.insert("stored_total_tokens".to_owned(), stored.counts.total().into());
            fields.insert("stored_responses".to_owned(), stored.responses.into());
            fields.insert("stored_sessions".to_owned(), stored.sessions.into());
            fields.insert("newly_stored_responses".to_owned(), self.newly_stored.into());
        }
        object
    }
}
