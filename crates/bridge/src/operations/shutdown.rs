//! The end of a bridge.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bridge_core::BridgeError;
use tokio::time::{Instant, timeout_at};

use crate::EnhancedTokenDatabaseBridge;

/// Default deadline of a shutdown.
const DEADLINE: Duration = Duration::from_secs(30);

/// Longest wait for the engine, which ends on its own if it needs longer.
const ENGINE_WAIT: Duration = Duration::from_secs(5);

/// A shutdown that begins when it is awaited; see [`shutdown`](EnhancedTokenDatabaseBridge::shutdown).
#[derive(Debug)]
#[must_use = "it begins when it is awaited"]
pub struct ShutdownRequest<'a> {
    bridge: &'a EnhancedTokenDatabaseBridge,
    deadline: Duration,
}

impl<'a> ShutdownRequest<'a> {
    pub(crate) fn new(bridge: &'a EnhancedTokenDatabaseBridge) -> Self {
        Self { bridge, deadline: DEADLINE }
    }

    /// Returns the request with this deadline in place of 30 seconds. Tasks that do not end have half of it.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn run(self) -> Result<(), IncompleteShutdown> {
        let (parts, audit) = (&self.bridge.parts, &self.bridge.runner.telemetry.audit);
        let begin = Instant::now();
        let deadline = begin + self.deadline;
        let running_tasks = timeout_at(begin + self.deadline / 2, parts.lifetime.end()).await.is_err();
        let flushed = timeout_at(deadline, audit.flush()).await;
        // Records that came after the flush began were not waited for.
        let unwritten_records = if matches!(flushed, Ok(Ok(_))) { 0 } else { audit.stats().buffered };
        let audit_error = flushed.ok().and_then(Result::err);
        self.bridge.export_metrics();
        let running_engine = match &parts.engine {
            Some(engine) => {
                let left = deadline.saturating_duration_since(Instant::now());
                !engine.close(left.min(ENGINE_WAIT)).await
            }
            None => false,
        };
        let incomplete = IncompleteShutdown { running_tasks, unwritten_records, audit_error, running_engine };
        if incomplete.is_complete() { Ok(()) } else { Err(incomplete) }
    }
}

impl<'a> IntoFuture for ShutdownRequest<'a> {
    type Output = Result<(), IncompleteShutdown>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The error of a [`shutdown`](EnhancedTokenDatabaseBridge::shutdown): what it could not do before its deadline.
#[derive(Debug)]
#[non_exhaustive]
pub struct IncompleteShutdown {
    /// A synchronization or an observer has not ended. It goes on until its runtime ends.
    pub running_tasks: bool,
    /// Number of audit records that the store does not have. In a spool they wait for the next program.
    pub unwritten_records: u64,
    /// The error of writing them, unless the deadline came first.
    pub audit_error: Option<BridgeError>,
    /// The embedded engine has not exited within five seconds. It stops on its own, and nothing is lost. An engine that
    /// other programs use keeps running and is not reported.
    pub running_engine: bool,
}

impl IncompleteShutdown {
    fn is_complete(&self) -> bool {
        let Self { running_tasks, unwritten_records, audit_error, running_engine } = self;
        !running_tasks && *unwritten_records == 0 && audit_error.is_none() && !running_engine
    }
}

impl fmt::Display for IncompleteShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = Vec::new();
        if self.running_tasks {
            left.push("background tasks are still running".to_owned());
        }
        if self.unwritten_records > 0 || self.audit_error.is_some() {
            let error = self.audit_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            left.push(format!("{} audit records are not written{error}", self.unwritten_records));
        }
        if self.running_engine {
            left.push("the embedded engine is still stopping".to_owned());
        }
        f.write_str(&left.join("; "))
    }
}

impl std::error::Error for IncompleteShutdown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.audit_error.as_ref().and_then(std::error::Error::source)
    }
}

/// An engine that the store needs, and that the bridge closes.
#[derive(Clone)]
pub(crate) struct StoreEngine(Arc<dyn Fn(Duration) -> bool + Send + Sync>);

impl StoreEngine {
    /// Wraps a function that releases the engine, waits at most that long for its exit, and returns false if it is
    /// still stopping. It may block.
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "the only engine is a feature"))]
    pub(crate) fn new(close: impl Fn(Duration) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(close))
    }

    async fn close(&self, wait: Duration) -> bool {
        let close = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || close(wait)).await.unwrap_or(false)
    }
}

impl fmt::Debug for StoreEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreEngine")
    }
}
