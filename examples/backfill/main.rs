//! Finds the transcripts, counts them, stores the counts in ClickHouse, reads them back and shows them.
//!
//! `cargo run --release --example backfill -- --help` lists the options.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod args;
mod failure;
mod place;
mod progress;
mod refusal;
mod report;
mod server;

use std::error::Error;
use std::process::ExitCode;

use bridge::analysis::AnalyzerOptions;
use bridge::core::{AnalysisFigures, Stopwatch, TimeRange};
use bridge::storage::{InMemoryStore, ResponseFilter, StoreTotals, TokenStore, UpsertOptions};
use bridge::{BackfillOptions, BackfillResult, EnhancedTokenDatabaseBridge};
use serde_json::{Value, json};

use crate::args::Args;
use crate::report::Stored;

fn main() -> ExitCode {
    let args = match Args::of_this_run() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                outcome = run(&args) => outcome,
                _ = tokio::signal::ctrl_c() => Err("interrupted; what was stored is right, a second run completes it".into()),
            }
        })
    });
    let code = match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failure::tell(&*error),
    };
    args.server.warn_of_visible_password();
    code
}

/// Whether the whole job was done.
async fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let sources = place::sources(args);
    let target = if args.dry_run { None } else { Some(place::target(args, sources.sample)?) };
    // The engine is up, fetched if it had to be; from here on it is the job that takes time.
    let watch = Stopwatch::start();
    if let Some(target) = &target {
        target.store.migrate().await?;
    }
    let memory = || std::sync::Arc::new(InMemoryStore::default()) as std::sync::Arc<dyn TokenStore>;
    let store = target.as_ref().map_or_else(memory, |target| std::sync::Arc::clone(&target.store));
    let mut analyzer = AnalyzerOptions::default();
    analyzer.threads = args.threads;
    analyzer.strict = args.strict;
    analyzer.categories = !args.no_categories;
    let bridge = EnhancedTokenDatabaseBridge::builder(std::sync::Arc::clone(&store))
        .sources(&sources.roots)
        .analyzer(analyzer)
        .build();

    let bar = progress::bar();
    let options = BackfillOptions {
        start_date: args.since,
        end_date: args.until,
        progress: Some(progress::callback(&bar)),
        ..BackfillOptions::default()
    };
    let done = match &target {
        Some(_) => Done::from(bridge.backfill_historical_data(options).await?),
        None => analyze_only(&bridge, options, &store, args).await?,
    };
    bar.finish_and_clear();

    if !args.json {
        eprint!("{}", report::damage(&done.figures));
    }
    for error in &done.errors {
        eprintln!("error: {error}");
    }
    if done.figures.files == 0 && done.errors.is_empty() {
        eprintln!("No transcripts (*.jsonl) below {}.", place::listed(&sources.roots));
    }
    let stored = Stored::read(&*store, &ResponseFilter::default()).await?;
    if args.json {
        println!("{}", done.json(target.is_some().then_some(&stored.totals), watch.elapsed().as_secs_f64()));
    } else {
        let place = target.as_ref().map_or("analyzed, nothing stored", |target| &target.name);
        println!("{}", report::text(&done.figures, &stored, place, watch.elapsed()));
        if let Some(new) = done.newly_stored {
            println!("{} responses were new in the database.", report::number(new));
        }
    }
    Ok(done.errors.is_empty())
}

/// What was done, stored or not.
struct Done {
    figures: AnalysisFigures,
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
    memory: &std::sync::Arc<dyn TokenStore>,
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
    Ok(Done { figures: history.figures(&range)?, newly_stored: None, errors })
}

impl Done {
    fn json(&self, stored: Option<&StoreTotals>, seconds: f64) -> Value {
        let figures = &self.figures;
        let mut object = json!({
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
