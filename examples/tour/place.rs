//! Where the tour takes place: transcripts that may be written to, and an engine with its data.

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

use crate::promises::Promises;
use crate::show;
use bridge_examples::interruption::blocking;

/// So long the engine may take to write everything down.
pub(crate) const CLOSING: Duration = Duration::from_secs(30);

/// The database that the tour stores into.
const DATABASE: &str = "tour";

/// Everything lies in one folder that is removed at the end, after the engine was closed.
pub(crate) struct Place {
    pub(crate) engine: RunningEngine,
    pub(crate) folder: Arc<TempDir>,
}

impl Place {
    /// Copies the transcripts, starts the engine and makes the tables.
    pub(crate) async fn prepared(
        source: Option<&Path>,
        promises: &mut Promises,
    ) -> Result<Self, Box<dyn Error>> {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
        let folder = Arc::new(tempfile::tempdir()?);
        copy(source.unwrap_or(&sample), &folder.path().join("transcripts"))?;

        promises.step("A ClickHouse without a server", "Engine::start_with, TokenStore::migrate");
        let watch = Stopwatch::start();
        let engine = start(&folder).await?;
        let place = Self { engine, folder };
        let bridge = place.bridge()?;
        bridge.token_store().migrate().await?;
        show::line("embedded ClickHouse", ENGINE_VERSION);
        show::line("started, tables made", show::time(watch.elapsed()));
        let stored = bridge.token_store().totals(&Default::default()).await?;
        promises.equal("the store begins empty", stored.responses, 0);
        Ok(place)
    }

    /// A bridge to the tour's database and transcripts.
    pub(crate) fn bridge(&self) -> Result<EnhancedTokenDatabaseBridge, Box<dyn Error>> {
        self.bridge_of("this-host", &self.transcripts(), DATABASE)
    }

    /// The bridge of another host, or to another database.
    pub(crate) fn bridge_of(
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
        // Nobody on a tour wants to wait a minute for a database that was taken away on purpose.
        let retry = RetryPolicy { max_retries: 1, budget: Duration::from_secs(2), ..RetryPolicy::default() };
        Ok(ClickHouseOptions::from_url(&endpoint.url)?
            .with_user(&endpoint.writer.user, &endpoint.writer.password)
            .with_retry(retry))
    }

    pub(crate) fn transcripts(&self) -> PathBuf {
        self.folder.path().join("transcripts")
    }

    /// A copy of all transcripts, as a second machine has it.
    pub(crate) fn copied_to(&self, name: &str) -> io::Result<PathBuf> {
        let target = self.folder.path().join(name);
        copy(&self.transcripts(), &target)?;
        Ok(target)
    }

    /// Appends to the transcript of the tour's own session.
    pub(crate) fn append(&self, text: &str) -> io::Result<()> {
        let project = self.transcripts().join("-tour");
        fs::create_dir_all(&project)?;
        let path = project.join("tour.jsonl");
        fs::File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
    }
}

/// An engine that is gone when this is: the folder with its data goes next, also where the tour is interrupted.
pub(crate) struct RunningEngine {
    engine: Option<Engine>,
    _folder: Arc<TempDir>,
}

impl RunningEngine {
    /// Ends it and waits for its end.
    pub(crate) fn close(mut self) -> Shutdown {
        self.engine.take().map_or(Shutdown::Stopped, |engine| engine.close(CLOSING))
    }

    fn endpoint(&self) -> &Endpoint {
        self.engine.as_ref().expect("it is taken only where it is closed").endpoint()
    }
}

impl Drop for RunningEngine {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            // Where it takes longer, it still leaves by itself.
            let _ = engine.close(CLOSING);
        }
    }
}

/// Starts the engine with its data in this folder.
///
/// Whoever is interrupted meanwhile drops the wait and not the start: the engine is closed by the thread that starts it,
/// and the folder goes with it.
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

/// Copies the transcripts below a folder.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", Escaped::path(from)));
    for entry in fs::read_dir(from).map_err(told)? {
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
