//! The last analysis of each session: what is left when neither store nor sources answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bridge_core::{EnhancedTokenAnalysis, SessionId, Timestamp};
use moka::future::Cache;
use moka::ops::compute::Op;

use crate::{CacheGeneration, CacheOptions};

/// All kept analyses together hold at most so many responses (some 300 bytes each).
pub const ANALYSES_RESPONSES_MAX: u64 = 100_000;

#[derive(Debug, Clone)]
struct Kept {
    analysis: Arc<EnhancedTokenAnalysis>,
    moment: CacheGeneration,
    kept_at: Timestamp,
}

/// Analyses by session. A later write does not make one useless, only older.
#[derive(Debug)]
pub(crate) struct Analyses {
    entries: Cache<SessionId, Kept>,
    ttl: Duration,
    /// What was made before this moment is not kept and not served.
    first: AtomicU64,
}

impl Analyses {
    pub(crate) fn new(options: &CacheOptions) -> Self {
        // With this least weight no more than `max_entries` of them weigh as much as all may.
        let least = ANALYSES_RESPONSES_MAX.div_ceil(options.max_entries.max(1));
        let weight = move |_: &SessionId, kept: &Kept| {
            let responses = kept.analysis.responses.len() as u64;
            u32::try_from(responses.max(least)).unwrap_or(u32::MAX)
        };
        let capacity = if options.capacity() == 0 { 0 } else { ANALYSES_RESPONSES_MAX };
        let entries =
            Cache::builder().weigher(weight).max_capacity(capacity).time_to_live(options.ttl).build();
        Self { entries, ttl: options.ttl, first: AtomicU64::new(0) }
    }

    /// Keeps an analysis that was made at this moment, unless one of a later moment is there.
    pub(crate) async fn keep(
        &self,
        moment: CacheGeneration,
        analysis: EnhancedTokenAnalysis,
        now: Timestamp,
    ) {
        if self.ttl.is_zero() {
            return;
        }
        let session = analysis.session_id.clone();
        let kept = Kept { analysis: Arc::new(analysis), moment, kept_at: now };
        let decide = |known: Option<moka::Entry<SessionId, Kept>>| {
            let is_later = known.is_some_and(|known| known.value().moment > moment);
            std::future::ready(if is_later { Op::Nop } else { Op::Put(kept) })
        };
        self.entries.entry(session).and_compute_with(decide).await;
    }

    /// Forgets what was made before this moment, also where it is still to be kept.
    pub(crate) fn forget(&self, before: CacheGeneration) {
        self.first.fetch_max(before.0, Ordering::AcqRel);
        self.entries.invalidate_all();
    }

    pub(crate) async fn get(
        &self,
        session: &SessionId,
        now: Timestamp,
    ) -> Option<Arc<EnhancedTokenAnalysis>> {
        let kept = self.entries.get(session).await?;
        let is_known = kept.moment.0 >= self.first.load(Ordering::Acquire);
        (is_known && now.saturating_since(kept.kept_at) < self.ttl).then_some(kept.analysis)
    }
}
