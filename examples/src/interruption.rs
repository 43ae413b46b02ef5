//! Exiting on a signal: cancels the running work, lets cleanup finish, and returns the matching exit code.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;

/// The signal that interrupted the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// SIGINT, sent by Ctrl-C.
    Interrupt,
    /// SIGTERM, sent by service managers, system shutdown and `kill`.
    Terminate,
}

impl Interrupted {
    /// Returns the conventional exit code: 128 plus the signal's number.
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
            Self::Interrupt => "interrupted; stored data is consistent, and a second run completes it",
            Self::Terminate => "terminated; stored data is consistent, and a second run completes it",
        })
    }
}

impl Error for Interrupted {}

/// Listens for the signals that end the program, from its creation on.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Starts listening. Must be called within a Tokio runtime.
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
        // If no handler can be installed, no signal will ever arrive.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Interrupted::Interrupt
    }

    /// Runs the work to completion, or cancels it when a signal arrives.
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

/// Runs blocking work, such as an engine start that may take minutes, without blocking signal handling.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Box<dyn Error + Send + Sync>> + Send + 'static,
) -> Result<T, Box<dyn Error>> {
    tokio::task::spawn_blocking(work).await?.map_err(|error| -> Box<dyn Error> { error })
}

/// Shuts down the runtime, and waits at most `limit` for blocking threads.
pub fn end(runtime: Runtime, limit: Duration) {
    runtime.shutdown_timeout(limit);
}
