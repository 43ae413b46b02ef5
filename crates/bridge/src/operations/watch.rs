//! Keeps the store in sync while the program runs.

use std::sync::Arc;
use std::time::Duration;

use bridge_core::{BridgeError, SyncResult};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::ingest::Ingest;
use crate::operations::lifetime::Membership;
use crate::operations::survive::survive;
use crate::operations::sync::{Failures, sync_changed};
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::observer::Observer;
use crate::telemetry::operation::Operation;
use crate::telemetry::run::OperationRunner;

/// Synchronizes until it is stopped or dropped, or the bridge is shut down.
#[derive(Debug)]
#[must_use = "dropped it ends after the running synchronization"]
pub struct SyncTask {
    /// Ends the task when something is sent, or when it is dropped.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl SyncTask {
    /// Waits for the running synchronization, and starts no other.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// Synchronizations of the whole store, as operations.
#[derive(Debug, Clone)]
pub(crate) struct Synchronizer {
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) runner: OperationRunner,
    /// Maximum number of files that are read at once.
    pub(crate) parallel: usize,
}

impl Synchronizer {
    /// Synchronizes now and at each interval, in a task of its own.
    pub(crate) fn spawn(
        self,
        membership: Membership,
        interval: Duration,
        mut observer: impl FnMut(Result<Vec<SyncResult>, BridgeError>) + Send + 'static,
    ) -> SyncTask {
        let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
        // After a synchronization that took longer than the interval, the next starts at the next tick.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (stop, mut stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut failures = Failures::new();
            loop {
                tokio::select! {
                    biased;
                    _ = &mut stopped => return,
                    () = membership.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                let outcome = self.synchronize(&mut failures).await;
                self.ingest.telemetry.notify(Observer::Sync, || observer(outcome));
            }
        });
        SyncTask { stop, task }
    }

    /// Synchronizes once. A panic in the embedder's code is an error like any other.
    async fn synchronize(&self, failures: &mut Failures) -> Result<Vec<SyncResult>, BridgeError> {
        let (syncing, mut reported) = (self.clone(), std::mem::take(failures));
        let survived = survive("synchronization", async move {
            let Self { ingest, runner, parallel } = &syncing;
            let work = sync_changed(ingest, &mut reported, *parallel);
            let outcome = runner.run(Operation::SyncAllSessions, None, work).await;
            (outcome, reported)
        });
        let Some((outcome, reported)) = survived.await else {
            self.ingest.telemetry.error_rate.record(Outcome::Failure);
            return Err(BridgeError::panicked("the synchronization"));
        };
        *failures = reported;
        outcome
    }
}
