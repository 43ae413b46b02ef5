//! Writes the audit in the background.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::AuditTrail;
use super::redacted::is_refusal;

/// The shortest pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause while the store refuses the audit.
const REFUSED_PAUSE_MAX: Duration = Duration::from_mins(5);

/// Writes in the background until nothing is left, without keeping the bridge alive.
pub(super) struct Writer(Weak<AuditTrail>);

impl Writer {
    /// Starts a writer, unless one is running. Does nothing outside of a runtime.
    pub(super) fn ensure(trail: &Arc<AuditTrail>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let has_writer = std::mem::replace(&mut trail.state().has_writer, true);
        if !has_writer {
            let writer = Self(Arc::downgrade(trail));
            // Not under the lock: a runtime that is ending drops the writer here, and dropping it takes the lock.
            runtime.spawn(writer.run(Arc::clone(&trail.half_full), trail.options.write_within));
        }
    }

    async fn run(mut self, half_full: Arc<Notify>, write_within: Duration) {
        let mut pause = write_within;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = half_full.notified() => {}
            }
            let Some(trail) = self.0.upgrade() else { return };
            // A failure has been logged, and is retried.
            pause = match trail.flush().await {
                Ok(_) => write_within,
                Err(error) if is_refusal(&error) => {
                    (pause * 2).clamp(PAUSE_MIN, REFUSED_PAUSE_MAX.max(write_within))
                }
                Err(_) => write_within.max(PAUSE_MIN),
            };
            let mut state = trail.state();
            // Under the lock: a record that is added from now on finds that there is no writer.
            let is_spooled = trail.spool.as_ref().is_some_and(|spool| spool.size().bytes > 0);
            if state.buffer.len() == 0 && !is_spooled {
                state.has_writer = false;
                self.0 = Weak::new();
                return;
            }
        }
    }
}

impl Drop for Writer {
    /// Its runtime may have ended before it had written everything; the next record finds another.
    fn drop(&mut self) {
        if let Some(trail) = self.0.upgrade() {
            trail.state().has_writer = false;
        }
    }
}
