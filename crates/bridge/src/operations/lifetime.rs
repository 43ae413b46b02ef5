//! The background tasks of a bridge, which end together.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Ends the background tasks of a bridge: synchronizations, monitors, its own health checks.
#[derive(Debug)]
pub(crate) struct Lifetime {
    /// The embedder's: cancels all tasks, also those to come.
    outer: CancellationToken,
    tasks: Mutex<Tasks>,
}

/// The tasks since the last [`end`](Lifetime::end).
#[derive(Debug)]
struct Tasks {
    token: CancellationToken,
    /// Cloned by each task. Nothing is sent.
    alive: mpsc::Sender<Infallible>,
    ended: mpsc::Receiver<Infallible>,
}

impl Tasks {
    fn new(outer: &CancellationToken) -> Self {
        let (alive, ended) = mpsc::channel(1);
        Self { token: outer.child_token(), alive, ended }
    }
}

impl Lifetime {
    pub(crate) fn new(outer: CancellationToken) -> Self {
        let tasks = Mutex::new(Tasks::new(&outer));
        Self { outer, tasks }
    }

    /// Returns the membership of a new task.
    pub(crate) fn join(&self) -> Membership {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        Membership { token: tasks.token.clone(), _alive: tasks.alive.clone() }
    }

    /// Cancels all tasks and waits for their end. Tasks that begin later are not affected.
    pub(crate) async fn end(&self) {
        let new = Tasks::new(&self.outer);
        let old = std::mem::replace(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner), new);
        let Tasks { token, alive, mut ended } = old;
        token.cancel();
        drop(alive);
        // Returns `None` when the last task has dropped its sender.
        let _ = ended.recv().await;
    }
}

/// A task's membership, held until the task ends.
#[derive(Debug)]
pub(crate) struct Membership {
    token: CancellationToken,
    _alive: mpsc::Sender<Infallible>,
}

impl Membership {
    /// Returns when the task is to end.
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Runs the work until it ends or is cancelled.
    pub(crate) async fn run(self, work: impl Future<Output = ()>) {
        let _ = self.token.run_until_cancelled(work).await;
    }
}
