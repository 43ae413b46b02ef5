//! Keeps the store in sync while the program runs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bridge_core::{BridgeError, SyncResult};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::ingest::Ingest;
use crate::live::{ChangeSink, Changes, LiveOptions, LiveProgress, LiveStatus, Watching, Work};
use crate::operations::lifetime::Membership;
use crate::operations::schedule::{Noticing, Schedule};
use crate::operations::survive::survive;
use crate::operations::sync::{Remembered, sync_changed};
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::observer::Observer;
use crate::telemetry::operation::Operation;
use crate::telemetry::run::OperationRunner;

/// Synchronizes until it is stopped or dropped, or the bridge is shut down.
#[derive(Debug)]
#[must_use = "dropping it stops synchronization after the current run"]
pub struct SyncTask {
    /// Ends the task when something is sent, or when it is dropped.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    status: LiveProgress,
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

    /// Returns how changes are noticed, and how many synchronizations there were.
    #[must_use]
    pub fn status(&self) -> LiveStatus {
        self.status.get()
    }

    /// Returns a cloneable handle to the [status](Self::status).
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{sync::Arc, time::Duration};
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// use bridge::live::Watching;
    ///
    /// let syncing = bridge.keep_in_sync(Duration::from_secs(5), |_| {});
    /// let progress = syncing.progress();
    /// syncing.stop().await;
    /// assert_eq!((progress.get().watching, progress.get().failures), (Watching::Polling, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn progress(&self) -> LiveProgress {
        self.status.clone()
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
    /// Synchronizes now, and whenever something changes, in a task of its own.
    pub(crate) fn spawn(
        self,
        membership: Membership,
        options: LiveOptions,
        mut observer: impl FnMut(Result<Vec<SyncResult>, BridgeError>) + Send + 'static,
    ) -> SyncTask {
        let (stop, mut stopped) = oneshot::channel::<()>();
        let status = LiveProgress::default();
        let mut live = LiveSync::new(self, options, status.clone());
        let task = tokio::spawn(async move {
            loop {
                let work = tokio::select! {
                    biased;
                    _ = &mut stopped => return,
                    () = membership.cancelled() => return,
                    work = live.next_work() => work,
                };
                let outcome = live.perform(work).await;
                live.synchronizer.ingest.telemetry.notify(Observer::Sync, || observer(outcome));
            }
        });
        SyncTask { stop, task, status }
    }

    /// Synchronizes once. A panic in the embedder's code is an error like any other.
    async fn synchronize(
        &self,
        changed: Option<Arc<BTreeSet<PathBuf>>>,
        remembered: &mut Remembered,
    ) -> Result<Vec<SyncResult>, BridgeError> {
        let (syncing, mut memory) = (self.clone(), std::mem::take(remembered));
        let survived = survive("synchronization", async move {
            let Self { ingest, runner, parallel } = &syncing;
            let work = sync_changed(ingest, changed, &mut memory, *parallel);
            let outcome = runner.run(Operation::SyncAllSessions, None, work).await;
            (outcome, memory)
        });
        let Some((outcome, memory)) = survived.await else {
            self.ingest.telemetry.error_rate.record(Outcome::Failure);
            return Err(BridgeError::panicked("the synchronization"));
        };
        *remembered = memory;
        outcome
    }
}

/// A new folder is searched again after this time: files that were written before it was watched have no events.
const FOLDER_SETTLES: Duration = Duration::from_secs(1);

/// The state of `keep_in_sync`.
#[derive(Debug)]
struct LiveSync {
    synchronizer: Synchronizer,
    options: LiveOptions,
    changes: Arc<Changes>,
    status: LiveProgress,
    remembered: Remembered,
    schedule: Schedule,
    /// New folders, and when they are searched again.
    settling: Option<(Instant, BTreeSet<PathBuf>)>,
    /// Folders that are searched again now.
    settled: BTreeSet<PathBuf>,
}

impl LiveSync {
    fn new(synchronizer: Synchronizer, options: LiveOptions, status: LiveProgress) -> Self {
        Self {
            schedule: Schedule::new(&options, Instant::now()),
            synchronizer,
            options,
            changes: Arc::default(),
            status,
            remembered: Remembered::default(),
            settling: None,
            settled: BTreeSet::new(),
        }
    }

    /// Waits for something to synchronize. May be dropped at any time: nothing is lost.
    async fn next_work(&mut self) -> Work {
        loop {
            self.note_failed_source();
            if self.schedule.is_search_due(Instant::now()) {
                return Work::All;
            }
            if self.polls_recent() && self.schedule.is_poll_due(Instant::now()) {
                if self.watches_again().await {
                    return Work::All;
                }
                self.poll().await;
            }
            match self.changes.waiting() {
                Some(0) => self.wait_for_change().await,
                waiting => {
                    let earliest = self.schedule.earliest_work(waiting.is_none());
                    tokio::time::sleep_until(earliest.min(self.schedule.next_search())).await;
                    self.wait_for_quiet().await;
                    if Instant::now() >= earliest
                        && let Some(work) = self.changes.take()
                    {
                        return work;
                    }
                }
            }
        }
    }

    /// Returns whether recent files are polled, in place of searches of all.
    fn polls_recent(&self) -> bool {
        self.remembered.recent.is_some()
    }

    /// Tries to watch again when it is time to. What happened before has no events, so all is searched after that.
    async fn watches_again(&mut self) -> bool {
        if self.options.source.is_none() || !self.schedule.is_watch_due(Instant::now()) {
            return false;
        }
        self.watch().await;
        self.status.get().watching == Watching::Events
    }

