//! The operation that a call of the store belongs to.

use bridge_core::CorrelationId;

tokio::task_local! {
    static CURRENT: CorrelationId;
}

/// Runs the work as a part of an operation: every query that a store makes meanwhile carries the id as its
/// `log_comment`, so that the database's `system.query_log` shows it.
///
/// A task that the work spawns is not a part of it unless it enters the scope again.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// use bridge_core::CorrelationId;
/// use bridge_storage::{current_correlation_id, with_correlation_id};
///
/// let id = CorrelationId(42);
/// assert_eq!(with_correlation_id(id, async { current_correlation_id() }).await, Some(id));
/// assert_eq!(current_correlation_id(), None);
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn with_correlation_id<F: Future>(id: CorrelationId, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The operation that the running task belongs to.
#[must_use]
pub fn current_correlation_id() -> Option<CorrelationId> {
    CURRENT.try_with(|id| *id).ok()
}
