//! Streams of the values that observers receive.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

/// Returns an observer and a stream of its values: for
/// [`keep_in_sync`](crate::EnhancedTokenDatabaseBridge::keep_in_sync),
/// [`monitor`](crate::EnhancedTokenDatabaseBridge::monitor) and the progress of a backfill.
///
/// The observer never waits. A stream that is read too slowly keeps the newest `capacity` values, and reports how many
/// are missing. It ends when the observer is dropped, with the task that calls it.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # use std::{fs, num::NonZeroUsize, sync::Arc, time::Duration};
/// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
/// use bridge::{StreamItem, observer_stream};
/// use tokio_stream::StreamExt;
///
/// # let folder = tempfile::tempdir()?;
/// # let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
/// # fs::write(folder.path().join("s.jsonl"), line)?;
/// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
/// #     .sources([folder.path()])
/// #     .build();
/// let capacity = NonZeroUsize::new(16).expect("it is not zero");
/// let (observer, mut changes) = observer_stream(capacity);
/// let syncing = bridge.keep_in_sync(Duration::from_secs(60), observer);
/// match changes.next().await {
///     Some(StreamItem::Value(Ok(sessions))) => assert_eq!(sessions[0].tokens_after, 42),
///     Some(StreamItem::Missed(number)) => println!("{number} synchronizations were missed"),
///     other => panic!("{other:?}"),
/// }
/// syncing.stop().await;
/// assert!(changes.next().await.is_none());
///
/// let (observer, mut progress) = observer_stream(capacity);
/// let options = BackfillOptions::default().with_progress(move |progress| observer(*progress));
/// bridge.backfill_historical_data(options).await?;
/// let Some(StreamItem::Value(first)) = progress.next().await else { panic!("no progress") };
/// assert_eq!(first.files_total, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn observer_stream<T: Send + 'static>(
    capacity: NonZeroUsize,
) -> (impl Fn(T) + Send + Sync + 'static, ObserverStream<T>) {
    let shared =
        Arc::new(Mutex::new(Shared { values: VecDeque::new(), missed: 0, reader: None, is_open: true }));
    let sender = Sender { shared: Arc::clone(&shared), capacity };
    (move |value| sender.send(value), ObserverStream { shared })
}

/// An item of an [`ObserverStream`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamItem<T> {
    /// A value for the observer.
    Value(T),
    /// Number of values that are missing here, because the stream was read too slowly.
    Missed(u64),
}

/// The values that an observer receives, in their order; see [`observer_stream`].
pub struct ObserverStream<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

struct Shared<T> {
    values: VecDeque<T>,
    /// Values that were removed before the first.
    missed: u64,
    reader: Option<Waker>,
    is_open: bool,
}

/// Closes the stream when it is dropped.
struct Sender<T> {
    shared: Arc<Mutex<Shared<T>>>,
    capacity: NonZeroUsize,
}

fn lock<T>(shared: &Mutex<Shared<T>>) -> MutexGuard<'_, Shared<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Sender<T> {
    fn send(&self, value: T) {
        let mut shared = lock(&self.shared);
        let oldest =
            if shared.values.len() >= self.capacity.get() { shared.values.pop_front() } else { None };
        shared.missed += u64::from(oldest.is_some());
        shared.values.push_back(value);
        let reader = shared.reader.take();
        drop(shared);
        drop(oldest);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.is_open = false;
        let reader = shared.reader.take();
        drop(shared);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl<T> Stream for ObserverStream<T> {
    type Item = StreamItem<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = lock(&self.shared);
        if shared.missed > 0 {
            return Poll::Ready(Some(StreamItem::Missed(std::mem::take(&mut shared.missed))));
        }
        match shared.values.pop_front() {
            Some(value) => Poll::Ready(Some(StreamItem::Value(value))),
            None if shared.is_open => {
                shared.reader = Some(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

impl<T> fmt::Debug for ObserverStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = lock(&self.shared);
        f.debug_struct("ObserverStream").field("waiting", &shared.values.len()).finish_non_exhaustive()
    }
}
