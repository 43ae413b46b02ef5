//! Options of `keep_in_sync`.

use std::time::Duration;

use crate::live::ChangeSource;

/// How [`keep_in_sync`](crate::EnhancedTokenDatabaseBridge::keep_in_sync) notices changes. A plain [`Duration`] is the
/// interval of [`polling`](Self::polling).
///
/// ```
/// use std::time::Duration;
///
/// use bridge::live::LiveOptions;
///
/// let options = LiveOptions::polling(Duration::from_secs(5))
///     .with_search_interval(Duration::from_mins(10))
///     .with_poll_interval(Duration::from_secs(10))
///     .with_quiet_time(Duration::from_millis(100), Duration::from_millis(500));
/// assert_eq!(options.poll_interval, Duration::from_secs(10));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct LiveOptions {
    /// Interval of the searches of all transcripts while nothing reports changes. Of more than 1,000 transcripts it is
    /// the interval of polls of the 1,000 that were modified last, and of the folders, for new ones. Longer if they
    /// take long: at most a twentieth of the time is spent on searching in vain.
    pub poll_interval: Duration,
    /// Interval of the searches of all transcripts while changes are reported, or only some transcripts are polled:
    /// what finds changes that were missed.
    pub search_interval: Duration,
    /// Time without a further change after which changes are stored.
    pub quiet_time: Duration,
    /// Maximum time that changes wait for such a quiet time.
    pub quiet_time_max: Duration,
    pub(crate) source: Option<Box<dyn ChangeSource>>,
}

impl LiveOptions {
    /// Returns options without events: all transcripts are searched at this interval; of more than 1,000, those that
    /// most likely change, and all of them every five minutes.
    #[must_use]
    pub fn polling(interval: Duration) -> Self {
        Self {
            poll_interval: interval.max(Duration::from_millis(1)),
            search_interval: Duration::from_mins(5),
            quiet_time: Duration::from_millis(50),
            quiet_time_max: Duration::from_millis(250),
            source: None,
        }
    }

    /// Returns options with the events of the file system: what changed is stored 50 ms after its last change, and 250
    /// ms after its first one at the latest. All transcripts are searched every five minutes; [polled](Self::polling)
    /// every five seconds where there are no events (a system whose limit of watches is reached: a warning says so).
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # use tokio::sync::mpsc;
    /// use bridge::live::LiveOptions;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let (sender, mut stored) = mpsc::unbounded_channel();
    /// let syncing = bridge.keep_in_sync(LiveOptions::events(), move |outcome| {
    ///     outcome.unwrap_or_default().into_iter().for_each(|session| drop(sender.send(session.tokens_after)));
    /// });
    /// // The client writes a transcript.
    /// fs::write(folder.path().join("s.jsonl"), line)?;
    /// assert_eq!(stored.recv().await, Some(42));
    /// syncing.stop().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "live")]
    #[must_use]
    pub fn events() -> Self {
        Self::polling(Duration::from_secs(5)).with_source(crate::live::FileSystemEvents::default())
    }

    /// Returns the options with changes reported by this source.
    #[must_use]
    pub fn with_source(mut self, source: impl ChangeSource + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Returns the options with transcripts [polled](Self::poll_interval) at this interval while nothing reports
    /// changes.
    #[must_use]
    pub fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Returns the options with all transcripts searched at this interval while something else finds most changes.
    #[must_use]
    pub fn with_search_interval(mut self, interval: Duration) -> Self {
        self.search_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Returns the options with changes stored after this time without a further one, and after `max` at the latest.
    #[must_use]
    pub fn with_quiet_time(mut self, quiet: Duration, max: Duration) -> Self {
        (self.quiet_time, self.quiet_time_max) = (quiet, max.max(quiet));
        self
    }
}

impl From<Duration> for LiveOptions {
    fn from(interval: Duration) -> Self {
        Self::polling(interval)
    }
}