    /// Polls the recent files.
    async fn poll(&mut self) {
        let Some(mut recent) = self.remembered.recent.take() else { return };
        let (began, now) = (Instant::now(), self.synchronizer.ingest.clock.now());
        let polling = tokio::task::spawn_blocking(move || {
            let changed = recent.changed_since_last_poll(now);
            (recent, changed)
        });
        let Ok((recent, changed)) = polling.await else {
            return self.schedule.after_failed_poll(Instant::now());
        };
        self.remembered.recent = Some(recent);
        self.changes.put_back(Work::Paths(changed.into_iter().collect()));
        self.schedule.after_poll(Instant::now(), began.elapsed());
    }

    async fn wait_for_change(&mut self) {
        let settles = self.settling.as_ref().map(|(settles, _)| *settles);
        let poll = self.polls_recent().then_some(self.schedule.next_poll());
        let timer = [settles, poll].into_iter().flatten().fold(self.schedule.next_search(), Instant::min);
        tokio::select! {
            () = self.changes.added() => {}
            () = tokio::time::sleep_until(timer) => {}
        }
        if settles.is_some_and(|settles| settles <= Instant::now())
            && let Some((_, folders)) = self.settling.take()
        {
            self.settled.clone_from(&folders);
            self.changes.put_back(Work::Paths(folders));
        }
    }

    /// Waits until nothing changes for a while.
    async fn wait_for_quiet(&mut self) {
        let limit = Instant::now() + self.options.quiet_time_max;
        while Instant::now() < limit {
            let quiet = limit.min(Instant::now() + self.options.quiet_time);
            tokio::select! {
                () = self.changes.added() => {}
                () = tokio::time::sleep_until(quiet) => return,
            }
        }
    }

    fn note_failed_source(&mut self) {
        if let Some(reason) = self.changes.take_failure() {
            self.poll_instead(reason);
        }
    }

    fn poll_instead(&mut self, reason: String) {
        self.schedule.after_lost_events(Instant::now(), self.polls_recent());
        let is_news = |status: &LiveStatus| status.watching != Watching::PollingInstead(reason.clone());
        if is_news(&self.status.get()) {
            let interval = self.options.poll_interval;
            tracing::warn!(reason, ?interval, "cannot watch transcripts, polling instead");
        }
        self.status.update(|status| status.watching = Watching::PollingInstead(reason));
    }

    async fn perform(&mut self, work: Work) -> Result<Vec<SyncResult>, BridgeError> {
        let began = Instant::now();
        let outcome = match &work {
            Work::All => {
                self.watch().await;
                // The search finds them.
                drop(self.changes.take());
                self.remembered.is_polling = self.status.get().watching != Watching::Events;
                self.synchronizer.synchronize(None, &mut self.remembered).await
            }
            Work::Paths(paths) => {
                let paths = Arc::new(paths.clone());
                self.synchronizer.synchronize(Some(paths), &mut self.remembered).await
            }
        };
        self.status.update(|status| {
            match work {
                Work::All => status.searches += 1,
                Work::Paths(_) => status.updates += 1,
            }
            status.failures = if outcome.is_ok() { 0 } else { status.failures + 1 };
        });
        let found = outcome.as_ref().ok().map(|sessions| !sessions.is_empty());
        self.plan_next(work, began, found);
        outcome
    }

    /// Lets the source watch the roots, and the places where others may appear.
    async fn watch(&mut self) {
        if !self.schedule.is_watch_due(Instant::now()) {
            return;
        }
        let Some(mut source) = self.options.source.take() else { return };
        let roots = self.synchronizer.ingest.watched_roots();
        let sink = ChangeSink(Arc::clone(&self.changes));
        let watching = tokio::task::spawn_blocking(move || {
            let watching = source.watch(&roots, &sink);
            (source, watching)
        });
        match watching.await {
            Ok((source, Ok(()))) => {
                self.options.source = Some(source);
                if self.status.get().watching != Watching::Events {
                    tracing::info!("watching transcripts");
                }
                self.status.update(|status| status.watching = Watching::Events);
            }
            Ok((source, Err(error))) => {
                self.options.source = Some(source);
                self.poll_instead(error.to_string());
            }
            Err(_) => self.poll_instead("the source of changes panicked".to_owned()),
        }
    }

    /// Plans what is next. `found_changes` is `None` after a failure.
    fn plan_next(&mut self, work: Work, began: Instant, found_changes: Option<bool>) {
        let (now, failures) = (Instant::now(), self.status.get().failures);
        match (work, found_changes) {
            (Work::All, None) => self.schedule.after_failed_search(now, failures),
            (Work::All, Some(found)) => {
                let noticing = match self.status.get().watching {
                    Watching::Events => Noticing::Events,
                    _ if self.polls_recent() => Noticing::Polls,
                    _ => Noticing::Searches,
                };
                self.schedule.after_search(now, now - began, found, noticing);
            }
            (Work::Paths(paths), Some(_)) => {
                self.settle_new_folders(paths, now);
                self.schedule.after_update(now, now - began);
            }
            (work @ Work::Paths(_), None) => {
                self.changes.put_back(work);
                self.schedule.after_failed_update(now, failures);
            }
        }
    }

    /// Has the folders among these paths searched again, unless they have just been.
    fn settle_new_folders(&mut self, paths: BTreeSet<PathBuf>, now: Instant) {
        let settled = std::mem::take(&mut self.settled);
        let is_folder = |path: &PathBuf| path.extension().is_none_or(|name| name != "jsonl");
        let new = paths.into_iter().filter(|path| is_folder(path) && !settled.contains(path));
        let mut folders: BTreeSet<_> = new.collect();
        if !folders.is_empty() {
            folders.extend(self.settling.take().into_iter().flat_map(|(_, folders)| folders));
            self.settling = Some((now + FOLDER_SETTLES, folders));
        }
    }
}
