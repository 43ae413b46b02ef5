//! Checks shared by several steps.

use bridge::storage::ResponseFilter;
use bridge::{AnalysisSource, HealthState, HealthStatus, Probe, ResponseUsage, SessionId, Timestamp};

use crate::day::Day;
use crate::day::session_totals::SessionTotals;

/// A snapshot of the store.
pub(crate) struct Stored {
    pub(crate) totals: SessionTotals,
    /// Every row.
    pub(crate) rows: Vec<ResponseUsage>,
}

impl Day {
    /// The current content of the store.
    pub(crate) async fn stored(&self) -> Stored {
        let totals = SessionTotals::stored(&self.bridge).await;
        Stored { totals, rows: self.rows().await }
    }

    pub(crate) async fn rows(&self) -> Vec<ResponseUsage> {
        self.bridge.token_store().responses(&ResponseFilter::default()).await.unwrap()
    }

    /// Asserts the overall health and its only reason, if any.
    pub(crate) async fn assert_health(&self, overall: HealthState, reason: Option<&str>) {
        let status = self.bridge.health_check().await;
        let reasons = status.reasons();
        assert_eq!(status.overall, overall, "{status:#?}");
        assert_eq!(reasons.len(), usize::from(reason.is_some()), "{reasons:?}");
        assert!(reason.is_none_or(|reason| reasons[0].starts_with(reason)), "{reasons:?}");
    }

    /// Asserts that each of the operator's sessions is analyzed live and matches the current transcripts.
    pub(crate) async fn assert_live_analyses(&self) {
        let expected = self.transcripts.totals();
        for name in self.transcripts.own_sessions() {
            let session = SessionId::new(name).unwrap();
            let answer = self.bridge.get_analysis_with_fallback(&session).await.unwrap();
            let analysis = &answer.analysis;
            assert_eq!(answer.source, AnalysisSource::Live, "{:?}", answer.fallback_reasons);
            assert_eq!(analysis.reported(), expected.session(name).counts);
            assert_eq!(analysis.calculated_total_tokens, expected.session(name).tokens());
            assert_eq!(analysis.responses.len() as u64, expected.session(name).responses);
        }
    }
}

/// The state and detail of a probe.
pub(crate) fn probe_result(status: &HealthStatus, probe: Probe) -> (HealthState, &str) {
    let result = status.probe(probe).unwrap();
    (result.state, &result.detail)
}

/// The hour of the day.
pub(crate) fn hour_of(time: Timestamp) -> i64 {
    time.saturating_since(crate::day::at(0)).as_secs().cast_signed() / 3600
}
