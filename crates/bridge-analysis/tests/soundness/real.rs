//! Transcripts of real sessions, their text masked, with totals by an independent count.

use std::path::PathBuf;
use std::{env, fs};

use bridge_analysis::{AnalyzerOptions, discover};
use bridge_core::TimeRange;
use bridge_testkit::reference::{Options, analyze_folder};
use serde_json::Value;

use crate::comparison::{Found, analyze, compare_totals};

fn folder(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set")).into()
}

fn figures(found: &Found) -> Vec<(&'static str, u64)> {
    let figures = found.history.summary(&TimeRange::ALL).unwrap();
    let receipt = found.history.receipt();
    vec![
        ("bad_lines", receipt.damage.bad_lines + receipt.damage.pending_lines),
        ("bad_usage", receipt.damage.bad_usage),
        ("usage_lines", receipt.assistant_lines.count),
        ("nested_lines", receipt.nested.count),
        ("naive", receipt.assistant_lines.tokens),
        ("nested_naive", receipt.nested.tokens),
        ("from_iterations", receipt.from_iterations.tokens),
        ("raised", receipt.raised.tokens),
        ("advisor_naive", receipt.advisor.tokens),
        ("apart_naive", receipt.compaction.tokens + receipt.declined.tokens + receipt.other.tokens),
        ("weak_snapshots", receipt.weak_snapshots.count),
        ("responses", figures.responses),
        ("input", figures.counts.input),
        ("output", figures.counts.output),
        ("cache_creation", figures.counts.cache_creation),
        ("cache_read", figures.counts.cache_read),
        ("total", figures.counts.total()),
    ]
}

#[test]
#[ignore = "needs the masked transcripts: BRIDGE_TRANSCRIPTS (folder) and BRIDGE_EXPECTED (expected.json)"]
fn every_folder_has_its_expected_figures() {
    let expected: Value = serde_json::from_slice(&fs::read(folder("BRIDGE_EXPECTED")).unwrap()).unwrap();
    let mut differences = Vec::new();
    for case in expected.as_array().unwrap() {
        let name = case["dir"].as_str().unwrap();
        for strict in [false, true] {
            let mut options = AnalyzerOptions::default();
            options.strict = strict;
            let found = analyze(&discover(&[folder("BRIDGE_TRANSCRIPTS").join(name)]).files, &options);
            assert!(found.history.receipt().adds_up());
            // The cheap check passes over damage in lines without usage.
            let compared = |figure: &str| strict || figure != "bad_lines";
            let wrong = figures(&found)
                .into_iter()
                // The independent count lacks this figure: it is not compared.
                .filter(|(figure, value)| {
                    compared(figure) && case[*figure].as_u64().is_some_and(|expected| expected != *value)
                });
            differences
                .extend(wrong.map(|(figure, value)| (name, strict, figure, case[figure].as_u64(), value)));
        }
    }
    assert!(differences.is_empty(), "(folder, strict, figure, expected, counted): {differences:#?}");
}

#[test]
#[ignore = "needs a generated 88-file history of 0.6 GB: BRIDGE_HISTORY (the folder with its manifest.json)"]
fn the_large_history_is_the_references() {
    let projects = folder("BRIDGE_HISTORY").join("projects");
    let mut options = AnalyzerOptions::default();
    options.strict = true;
    let found = analyze(&discover(std::slice::from_ref(&projects)).files, &options);
    compare_totals(&found, &analyze_folder(&projects, Options::default()).unwrap(), 0);
}
