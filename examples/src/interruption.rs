//! Ending on a signal: what runs is dropped, what it leaves to do is done, and the exit code says why.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;

/// The program was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// By Ctrl-C.
    Interrupt,
    /// By SIGTERM: a service manager, a shutdown, `kill`.
    Terminate,
}

impl Interrupted {
    /// Returns the exit code that a shell shows for the signal: 128 and its number.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        })
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted; what was done is right, and a second run completes it",
            Self::Terminate => "terminated; what was done is right, and a second run completes it",
        })
    }
}

impl Error for Interrupted {}

/// The signals that end the program; heard from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Listens; it has to happen within a runtime.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> Interrupted {
        tokio::select! {
            _ = self.terminate.recv() => Interrupted::Terminate,
            _ = self.interrupt.recv() => Interrupted::Interrupt,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Interrupted {
        // Without a handler there is no signal to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Interrupted::Interrupt
    }

    /// Runs the work to its end, or drops it when a signal comes.
    pub async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T, Box<dyn Error>>>,
    ) -> Result<T, Box<dyn Error>> {
        tokio::select! {
            biased;
            signal = self.next() => Err(signal.into()),
            outcome = work => outcome,
        }
    }
}

/// Runs blocking work (an engine's start may take minutes) where a signal is still heard.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Box<dyn Error + Send + Sync>> + Send + 'static,
) -> Result<T, Box<dyn Error>> {
    tokio::task::spawn_blocking(work).await?.map_err(|error| -> Box<dyn Error> { error })
}

/// Ends the runtime without waiting any longer for a thread that hangs.
pub fn end(runtime: Runtime, limit: Duration) {
    runtime.shutdown_timeout(limit);
}
