//! `keep_in_sync` with reported changes: scripted ones, those of the file system, and outages.

mod file_system;
mod outage;
mod polling;
mod scripted;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc as blocking};
use std::time::Duration;
use std::{fs, io};

use bridge::live::{ChangeSink, ChangeSource, LiveOptions};
use bridge::storage::{InMemoryStore, ResponseFilter, SourceFilter, TokenStore};
use bridge::{BridgeError, EnhancedTokenDatabaseBridge, SyncOptions, SyncResult, SyncTask};
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(1);
/// An interval that no test waits for.
const NEVER: Duration = Duration::from_hours(10);

type SyncOutcome = Result<Vec<SyncResult>, BridgeError>;

/// A running `keep_in_sync`, and its outcomes.
struct Live {
    task: SyncTask,
    outcomes: mpsc::UnboundedReceiver<SyncOutcome>,
}

impl Live {
    fn start(bridge: &EnhancedTokenDatabaseBridge, options: LiveOptions) -> Self {
        let (sender, outcomes) = mpsc::unbounded_channel();
        let task = bridge.keep_in_sync(options, move |outcome| drop(sender.send(outcome)));
        Self { task, outcomes }
    }

    async fn next(&mut self) -> SyncOutcome {
        timeout(DEADLINE, self.outcomes.recv()).await.expect("an outcome arrives").expect("the task runs")
    }

    /// Waits until the store answers that it holds this many output tokens.
    async fn wait_for(&mut self, bridge: &EnhancedTokenDatabaseBridge, output: u64) {
        let all = ResponseFilter::default();
        let stored = async || bridge.token_store().totals(&all).await.map(|totals| totals.counts.output).ok();
        let waiting = async {
            while stored().await != Some(output) {
                drop(self.outcomes.recv().await);
            }
        };
        let waited = timeout(DEADLINE, waiting).await;
        assert!(waited.is_ok(), "{:?} output tokens instead of {output}", stored().await);
    }
}

/// Reports what a test says.
#[derive(Debug)]
struct Scripted {
    sinks: blocking::Sender<ChangeSink>,
    failure: Option<&'static str>,
}

impl ChangeSource for Scripted {
    fn watch(&mut self, _: &[PathBuf], changes: &ChangeSink) -> io::Result<()> {
        match self.failure {
            Some(failure) => Err(io::Error::other(failure)),
            None => self.sinks.send(changes.clone()).map_err(io::Error::other),
        }
    }
}

/// Options under which nothing is searched but at the beginning, and the channel of the sink.
fn scripted() -> (LiveOptions, blocking::Receiver<ChangeSink>) {
    let (sinks, sink) = blocking::channel();
    let options = LiveOptions::polling(NEVER)
        .with_search_interval(NEVER)
        .with_quiet_time(Duration::from_millis(1), Duration::from_millis(1))
        .with_source(Scripted { sinks, failure: None });
    (options, sink)
}

fn bridge_in_memory(folder: &Path) -> EnhancedTokenDatabaseBridge {
    crate::builder(Arc::new(InMemoryStore::default()), &[folder]).build()
}

/// Checks that the store holds what a new one holds after a synchronization, and the same about each existing file.
async fn assert_equals_a_fresh_analysis(bridge: &EnhancedTokenDatabaseBridge, folder: &Path) {
    let fresh = bridge_in_memory(folder);
    drop(fresh.sync_all_sessions(SyncOptions::default()).await.unwrap());
    let (stored, expected) = (bridge.token_store(), fresh.token_store());
    let all = ResponseFilter::default();
    let of_files = async |store: &Arc<dyn TokenStore>| {
        let records = store.sources(&SourceFilter::default()).await.unwrap();
        let existing = records.into_iter().filter(|record| record.path.exists());
        existing
            .map(|record| (record.path, record.session, record.lines, record.snapshots))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_files(stored).await, of_files(expected).await);
    // What is gone or was rewritten stays counted. Lines without a time have the one of their file.
    let counted = async |store: &Arc<dyn TokenStore>| {
        let responses = store.responses(&all).await.unwrap().into_iter();
        responses.map(|response| (response.key, response.session, response.counts)).collect::<Vec<_>>()
    };
    let stored = counted(stored).await;
    for response in counted(expected).await {
        assert!(stored.contains(&response), "{response:?}");
    }
}

fn append(path: &Path, text: &str) {
    use io::Write;
    fs::File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}
