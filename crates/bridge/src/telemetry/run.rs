//! Every operation of the facade runs here: with its correlation id, its span, its log event, its metrics and its
//! record in the audit.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bridge_core::{
    AuditOutcome, AuditRecord, BridgeError, CorrelationId, ResponseUsage, SessionId, Stopwatch,
};
use bridge_storage::{ReplacedRow, UpsertOutcome, current_correlation_id, with_correlation_id};
use tracing::{Instrument, Span};

use crate::EnhancedTokenDatabaseBridge;
use crate::telemetry::audit::root_cause;
use crate::telemetry::audit_summary::{AuditSummary, ToAuditSummary};
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::operation::Operation;
use crate::telemetry::process_memory::give_back;

/// Gives operations their correlation ids.
pub(crate) struct CorrelationIds(Box<dyn Fn() -> CorrelationId + Send + Sync>);

impl CorrelationIds {
    pub(crate) fn new(source: impl Fn() -> CorrelationId + Send + Sync + 'static) -> Self {
        Self(Box::new(source))
    }

    pub(crate) fn next(&self) -> CorrelationId {
        (self.0)()
    }
}

impl Default for CorrelationIds {
    /// Random ones.
    fn default() -> Self {
        Self::new(|| CorrelationId(fastrand::u128(1..)))
    }
}

impl fmt::Debug for CorrelationIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CorrelationIds")
    }
}

/// The running operation, and what it has written so far. It stands also where the operation fails or is dropped.
#[derive(Debug)]
pub(crate) struct OperationState {
    operation: Operation,
    session: Option<SessionId>,
    id: CorrelationId,
    /// The record that was written while the operation runs.
    announced: OnceLock<AuditRecord>,
    records: AtomicU64,
    new: AtomicU64,
    tokens_replaced: AtomicU64,
    tokens_written: AtomicU64,
    forced: AtomicBool,
    /// Whether its calls of the store are in the error rate.
    counted: AtomicBool,
    /// Whether it has handled so much that it leaves a lot of freed memory behind.
    is_large: AtomicBool,
}

/// What an operation has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WriteCounters {
    pub(crate) records: u64,
    pub(crate) new: u64,
    pub(crate) tokens_replaced: u64,
    pub(crate) tokens_written: u64,
    pub(crate) forced: bool,
}

impl WriteCounters {
    /// What storing rows will write where none of them is stored yet, as most are not.
    pub(crate) fn planned(rows: u64, tokens: u64, forced: bool) -> Self {
        Self { records: rows, new: rows, tokens_replaced: 0, tokens_written: tokens, forced }
    }

    fn of_record(record: &AuditRecord) -> Self {
        Self {
            records: record.records_stored,
            new: record.new_responses,
            tokens_replaced: record.tokens_replaced,
            tokens_written: record.tokens_written,
            forced: record.forced,
        }
    }

    fn note_in(self, record: &mut AuditRecord) {
        record.forced = self.forced;
        (record.records_stored, record.new_responses) = (self.records, self.new);
        (record.tokens_replaced, record.tokens_written) = (self.tokens_replaced, self.tokens_written);
    }

    /// What these outcomes say was written.
    pub(crate) fn by(rows: &[ResponseUsage], outcomes: &[UpsertOutcome], forced: bool) -> Self {
        let mut written = Self::default();
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        for (row, outcome) in rows.iter().zip(outcomes) {
            // A marker is no record; what it covered is replaced.
            if !row.origin.is_counted() {
                if let UpsertOutcome::Replaced(old) = outcome {
                    written.tokens_replaced += old.tokens;
                }
                continue;
            }
            match outcome {
                UpsertOutcome::Unchanged | UpsertOutcome::Covered => continue,
                UpsertOutcome::New => written.new += 1,
                UpsertOutcome::Replaced(old) => add(&mut written.tokens_replaced, old.tokens),
            }
            written.records += 1;
            add(&mut written.tokens_written, row.counts.total());
        }
        written.forced = forced;
        written
    }

    /// That these rows were replaced by markers, which are worth nothing.
    pub(crate) fn over(covered: &[ReplacedRow]) -> Self {
        let tokens_replaced = covered.iter().map(|row| row.tokens).sum();
        Self { records: covered.len() as u64, tokens_replaced, ..Self::default() }
    }
}

impl OperationState {
    fn of(operation: Operation, session: Option<&SessionId>, id: CorrelationId) -> Self {
        Self {
            operation,
            session: session.cloned(),
            id,
            announced: OnceLock::new(),
            records: AtomicU64::default(),
            new: AtomicU64::default(),
            tokens_replaced: AtomicU64::default(),
            tokens_written: AtomicU64::default(),
            forced: AtomicBool::default(),
            counted: AtomicBool::default(),
            is_large: AtomicBool::default(),
        }
    }

