//! Ten: an import brings what is wrong, and the operator finds out what, when and how much.

use bridge::{
    AnalysisId, AuditFilter, AuditOutcome, AuditRecord, BridgeError, CorrelationId, EnhancedTokenAnalysis,
    HealthState, IntegrityOptions, SessionId, StoreOptions, SyncOptions, SyncStatus, TokenCounts,
};

use crate::day::checks::Stored;
use crate::day::figures::Figures;
use crate::day::{Day, at, within};

/// The import's own id of what it does.
const TOOL: CorrelationId = CorrelationId(0x0070_0001);
/// That of the program that analyses for itself.
const EMBEDDER: CorrelationId = CorrelationId(0x00e3_bedd);
/// So many analyses that program stores.
const ANALYSES: usize = 40;

/// What came in.
pub(crate) struct Import {
    /// What is stored now.
    pub(crate) figures: Figures,
    /// Of that, what stands in transcripts.
    from_transcripts: Figures,
    /// Analyses that were taken, and their tokens.
    taken: (u64, u64),
    /// Analyses that were not valid.
    refused: usize,
    /// Tokens and responses that the transcripts added.
    added: (u64, u64),
}

impl Day {
    /// Another tool's transcripts are put beside the operator's and synchronized; a faulty embedder stores sums of
    /// sessions that are counted already, every third of them wrong in itself.
    pub(crate) async fn imports_what_is_wrong(&self, morning: &Stored) -> Import {
        self.is_at(10);
        self.transcripts.import(at(10));
        let results = self
            .bridge
            .with_correlation_id(TOOL)
            .sync_all_sessions(SyncOptions::default().with_parallel_limit(4))
            .await
            .unwrap();
        let from_transcripts = self.transcripts.figures();
        for result in &results {
            let name = result.session_id.as_str();
            let (before, after) = (morning.figures.session(name), from_transcripts.session(name));
            assert_eq!((result.tokens_before, result.tokens_after), (before.tokens(), after.tokens()));
            assert_eq!(result.status == SyncStatus::Changed, before != after, "{result:?}");
            assert!(result.adds_up() && result.errors.is_empty(), "{result:?}");
        }
        assert_eq!(Figures::stored(&self.bridge).await, from_transcripts);

        let (now, then) = (from_transcripts.state(), morning.figures.state());
        let mut import = Import {
            figures: from_transcripts.clone(),
            from_transcripts,
            taken: (0, 0),
            refused: 0,
            added: (now.tokens - then.tokens, now.responses - then.responses),
        };
        self.stores_wrong_analyses(&mut import).await;
        assert_eq!(Figures::stored(&self.bridge).await, import.figures);
        import
    }

    async fn stores_wrong_analyses(&self, import: &mut Import) {
        let embedder = self.bridge.with_correlation_id(EMBEDDER);
        for number in 0..ANALYSES {
            // Beside the operator's own responses sums would count nothing.
            let session = &format!("imported-{number}");
            let mut analysis = sums_of(session, number as u64);
            let is_wrong_in_itself = number % 3 == 0;
            analysis.calculated_total_tokens += u64::from(is_wrong_in_itself);
            let stored = embedder.store_enhanced_analysis(&analysis, StoreOptions::default()).await;
            if is_wrong_in_itself {
                let error = stored.unwrap_err();
                assert!(matches!(error, BridgeError::Validation { .. }), "{error}");
                import.refused += 1;
            } else {
                let stored = stored.unwrap();
                assert_eq!((stored.records_stored, stored.new_responses), (1, 1));
                import.figures.add(session, analysis.reported());
                import.taken.0 += 1;
                import.taken.1 += analysis.calculated_total_tokens;
            }
        }
    }

    /// More operations fail than the configuration allows. All else is well.
    pub(crate) async fn hears_of_it_by_the_health(&self, import: &Import) {
        let reason = format!("error rate degraded: {} of ", import.refused);
        self.assert_health(HealthState::Degraded, Some(&reason)).await;
    }

    /// What failed leads to the embedder, what wrote most to the tool: who, when, how much.
    pub(crate) async fn finds_it_in_the_audit(&self, import: &Import) {
        let hour = AuditFilter::default().with_time(within(10)).with_limit(1000);
        let failed = self.audit(hour.clone().with_outcome(AuditOutcome::Failed)).await;
        assert_eq!(failed.len(), import.refused);
        let by_embedder = |record: &AuditRecord| {
            (record.correlation_id, record.error_kind.as_str()) == (EMBEDDER, "validation")
        };
        assert!(failed.iter().all(by_embedder), "{failed:?}");

        let embedder = self.audit(hour.clone().with_correlation_id(EMBEDDER)).await;
        assert_eq!(embedder.len(), ANALYSES);
        assert_eq!(added_by(&embedder), (import.taken.1, import.taken.0));

        let hour = self.audit(hour).await;
        let heaviest = hour.iter().max_by_key(|record| record.tokens_written).unwrap();
        assert_eq!((heaviest.operation.as_str(), heaviest.correlation_id), ("sync_all_sessions", TOOL));
        assert_eq!((heaviest.time, heaviest.outcome), (at(10), AuditOutcome::Succeeded));
        assert_eq!(heaviest.host.as_ref().map(ToString::to_string).as_deref(), Some("workstation"));
        assert_eq!(added_by(std::slice::from_ref(heaviest)), import.added);
    }

    /// Nothing is missing or changed: what the embedder stored is all that no transcript tells of.
    pub(crate) async fn proves_that_nothing_is_damaged(&self, import: &Import) {
        let exact = IntegrityOptions::default().with_tolerance(0.0);
        let result = self.bridge.verify_data_integrity(exact).await.unwrap();
        assert!(result.passed, "{:?}", result.differences);
        let (stored, live) = (import.figures.state(), import.from_transcripts.state());
        assert_eq!((result.stored_tokens, result.live_tokens), (stored.tokens, live.tokens));
        assert_eq!((result.compared, result.equal), (stored.responses, live.responses));
        let only_stored = result.only_stored();
        assert_eq!((only_stored.responses, only_stored.stored_tokens), import.taken);
    }

    /// The records, oldest first.
    pub(crate) async fn audit(&self, filter: AuditFilter) -> Vec<AuditRecord> {
        let mut records = self.bridge.audit_log(&filter).await.unwrap();
        records.reverse();
        records
    }
}

/// The tokens and the responses that operations added.
fn added_by(records: &[AuditRecord]) -> (u64, u64) {
    let tokens = records.iter().map(|record| record.tokens_written - record.tokens_replaced).sum();
    (tokens, records.iter().map(|record| record.new_responses).sum())
}

/// An analysis that knows sums only.
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
