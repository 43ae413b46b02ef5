//! Finds the transcripts, counts them, stores the counts in ClickHouse, reads them back and shows them.
//!
//! `cargo run --release --example backfill -- --help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod args;
mod farewell;
mod json_text;
mod place;
mod progress;
mod refusal;
mod report;
mod server;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bridge::analysis::AnalyzerOptions;
use bridge::storage::{InMemoryStore, ResponseFilter, StoreTotals, TokenStore, UpsertOptions};
use bridge::{
    AnalysisSummary, BackfillOptions, BackfillResult, EnhancedTokenDatabaseBridge, Escaped, Stopwatch,
    TimeRange,
};
use bridge_examples::interruption::Signals;
use bridge_examples::{failure, interruption};
use serde_json::{Value, json};

use crate::args::Args;
use crate::place::{Sources, Target};
use crate::report::Stored;

fn main() -> ExitCode {
    let args = match Args::of_this_run() {
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

/// Runs the whole job; returns whether all of it was done.
async fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let mut signals = Signals::listen()?;
    let sources = place::sources(args)?;
    let target = match args.dry_run {
        true => None,
        false => Some(signals.during(place::target(args, sources.sample)).await?),
    };
    // The engine is up, fetched if it had to be; from here on it is the job that takes time.
    let watch = Stopwatch::start();
    let memory = || Arc::new(InMemoryStore::default()) as Arc<dyn TokenStore>;
    let store = target.as_ref().map_or_else(memory, |target| Arc::clone(&target.store));
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::clone(&store))
        .sources(&sources.roots)
        .analyzer(analyzer_options(args))
        .build();
    let job = Job { args, sources: &sources, target: target.as_ref(), store: &store, bridge: &bridge, watch };
    let outcome = signals.during(job.run()).await;
    farewell::say_goodbye(&bridge).await;
    outcome
}

fn analyzer_options(args: &Args) -> AnalyzerOptions {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.threads = args.threads;
    analyzer.strict = args.strict;
    analyzer.categories = !args.no_categories;
    analyzer
}

/// A backfill or an analysis, and what is shown of it.
struct Job<'a> {
    args: &'a Args,
    sources: &'a Sources,
    target: Option<&'a Target>,
    store: &'a Arc<dyn TokenStore>,
    bridge: &'a EnhancedTokenDatabaseBridge,
    watch: Stopwatch,
}

impl Job<'_> {
    async fn run(&self) -> Result<bool, Box<dyn Error>> {
        let bar = progress::bar();
        let mut options = BackfillOptions::default().with_progress(progress::callback(&bar));
        (options.start_date, options.end_date) = (self.args.since, self.args.until);
        let done = match self.target {
            Some(target) => {
                target.store.migrate().await?;
                Done::from(self.bridge.backfill_historical_data(options).await?)
            }
            None => analyze_only(self.bridge, options, self.store, self.args).await?,
        };
        bar.finish_and_clear();
        self.show(&done).await?;
        Ok(done.errors.is_empty())
    }

    async fn show(&self, done: &Done) -> Result<(), Box<dyn Error>> {
        if !self.args.json {
            eprint!("{}", report::damage(&done.figures));
        }
        for error in &done.errors {
            eprintln!("error: {}", Escaped::text(error));
        }
        if done.figures.files == 0 && done.errors.is_empty() {
            eprintln!("No transcripts (*.jsonl) below {}.", place::listed(&self.sources.roots));
        }
        let stored = Stored::read(&**self.store, &ResponseFilter::default()).await?;
        if self.args.json {
            let totals = self.target.map(|_| &stored.totals);
            let object = done.json(self.sources.sample, totals, self.watch.elapsed().as_secs_f64());
            println!("{}", json_text::ascii(&object));
            return Ok(());
        }
        let place = self.target.map_or("analyzed, nothing stored", |target| &target.name);
        let sample = if self.sources.sample { "SAMPLE, none of your transcripts: " } else { "" };
        println!(
            "{}",
            report::text(&done.figures, &stored, &format!("{sample}{place}"), self.watch.elapsed())
        );
        if let Some(new) = done.newly_stored {
            println!("{} responses were new in the database.", report::number(new));
        }
        Ok(())
    }
}

/// What was done, stored or not.
struct Done {
    figures: AnalysisSummary,
    newly_stored: Option<u64>,
    errors: Vec<String>,
}

impl From<BackfillResult> for Done {
    fn from(result: BackfillResult) -> Self {
        Self { figures: result.analysis, newly_stored: Some(result.new_responses), errors: result.errors }
    }
}

/// Analyzes; for a report the responses are summed in memory.
async fn analyze_only(
    bridge: &EnhancedTokenDatabaseBridge,
    options: BackfillOptions,
    memory: &Arc<dyn TokenStore>,
    args: &Args,
) -> Result<Done, Box<dyn Error>> {
    let range = TimeRange { start: args.since, end: args.until };
    let history = bridge.analyze_historical_data(options).await?;
    if !args.json {
        let rows: Vec<_> =
            history.responses().filter(|row| range.contains(row.time)).map(|row| row.to_usage()).collect();
        memory.upsert(&rows, &UpsertOptions::default()).await?;
    }
    let errors = history.errors().iter().map(ToString::to_string).collect();
    Ok(Done { figures: history.summary(&range)?, newly_stored: None, errors })
}

impl Done {
    fn json(&self, sample: bool, stored: Option<&StoreTotals>, seconds: f64) -> Value {
        let figures = &self.figures;
        let mut object = json!({
            "sample": sample,
            "total_tokens": figures.counts.total(),
            "reported_input_tokens": figures.counts.input,
            "reported_output_tokens": figures.counts.output,
            "reported_cache_creation_tokens": figures.counts.cache_creation,
            "reported_cache_read_tokens": figures.counts.cache_read,
            "responses": figures.responses,
            "unfinished_responses": figures.unfinished_responses,
            "sessions": figures.sessions,
            "files": figures.files,
            "bytes": figures.bytes,
            "lines": figures.lines,
            "bad_lines": figures.receipt.damage.bad_lines,
            "damaged_lines": figures.damaged_lines,
            "accuracy_ratio": figures.accuracy_ratio,
            "receipt": figures.receipt,
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
