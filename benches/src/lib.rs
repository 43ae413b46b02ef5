//! Histories for the benches.

use std::io;
use std::path::{Path, PathBuf};

use bridge_testkit::history::HistoryPlan;
use tempfile::TempDir;

/// A history to measure: the user's, or a generated one that is removed on drop.
#[derive(Debug)]
pub struct BenchHistory {
    folder: PathBuf,
    _generated: Option<TempDir>,
}

impl BenchHistory {
    /// Returns the history in the folder `BRIDGE_HISTORY`, or generates one of about this many megabytes (10^6 bytes).
    ///
    /// # Errors
    /// Fails if the generated history cannot be written.
    pub fn from_env_or_generated(megabytes: u64) -> io::Result<Self> {
        match std::env::var_os("BRIDGE_HISTORY") {
            Some(folder) => Ok(Self { folder: folder.into(), _generated: None }),
            None => Self::generated(megabytes),
        }
    }

    /// Generates a history of about this many megabytes.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn generated(megabytes: u64) -> io::Result<Self> {
        let generated = tempfile::tempdir()?;
        let mut bytes = 0;
        // A plan has about a hundred files; larger histories have larger files, not more of them.
        let responses_per_session = usize::try_from(megabytes).unwrap_or(usize::MAX).clamp(5, 300);
        // Uses several plans, each with its own folder, because a plan is generated in memory.
        let mut seeds = 1..;
        while bytes < megabytes * 1_000_000 {
            let seed = seeds.next().unwrap_or_default();
            let plan =
                HistoryPlan { seed, responses_per_session, text_bytes: 1800, ..HistoryPlan::default() };
            let history = plan.generate();
            history.write_below(&generated.path().join(seed.to_string()).join("projects"))?;
            bytes += history.truth.bytes;
        }
        Ok(Self { folder: generated.path().to_owned(), _generated: Some(generated) })
    }

    /// Returns the folder that contains the history.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns all `.jsonl` files of the history.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        files_below(&self.folder)
    }
}

/// Returns all `.jsonl` files in this folder and its subfolders.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect()
}

/// Returns `true` for a measurement (`cargo bench`), `false` in test mode, which only shows that a bench works.
#[must_use]
pub fn is_measurement() -> bool {
    // `cargo bench` always passes `--bench`, and `cargo bench -- --test` passes both.
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    has("--bench") && !has("--test")
}
