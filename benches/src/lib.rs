//! What the benches share: histories to measure on.

use std::io;
use std::path::{Path, PathBuf};

use bridge_testkit::history::HistoryPlan;
use tempfile::TempDir;

/// A history to measure on: given, or generated and gone afterwards.
#[derive(Debug)]
pub struct BenchHistory {
    folder: PathBuf,
    _generated: Option<TempDir>,
}

impl BenchHistory {
    /// The history that the environment variable `BRIDGE_HISTORY` names, else a generated one of about so
    /// many megabytes (10^6 bytes).
    ///
    /// # Errors
    /// The generated history cannot be written.
    pub fn given_or_generated(megabytes: u64) -> io::Result<Self> {
        match std::env::var_os("BRIDGE_HISTORY") {
            Some(folder) => Ok(Self { folder: folder.into(), _generated: None }),
            None => Self::generated(megabytes),
        }
    }

    /// A generated history of about so many megabytes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn generated(megabytes: u64) -> io::Result<Self> {
        let generated = tempfile::tempdir()?;
        let mut bytes = 0;
        // A plan makes some hundred files, as large as the history is to be.
        let responses_per_session = usize::try_from(megabytes).unwrap_or(usize::MAX).clamp(5, 300);
        // Several plans, each in a folder of its own: a history is made in memory before it is written.
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

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All its `.jsonl` files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        files_below(&self.folder)
    }
}

/// All `.jsonl` files below this folder.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect()
}

/// Whether this is a measurement (`cargo bench`, without `-- --test`); otherwise the bench only shows that it runs.
#[must_use]
pub fn is_measurement() -> bool {
    // `cargo bench` always says `--bench`; `cargo bench -- --test` says both.
    let says = |what: &str| std::env::args().any(|argument| argument == what);
    says("--bench") && !says("--test")
}
