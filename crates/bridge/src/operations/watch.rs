//! Keeping the store in sync while the program runs.

use std::time::Duration;

use bridge_core::{BridgeError, SyncResult};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::EnhancedTokenDatabaseBridge;
use crate::operations::background::survive;
use crate::operations::sync::Failures;
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::observer::Observer;

/// Synchronizes until it is stopped or dropped.
#[derive(Debug)]
#[must_use = "dropped it ends after the running synchronization"]
pub struct SyncTask {
    /// Dropped, it ends the task as well as when something is sent.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl SyncTask {
    /// Lets a running synchronization come to its end; begins none after it.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

impl EnhancedTokenDatabaseBridge {
    /// Brings the store up to date now, and again each `interval`, in a task of its own. Tells the observer of each
    /// time: the sessions that changed, or failed otherwise than the time before, or why it could not be done; then the
    /// next time tries again.
    ///
    /// A panic, of the observer or of the synchronization itself, ends nothing: the first shows in the metrics and the
    /// health check, the second is told the observer as an error; the next time tries again.
    ///
    /// Where nothing changed, a synchronization costs a look at each file and reads none.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, io::Write, sync::Arc, time::Duration};
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # use tokio::sync::mpsc;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("s.jsonl");
    /// # let line = |id, output| format!(r#"{{"type":"assistant","sessionId":"s","message":{{"id":"msg_0{id}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(&path, line(1, 40))?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let (tell, mut told) = mpsc::unbounded_channel();
    /// let syncing = bridge.keep_in_sync(Duration::from_millis(20), move |outcome| {
    ///     for session in outcome.unwrap_or_default() {
    ///         let _ = tell.send((session.tokens_before, session.tokens_after));
    ///     }
    /// });
    /// assert_eq!(told.recv().await, Some((0, 40)));
    ///
    /// // The session goes on.
    /// fs::File::options().append(true).open(&path)?.write_all(line(2, 2).as_bytes())?;
    /// assert_eq!(told.recv().await, Some((40, 42)));
    /// syncing.stop().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// It is not called within a Tokio runtime with timers.
    pub fn keep_in_sync(
        &self,
        interval: Duration,
        mut observer: impl FnMut(Result<Vec<SyncResult>, BridgeError>) + Send + 'static,
    ) -> SyncTask {
        let bridge = self.clone();
        let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
        // Where one takes longer than the interval, the next has the interval's rest.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (stop, mut stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut failures = Failures::new();
            loop {
                tokio::select! {
                    biased;
                    _ = &mut stopped => return,
                    _ = ticks.tick() => {}
                }
                let outcome = round(&bridge, &mut failures).await;
                bridge.notify(Observer::Sync, || observer(outcome));
            }
        });
        SyncTask { stop, task }
    }
}

/// One synchronization. Where it panics, whatever code of the embedder's did, it is an error like others.
async fn round(
    bridge: &EnhancedTokenDatabaseBridge,
    failures: &mut Failures,
) -> Result<Vec<SyncResult>, BridgeError> {
    let (syncing, mut told) = (bridge.clone(), std::mem::take(failures));
    let survived = survive("synchronization", async move {
        let outcome = syncing.sync_changed_sessions(&mut told).await;
        (outcome, told)
    });
    match survived.await {
        Some((outcome, told)) => {
            *failures = told;
            outcome
        }
        None => {
            bridge.count(Outcome::Failure);
            Err(BridgeError::panicked("the synchronization"))
        }
    }
}
