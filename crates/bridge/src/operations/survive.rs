//! Work that may panic without ending its repetition.

use tokio::task::JoinSet;

/// Runs the work in a task of its own that ends with the caller. Returns `None` if the work panicked, which is
/// logged without the panic's message. The caller can then continue to repeat the work.
pub(crate) async fn survive<T: Send + 'static>(
    what: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let mut task = JoinSet::new();
    task.spawn(work);
    let ended = task.join_next().await?;
    if ended.is_err() {
        tracing::error!(what, "background task panicked, continuing");
    }
    ended.ok()
}
