//! A generated history and data folders, removed after the test.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bridge_core::Stopwatch;
use bridge_testkit::history::{GeneratedHistory, HistoryPlan};
use serde_json::Value;
use tempfile::TempDir;

use bridge_tests::program::{Finished, Run, backfill};

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct TestRun {
    pub(crate) history: GeneratedHistory,
    folder: TempDir,
}

impl TestRun {
    /// Generates a history from this seed, with several projects and sessions.
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(HistoryPlan { seed, projects: 3, ..HistoryPlan::default() })
    }

    pub(crate) fn of(plan: HistoryPlan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let history = plan.generate();
        history.write_below(&folder.path().join("projects")).unwrap();
        Self { history, folder }
    }

    /// Returns the folders of the history's projects, in order.
    pub(crate) fn projects(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("projects")).unwrap();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        folders
    }

    /// Returns the path of a data folder.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Prepares a run over the whole history into this data folder.
    pub(crate) fn run_into(&self, data: &str) -> Run {
        self.run_of(&[self.folder.path().join("projects")], data)
    }

    /// Prepares a run over these folders into this data folder.
    pub(crate) fn run_of(&self, sources: &[PathBuf], data: &str) -> Run {
        let mut run = backfill(["--json"]).arg("--data-dir").arg(self.data(data));
        for source in sources {
            run = run.arg("--source").arg(source);
        }
        run
    }

    /// Asserts that the run succeeded and that the database contains exactly the history. Returns the number of newly
    /// stored responses.
    pub(crate) fn assert_exact(&self, finished: &Finished) -> u64 {
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let json = finished.json();
        let truth = &self.history.truth;
        let expected = [
            ("total_tokens", truth.total()),
            ("reported_input_tokens", truth.counters.input),
            ("reported_output_tokens", truth.counters.output),
            ("reported_cache_creation_tokens", truth.counters.cache_creation),
            ("reported_cache_read_tokens", truth.counters.cache_read),
            ("responses", truth.responses),
            ("bad_lines", truth.bad_lines),
            ("stored_total_tokens", truth.total()),
            ("stored_responses", truth.responses),
        ];
        for (name, value) in expected {
            assert_eq!(json[name], value, "{name}");
        }
        number(&json, "newly_stored_responses")
    }

    /// Waits until the engine on this data folder has exited.
    pub(crate) fn wait_for_engine_exit(&self, data: &str) {
        let stopwatch = Stopwatch::start();
        while self.data(data).join("endpoint.json").exists() {
            assert!(stopwatch.elapsed() < LIMIT, "the engine does not exit");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn number(json: &Value, name: &str) -> u64 {
    json[name].as_u64().unwrap_or_else(|| panic!("{name}: {json}"))
}