    fn add(&self, written: &WriteCounters) {
        // An atomic addition wraps.
        let add = |sum: &AtomicU64, more: u64| {
            sum.update(Ordering::Relaxed, Ordering::Relaxed, |sum| sum.saturating_add(more));
        };
        add(&self.records, written.records);
        add(&self.new, written.new);
        add(&self.tokens_replaced, written.tokens_replaced);
        add(&self.tokens_written, written.tokens_written);
        self.forced.fetch_or(written.forced, Ordering::Relaxed);
    }

    pub(crate) fn written(&self) -> WriteCounters {
        WriteCounters {
            records: self.records.load(Ordering::Relaxed),
            new: self.new.load(Ordering::Relaxed),
            tokens_replaced: self.tokens_replaced.load(Ordering::Relaxed),
            tokens_written: self.tokens_written.load(Ordering::Relaxed),
            forced: self.forced.load(Ordering::Relaxed),
        }
    }
}

tokio::task_local! {
    static OPERATION: Arc<OperationState>;
}

/// Books a write on the running operation.
pub(crate) fn book(written: &WriteCounters) {
    // Outside of an operation there is nobody to tell.
    let _ = OPERATION.try_with(|tally| tally.add(written));
}

/// Notes that the running operation's calls of the store are in the error rate.
pub(crate) fn note_counted() {
    let _ = OPERATION.try_with(|tally| tally.counted.store(true, Ordering::Relaxed));
}

/// From so many bytes of transcripts on an operation leaves a lot of freed memory behind.
const LARGE_BYTES: u64 = 32 << 20;

/// Notes how much of the transcripts the running operation has read.
pub(crate) fn note_read(bytes: u64) {
    if bytes >= LARGE_BYTES {
        let _ = OPERATION.try_with(|tally| tally.is_large.store(true, Ordering::Relaxed));
    }
}

/// What the error of a record says as long as the operation runs.
const UNDER_WAY: &str = "put on record while it ran, with what it set out to store: its end is not on record";

/// The work as a part of the running operation, in whatever task it runs.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let operation = current_correlation_id().zip(OPERATION.try_with(Arc::clone).ok());
    let work = async move {
        match operation {
            Some((id, tally)) => with_correlation_id(id, OPERATION.scope(tally, work)).await,
            None => work.await,
        }
    };
    work.instrument(Span::current())
}

impl EnhancedTokenDatabaseBridge {
    /// The same bridge, whose operations bear this correlation id: a caller's own, that of a request it serves, say.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::core::{AuditFilter, CorrelationId};
    ///
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let request: CorrelationId = "00f067aa0ba902b74bf92f3577b34da6".parse()?;
    /// let _ = bridge.with_correlation_id(request).get_stored_token_summaries(None, 7, false).await?;
    ///
    /// let audit = bridge.audit_log(&AuditFilter::default().with_correlation_id(request)).await?;
    /// assert_eq!(audit[0].operation.as_str(), "get_stored_token_summaries");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_correlation_id(&self, id: CorrelationId) -> Self {
        Self { inner: Arc::clone(&self.inner), correlation_id: Some(id) }
    }

    /// Puts the running operation on record before it ends: what it sets out to write, or has written. To be awaited
    /// beside the operation's last calls of the store, so that nobody waits for it longer than for those.
    pub(crate) async fn announce(&self, planned: WriteCounters, tokens: u64) {
        let Ok(tally) = OPERATION.try_with(Arc::clone) else { return };
        if planned.records == 0 {
            return;
        }
        let audit = &self.inner.audit;
        let record = audit.record(tally.operation.audit_name(), tally.id, |record| {
            record.session.clone_from(&tally.session);
            (record.outcome, record.tokens) = (AuditOutcome::Incomplete, tokens);
            UNDER_WAY.clone_into(&mut record.error);
            planned.note_in(record);
        });
        if audit.announce(tally.operation, &record) && tally.announced.set(record).is_ok() {
            audit.flush_within(self.inner.store_deadline).await;
        }
    }

    /// The same with what the running operation has written so far.
    pub(crate) async fn announce_written(&self) {
        let written = OPERATION.try_with(|tally| tally.written()).unwrap_or_default();
        self.announce(written, written.tokens_written).await;
    }

    /// Runs the work as this operation.
    pub(crate) async fn run<T: ToAuditSummary>(
        &self,
        operation: Operation,
        session: Option<&SessionId>,
        work: impl Future<Output = Result<T, BridgeError>>,
    ) -> Result<T, BridgeError> {
        let id = self.correlation_id.unwrap_or_else(|| self.inner.correlation_ids.next());
        let span = tracing::info_span!(
            "bridge",
            operation = operation.name(),
            session_id = session.map(SessionId::as_str),
            correlation_id = %id,
        );
        let running = OperationGuard::begin(self, operation, session, id);
        let tally = Arc::clone(&running.tally);
        async move {
            let result = with_correlation_id(id, OPERATION.scope(tally, work)).await;
            let result = result.map_err(|error| error.with_correlation(id, session));
            let is_large = operation.moves_the_store() || running.tally.is_large.load(Ordering::Relaxed);
            let needs_flush = running.needs_flush(&result);
            running.end(&result);
            if needs_flush {
                with_correlation_id(id, self.inner.audit.flush_within(self.inner.store_deadline)).await;
            }
            if is_large {
                // It takes some milliseconds. That it cannot be waited for at the end of the runtime is no matter.
                let _ = tokio::task::spawn_blocking(give_back).await;
            }
            result
        }
        .instrument(span)
        .await
    }
}

