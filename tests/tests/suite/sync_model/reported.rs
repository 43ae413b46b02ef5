//! A synchronization that does only what is reported to it.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::time::Duration;

use bridge::live::{ChangeSink, ChangeSource, LiveOptions};
use bridge::{BridgeError, EnhancedTokenDatabaseBridge, SyncResult, SyncTask};
use tokio::sync::mpsc;

const NEVER: Duration = Duration::from_hours(10);

/// Hands out where to report changes.
#[derive(Debug)]
struct Reports(blocking::Sender<ChangeSink>);

impl ChangeSource for Reports {
    fn watch(&mut self, _: &[PathBuf], changes: &ChangeSink) -> io::Result<()> {
        self.0.send(changes.clone()).map_err(io::Error::other)
    }
}

/// A running `keep_in_sync`.
pub(crate) struct ReportedSync {
    _task: SyncTask,
    sink: ChangeSink,
    outcomes: mpsc::UnboundedReceiver<Result<Vec<SyncResult>, BridgeError>>,
}

impl ReportedSync {
    /// Starts it, and returns the results of its search of all transcripts, with which it begins.
    pub(crate) async fn start(bridge: &EnhancedTokenDatabaseBridge) -> (Self, Vec<SyncResult>) {
        let (sinks, sink) = blocking::channel();
        let options = LiveOptions::polling(NEVER)
            .with_search_interval(NEVER)
            .with_quiet_time(Duration::ZERO, Duration::ZERO)
            .with_source(Reports(sinks));
        let (sender, mut outcomes) = mpsc::unbounded_channel();
        let task = bridge.keep_in_sync(options, move |outcome| drop(sender.send(outcome)));
        let results = outcomes.recv().await.unwrap().unwrap();
        (Self { _task: task, sink: sink.try_recv().unwrap(), outcomes }, results)
    }

    /// Reports these paths, and returns the results of their synchronization.
    pub(crate) async fn report(&mut self, changed: &[PathBuf]) -> Vec<SyncResult> {
        changed.iter().for_each(|path| self.sink.changed(path));
        self.outcomes.recv().await.unwrap().unwrap()
    }
}
