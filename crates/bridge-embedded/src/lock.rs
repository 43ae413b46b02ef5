//! File locks with a deadline.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use bridge_core::Stopwatch;

use crate::EngineError;

const POLL: Duration = Duration::from_millis(5);

/// Deadline shared by the steps of an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    watch: Stopwatch,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self { watch: Stopwatch::start(), limit }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.elapsed())
    }

    /// Sleeps briefly; returns false when the time is up.
    pub(crate) fn pause(&self) -> bool {
        let left = self.left();
        std::thread::sleep(POLL.min(left));
        !left.is_zero()
    }
}

/// Takes an exclusive lock.
pub(crate) fn exclusive(file: &File, path: &Path, deadline: &Deadline) -> Result<(), EngineError> {
    wait(path, deadline, || file.try_lock())
}

/// Takes a shared lock.
pub(crate) fn shared(file: &File, path: &Path, deadline: &Deadline) -> Result<(), EngineError> {
    wait(path, deadline, || file.try_lock_shared())
}

fn wait(
    path: &Path,
    deadline: &Deadline,
    attempt: impl Fn() -> Result<(), TryLockError>,
) -> Result<(), EngineError> {
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(EngineError::io("lock", path)(error)),
            Err(TryLockError::WouldBlock) if deadline.pause() => {}
            Err(TryLockError::WouldBlock) => {
                return Err(EngineError::Busy { path: path.to_owned(), waited: deadline.limit() });
            }
        }
    }
}