/// An operation that has begun. Dropped before its end it was cancelled, and is told as such.
struct OperationGuard<'a> {
    bridge: &'a EnhancedTokenDatabaseBridge,
    operation: Operation,
    session: Option<&'a SessionId>,
    id: CorrelationId,
    watch: Stopwatch,
    tally: Arc<OperationState>,
    ended: bool,
}

impl<'a> OperationGuard<'a> {
    fn begin(
        bridge: &'a EnhancedTokenDatabaseBridge,
        operation: Operation,
        session: Option<&'a SessionId>,
        id: CorrelationId,
    ) -> Self {
        let (watch, tally) = (Stopwatch::start(), Arc::new(OperationState::of(operation, session, id)));
        Self { bridge, operation, session, id, watch, tally, ended: false }
    }

    /// What was stored, and what an administrator did, is on record before anybody hears of it, unless the store is
    /// away. Where it was announced as it came about, it is already.
    fn needs_flush<T>(&self, result: &Result<T, BridgeError>) -> bool {
        let cause = result.as_ref().err().map(root_cause);
        let is_away = matches!(cause, Some(BridgeError::Connection { .. }));
        let written = self.tally.written();
        let is_due = match self.tally.announced.get() {
            _ if self.operation.is_administrative() || written.forced => true,
            _ if self.bridge.inner.audit.is_refused() => false,
            Some(announced) => result.is_err() || WriteCounters::of_record(announced) != written,
            None => written.records > 0,
        };
        is_due && !is_away
    }

    fn end<T: ToAuditSummary>(mut self, result: &Result<T, BridgeError>) {
        self.ended = true;
        if self.operation.uses_store() && !self.tally.counted.load(Ordering::Relaxed) {
            self.bridge.inner.error_rate.record(Outcome::of(result));
        }
        match result {
            Ok(value) => {
                let summary = value.audit_summary();
                let outcome = summary.outcome();
                self.tell(outcome, summary, None);
            }
            Err(error) => self.tell(AuditOutcome::Failed, AuditSummary::default(), Some(error)),
        }
    }

    fn tell(&self, outcome: AuditOutcome, summary: AuditSummary, error: Option<&BridgeError>) {
        let inner = &self.bridge.inner;
        let (duration, written) = (self.watch.elapsed(), self.tally.written());
        inner.metrics.operation_ended(self.operation, outcome, duration);
        if let Some(error) = error {
            inner.metrics.failed(error);
        } else if self.operation.refreshes() && outcome == AuditOutcome::Succeeded {
            inner.metrics.refreshed(inner.clock.now());
        }
        let is_idle = summary.is_idle;
        let record = inner.audit.record(self.operation.audit_name(), self.id, |record| {
            if let Some(announced) = self.tally.announced.get() {
                (record.id, record.time) = (announced.id, announced.time);
            }
            record.session = self.session.cloned().or_else(|| summary.session.clone());
            record.outcome = outcome;
            written.note_in(record);
            record.tokens = summary.tokens;
            record.figures = summary.figures;
            record.duration = duration;
            record.error = summary.incomplete.unwrap_or_default();
            if let Some(error) = error {
                (record.error_kind, record.error) = inner.audit.told(error);
            }
        });
        crate::telemetry::log::tell(&record, self.operation, error);
        if !is_idle {
            inner.audit.keep(self.operation, record);
        }
    }
}

impl Drop for OperationGuard<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(AuditOutcome::Cancelled, AuditSummary::default(), None);
        }
    }
}
