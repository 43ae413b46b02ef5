//! A generated history and a data folder, gone after the test with the engine on it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bridge_core::Stopwatch;
use bridge_testkit::history::{GeneratedHistory, HistoryPlan};
use serde_json::Value;
use tempfile::TempDir;

use bridge_tests::program::{Finished, Run, backfill};

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    pub(crate) history: GeneratedHistory,
    folder: TempDir,
}

impl Place {
    /// A history of this seed; several projects of several sessions each.
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(HistoryPlan { seed, projects: 3, ..HistoryPlan::default() })
    }

    pub(crate) fn of(plan: HistoryPlan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let history = plan.generate();
        history.write_below(&folder.path().join("projects")).unwrap();
        Self { history, folder }
    }

    /// The folders of its projects, in order.
    pub(crate) fn projects(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("projects")).unwrap();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        folders
    }

    /// A data folder of this name.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A run over the whole history into the data folder of this name.
    pub(crate) fn run_into(&self, data: &str) -> Run {
        self.run_of(&[self.folder.path().join("projects")], data)
    }

    /// A run over these folders.
    pub(crate) fn run_of(&self, sources: &[PathBuf], data: &str) -> Run {
        let mut run = backfill(["--json"]).arg("--data-dir").arg(self.data(data));
        for source in sources {
            run = run.arg("--source").arg(source);
        }
        run
    }

    /// Asserts that the run did its job and the database holds exactly the history. Answers how much was new.
    pub(crate) fn assert_exact(&self, finished: &Finished) -> u64 {
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let figures = finished.json();
        let truth = &self.history.truth;
        let expect = [
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
        for (name, value) in expect {
            assert_eq!(figures[name], value, "{name}");
        }
        number(&figures, "newly_stored_responses")
    }

    /// Waits until the engine on the data folder has left.
    pub(crate) fn wait_for_leave(&self, data: &str) {
        let watch = Stopwatch::start();
        while self.data(data).join("endpoint.json").exists() {
            assert!(watch.elapsed() < LIMIT, "the engine does not leave");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn number(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or_else(|| panic!("{name}: {figures}"))
}
