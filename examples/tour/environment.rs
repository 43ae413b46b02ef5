//! The tour's environment: a writable copy of the transcripts, and an engine with its data.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bridge::analysis::AnalyzerOptions;
use bridge::embedded::{ENGINE_VERSION, Endpoint, Engine, EngineOptions, Shutdown};
use bridge::storage::{ClickHouseOptions, ClickHouseStore, RetryPolicy};
use bridge::{EnhancedTokenDatabaseBridge, Escaped, HostName, Stopwatch};
use tempfile::TempDir;

use crate::print;
use crate::promises::Promises;
use bridge_examples::interruption::blocking;

/// Maximum time for the engine to flush its data and stop.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// Database that the tour writes to.
const DATABASE: &str = "tour";

/// Holds everything in one temporary folder, which is removed after the engine has stopped.
pub(crate) struct TourEnvironment {
    pub(crate) engine: RunningEngine,
    pub(crate) folder: Arc<TempDir>,
}

impl TourEnvironment {
    /// Copies the transcripts, starts the engine and creates the tables.
    pub(crate) async fn prepare(
        source: Option<&Path>,
        promises: &mut Promises,
    ) -> Result<Self, Box<dyn Error>> {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
        let folder = Arc::new(tempfile::tempdir()?);
        copy(source.unwrap_or(&sample), &folder.path().join("transcripts"))?;

        promises.step("ClickHouse without a server", "Engine::start_with, TokenStore::migrate");
        let stopwatch = Stopwatch::start();
        let engine = start(&folder).await?;
        let environment = Self { engine, folder };
        let bridge = environment.bridge()?;
        bridge.token_store().migrate().await?;
        print::line("embedded ClickHouse", ENGINE_VERSION);
        print::line("started, tables created", print::time(stopwatch.elapsed()));
        let stored = bridge.token_store().totals(&Default::default()).await?;
        promises.check_equal("the store is empty at first", stored.responses, 0);
        Ok(environment)
    }

    /// Returns a bridge to the tour's database and transcripts.
    pub(crate) fn bridge(&self) -> Result<EnhancedTokenDatabaseBridge, Box<dyn Error>> {
        self.bridge_for("this-host", &self.transcripts(), DATABASE)
    }

    /// Returns a bridge for this host, transcript folder and database.
    pub(crate) fn bridge_for(
        &self,
        host: &str,
        transcripts: &Path,
        database: &str,
    ) -> Result<EnhancedTokenDatabaseBridge, Box<dyn Error>> {
        let mut analyzer = AnalyzerOptions::default();
        analyzer.host = Some(HostName::new(host)?);
        let store = ClickHouseStore::new(self.options()?.with_database(database))?;
        Ok(EnhancedTokenDatabaseBridge::builder(Arc::new(store))
            .sources([transcripts])
            .analyzer(analyzer)
            .build())
    }

    fn options(&self) -> Result<ClickHouseOptions, Box<dyn Error>> {
        let endpoint = self.engine.endpoint();
        // The tour stops the database on purpose, and must not wait a minute for retries.
        let retry = RetryPolicy { max_retries: 1, budget: Duration::from_secs(2), ..RetryPolicy::default() };
        Ok(ClickHouseOptions::from_url(&endpoint.url)?
            .with_user(&endpoint.writer.user, &endpoint.writer.password)
            .with_retry(retry))
    }

    pub(crate) fn transcripts(&self) -> PathBuf {
        self.folder.path().join("transcripts")
    }

    /// Copies all transcripts to a new folder, as those of a second machine.
    pub(crate) fn copy_transcripts_to(&self, name: &str) -> io::Result<PathBuf> {
        let target = self.folder.path().join(name);
        copy(&self.transcripts(), &target)?;
        Ok(target)
    }

    /// Appends text to the transcript of the tour's own session.
    pub(crate) fn append(&self, text: &str) -> io::Result<()> {
        let project = self.transcripts().join("-tour");
        fs::create_dir_all(&project)?;
        let path = project.join("tour.jsonl");
        fs::File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
    }
}

/// Stops its engine on drop, before the folder with the data is removed, also when the tour is interrupted.
pub(crate) struct RunningEngine {
    engine: Option<Engine>,
    _folder: Arc<TempDir>,
}

impl RunningEngine {
    /// Stops the engine and waits until it has exited.
    pub(crate) fn close(mut self) -> Shutdown {
        self.engine.take().map_or(Shutdown::Stopped, |engine| engine.close(SHUTDOWN_TIMEOUT))
    }

    fn endpoint(&self) -> &Endpoint {
        self.engine.as_ref().expect("only `close` and `drop` take the engine").endpoint()
    }
}

impl Drop for RunningEngine {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            // An engine that needs more time still stops on its own.
            let _ = engine.close(SHUTDOWN_TIMEOUT);
        }
    }
}

/// Starts the engine with its data in this folder.
///
/// An interruption cancels the wait, not the start: the starting thread then stops the engine, and the folder is
/// removed afterwards.
pub(crate) async fn start(folder: &Arc<TempDir>) -> Result<RunningEngine, Box<dyn Error>> {
    let folder = Arc::clone(folder);
    blocking(move || {
        let options = EngineOptions::at(folder.path().join("data"));
        let engine =
            Engine::start_with(&options, |event| eprintln!("{}", Escaped::text(&event.to_string())))?;
        Ok(RunningEngine { engine: Some(engine), _folder: folder })
    })
    .await
}

/// Copies the transcripts in a folder and its subfolders.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let with_path =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", Escaped::path(from)));
    for entry in fs::read_dir(from).map_err(with_path)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
