//! Ten o'clock: a bad import, and the operator's investigation of it.

use bridge::{
    AnalysisId, AuditFilter, AuditOutcome, AuditRecord, BridgeError, CorrelationId, EnhancedTokenAnalysis,
    HealthState, IntegrityOptions, SessionId, StoreOptions, SyncOptions, SyncStatus, TokenCounts,
};

use crate::day::checks::Stored;
use crate::day::session_totals::SessionTotals;
use crate::day::{Day, at, within};

/// The correlation id of the import.
const TOOL: CorrelationId = CorrelationId(0x0070_0001);
/// The correlation id of the embedder that stores its own analyses.
const EMBEDDER: CorrelationId = CorrelationId(0x00e3_bedd);
/// The number of analyses that the embedder stores.
const ANALYSES: usize = 40;

/// The effect of the import.
pub(crate) struct Import {
    /// The stored totals.
    pub(crate) totals: SessionTotals,
    /// The part of the totals that is in transcripts.
    from_transcripts: SessionTotals,
    /// The number of accepted analyses, and their tokens.
    accepted: (u64, u64),
    /// The number of invalid analyses.
    refused: usize,
    /// Tokens and responses that the transcripts added.
    added: (u64, u64),
}

impl Day {
    /// Another tool's transcripts are added to the operator's and synchronized; a faulty embedder stores sums of
    /// sessions that are already counted, every third of them inconsistent.
    pub(crate) async fn imports_bad_data(&self, morning: &Stored) -> Import {
        self.is_at(10);
        self.transcripts.import(at(10));
        let results = self
            .bridge
            .with_correlation_id(TOOL)
            .sync_all_sessions(SyncOptions::default().with_parallel_limit(4))
            .await
            .unwrap();
        let from_transcripts = self.transcripts.totals();
        for result in &results {
            let name = result.session_id.as_str();
            let (before, after) = (morning.totals.session(name), from_transcripts.session(name));
            assert_eq!((result.tokens_before, result.tokens_after), (before.tokens(), after.tokens()));
            assert_eq!(result.status == SyncStatus::Changed, before != after, "{result:?}");
            assert!(result.adds_up() && result.errors.is_empty(), "{result:?}");
        }
        assert_eq!(SessionTotals::stored(&self.bridge).await, from_transcripts);

        let (now, then) = (from_transcripts.state(), morning.totals.state());
        let mut import = Import {
            totals: from_transcripts.clone(),
            from_transcripts,
            accepted: (0, 0),
            refused: 0,
            added: (now.tokens - then.tokens, now.responses - then.responses),
        };
        self.stores_bad_analyses(&mut import).await;
        assert_eq!(SessionTotals::stored(&self.bridge).await, import.totals);
        import
    }

    async fn stores_bad_analyses(&self, import: &mut Import) {
        let embedder = self.bridge.with_correlation_id(EMBEDDER);
        for number in 0..ANALYSES {
            // Sums of a session with responses would not count.
            let session = &format!("imported-{number}");
            let mut analysis = sums_of(session, number as u64);
            let is_inconsistent = number % 3 == 0;
            analysis.calculated_total_tokens += u64::from(is_inconsistent);
            let stored = embedder.store_enhanced_analysis(&analysis, StoreOptions::default()).await;
            if is_inconsistent {
                let error = stored.unwrap_err();
                assert!(matches!(error, BridgeError::Validation { .. }), "{error}");
                import.refused += 1;
            } else {
                let stored = stored.unwrap();
                assert_eq!((stored.records_stored, stored.new_responses), (1, 1));
                import.totals.add(session, analysis.reported());
                import.accepted.0 += 1;
                import.accepted.1 += analysis.calculated_total_tokens;
            }
        }
    }

    /// The error rate exceeds the configured maximum; everything else is healthy.
    pub(crate) async fn sees_degraded_health(&self, import: &Import) {
        let reason = format!("error rate degraded: {} of ", import.refused);
        self.assert_health(HealthState::Degraded, Some(&reason)).await;
    }

    /// The failed records point to the embedder, and the heaviest write to the tool, with its time and amount.
    pub(crate) async fn traces_it_in_the_audit(&self, import: &Import) {
        let hour = AuditFilter::default().with_time(within(10)).with_limit(1000);
        let failed = self.audit(hour.clone().with_outcome(AuditOutcome::Failed)).await;
        assert_eq!(failed.len(), import.refused);
        let by_embedder = |record: &AuditRecord| {
            (record.correlation_id, record.error_kind.as_str()) == (EMBEDDER, "validation")
        };
        assert!(failed.iter().all(by_embedder), "{failed:?}");

        let embedder = self.audit(hour.clone().with_correlation_id(EMBEDDER)).await;
        assert_eq!(embedder.len(), ANALYSES);
        assert_eq!(added_by(&embedder), (import.accepted.1, import.accepted.0));

        let hour = self.audit(hour).await;
        let heaviest = hour.iter().max_by_key(|record| record.tokens_written).unwrap();
        assert_eq!((heaviest.operation.as_str(), heaviest.correlation_id), ("sync_all_sessions", TOOL));
        assert_eq!((heaviest.time, heaviest.outcome), (at(10), AuditOutcome::Succeeded));
        assert_eq!(heaviest.host.as_ref().map(ToString::to_string).as_deref(), Some("workstation"));
        assert_eq!(added_by(std::slice::from_ref(heaviest)), import.added);
    }

    /// Nothing is missing or changed; the embedder's rows are the only ones without a transcript.
    pub(crate) async fn verifies_that_nothing_is_damaged(&self, import: &Import) {
        let exact = IntegrityOptions::default().with_tolerance(0.0);
        let result = self.bridge.verify_data_integrity(exact).await.unwrap();
        assert!(result.passed, "{:?}", result.differences);
        let (stored, live) = (import.totals.state(), import.from_transcripts.state());
        assert_eq!((result.stored_tokens, result.live_tokens), (stored.tokens, live.tokens));
        assert_eq!((result.compared, result.equal), (stored.responses, live.responses));
        let only_stored = result.only_stored();
        assert_eq!((only_stored.responses, only_stored.stored_tokens), import.accepted);
    }

    /// The audit records, oldest first.
    pub(crate) async fn audit(&self, filter: AuditFilter) -> Vec<AuditRecord> {
        let mut records = self.bridge.audit_log(&filter).await.unwrap();
        records.reverse();
        records
    }
}

/// The tokens and responses that operations added.
fn added_by(records: &[AuditRecord]) -> (u64, u64) {
    let tokens = records.iter().map(|record| record.tokens_written - record.tokens_replaced).sum();
    (tokens, records.iter().map(|record| record.new_responses).sum())
}

/// An analysis with sums only.
fn sums_of(session: &str, number: u64) -> EnhancedTokenAnalysis {
    let (id, session) = (AnalysisId::new(format!("faulty-{number}")), SessionId::new(session));
    let counts = TokenCounts {
        input: number + 1,
        output: 1000 * number,
        cache_creation: 7 * number,
        cache_read: 100_000 + number,
    };
    let mut analysis =
        EnhancedTokenAnalysis::from_responses(id.unwrap(), session.unwrap(), at(10), Vec::new()).unwrap();
    analysis.reported_input_tokens = counts.input;
    analysis.reported_output_tokens = counts.output;
    analysis.reported_cache_creation_tokens = counts.cache_creation;
    analysis.reported_cache_read_tokens = counts.cache_read;
    analysis.calculated_total_tokens = counts.checked_total().unwrap();
    analysis
}
