//! Prints for each attribution column how many responses of some transcripts have it, and the oldest client among them.
//!
//! ```sh
//! cargo run --release -p bridge-analysis --example attribution -- FOLDER
//! ```
//!
//! The table in `docs/attribution.md` is its output.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use bridge_analysis::{AnalysisProgress, AnalyzerOptions, History, analyze_files, discover};
use bridge_core::{Escaped, ResponseUsage};

/// The responses that have a column.
#[derive(Default)]
struct Column {
    responses: u64,
    /// The oldest client that wrote one: its version as numbers, and as text.
    oldest: Option<(Vec<u64>, String)>,
}

impl Column {
    fn add(&mut self, row: &ResponseUsage) {
        self.responses += 1;
        if let Some(version) = &row.attribution.client_version {
            let numbers = version.as_str().split('.').map(|part| part.parse().unwrap_or_default()).collect();
            let found = (numbers, version.to_string());
            if self.oldest.as_ref().is_none_or(|oldest| found < *oldest) {
                self.oldest = Some(found);
            }
        }
    }
}

fn columns(row: &ResponseUsage) -> impl Iterator<Item = (&'static str, bool)> {
    let others = [
        ("thinking_tokens", row.thinking_tokens.is_some()),
        ("web_search_requests", row.web_search_requests.is_some()),
        ("web_fetch_requests", row.web_fetch_requests.is_some()),
        ("service_tier", row.service_tier.is_some()),
        ("agent", row.agent.is_some()),
        ("request_id", row.request_id.is_some()),
    ];
    row.attribution.values().map(|(name, value)| (name, value.is_some())).chain(others)
}

fn main() -> io::Result<ExitCode> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        writeln!(io::stderr(), "usage: attribution FOLDER…")?;
        return Ok(ExitCode::from(2));
    }
    let mut history = History::default();
    let files = discover(&folders).files;
    analyze_files(&files, &AnalyzerOptions::default(), &AnalysisProgress::default(), &mut history, |_| ());
    let mut found: BTreeMap<&str, Column> = BTreeMap::new();
    for row in history.responses().map(|response| response.to_usage()) {
        for (name, is_set) in columns(&row) {
            let column = found.entry(name).or_default();
            if is_set {
                column.add(&row);
            }
        }
    }
    let responses = history.responses().len();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{responses} responses\n\n| column | responses | share | oldest client |\n|---|---|---|---|"
    )?;
    for (name, column) in found {
        let share = 100.0 * column.responses as f64 / responses.max(1) as f64;
        let oldest = column.oldest.map_or_else(|| "–".to_owned(), |(_, version)| version);
        writeln!(out, "| `{name}` | {} | {share:.1} % | {} |", column.responses, Escaped::text(&oldest))?;
    }
    Ok(ExitCode::SUCCESS)
}
