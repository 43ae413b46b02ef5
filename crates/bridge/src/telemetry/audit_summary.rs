//! Summaries of the results of operations for the audit: numbers, never texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use bridge_analysis::History;
use bridge_core::{
    AnalysisSource, AnalysisSummary, AnalysisWithSource, AuditOutcome, AuditRecord, BackfillResult,
    BridgeResult, Checkpoint, CheckpointTotals, IntegrityResult, RollbackResult, SessionId, StoreState,
    StreamPosition, StreamResult, SyncResult, SyncStatus, TokenSummaryRecord, saturating_sum,
};

use crate::blocks::Blocks;
use crate::budgets::BudgetStatus;
use crate::dashboard::hosts::HostFreshness;
use crate::operations::expiring::ExpiringTranscripts;
use crate::operations::sessions::{SessionDetails, SessionLimit};

/// The summary of a result.
#[derive(Debug, Default)]
pub(crate) struct AuditSummary {
    /// The session of the result.
    pub(crate) session: Option<SessionId>,
    /// Why a part of the request is not done. It names no file, because paths may be secret.
    pub(crate) incomplete: Option<String>,
    pub(crate) tokens: u64,
    pub(crate) counts: BTreeMap<String, u64>,
    /// There was nothing to do and nothing to report. Repeated every few seconds, so it is not recorded.
    pub(crate) is_idle: bool,
}

impl AuditSummary {
    pub(crate) fn of<'a>(tokens: u64, counts: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        Self { tokens, counts, ..Self::default() }
    }

    fn missing(mut self, number: usize, what: &str) -> Self {
        self.incomplete = (number > 0).then(|| format!("{number} {what}"));
        self
    }

    fn add_history(&mut self, found: &AnalysisSummary) {
        let receipt = &found.receipt;
        let counts = [
            ("files", found.files),
            ("bytes", found.bytes),
            ("lines", found.lines),
            ("bad_lines", receipt.damage.bad_lines),
            ("snapshots", receipt.all_snapshots().count),
            ("snapshot_tokens", receipt.all_snapshots().tokens),
            ("counted_responses", receipt.total.count),
            ("counted_tokens", receipt.total.tokens),
        ];
        self.counts.extend(counts.map(|(name, count)| (name.to_owned(), count)));
    }

    pub(crate) fn outcome(&self) -> AuditOutcome {
        if self.incomplete.is_some() { AuditOutcome::Incomplete } else { AuditOutcome::Succeeded }
    }
}

/// A result with a summary for the audit.
pub(crate) trait ToAuditSummary {
    fn audit_summary(&self) -> AuditSummary;
}

impl ToAuditSummary for BridgeResult {
    fn audit_summary(&self) -> AuditSummary {
        let missing = if self.success { 0 } else { self.errors.len().max(1) };
        let summary = AuditSummary::of(self.total_tokens, []).missing(missing, "errors are in the result");
        AuditSummary { session: self.session_id.clone(), ..summary }
    }
}

impl ToAuditSummary for StreamResult {
    fn audit_summary(&self) -> AuditSummary {
        let missing = if self.success { 0 } else { self.errors.len().max(1) };
        let counts = [
            ("lines", self.lines_read),
            ("known_lines", self.lines_known),
            ("bad_lines", self.damage.bad_lines),
            ("sessions_changed", self.changes.len() as u64),
        ];
        AuditSummary::of(u64::try_from(self.tokens()).unwrap_or_default(), counts)
            .missing(missing, "sessions are not taken in whole")
    }
}

impl ToAuditSummary for Vec<BridgeResult> {
    fn audit_summary(&self) -> AuditSummary {
        let stored = self.iter().filter(|result| result.success);
        let failed = self.len() - stored.clone().count();
        let tokens = saturating_sum(stored.map(|result| result.total_tokens));
        let counts = [("analyses", self.len() as u64), ("failed", failed as u64)];
        AuditSummary::of(tokens, counts).missing(failed, "analyses are not stored")
    }
}

impl ToAuditSummary for BackfillResult {
    fn audit_summary(&self) -> AuditSummary {
        let missing = if self.success { 0 } else { self.errors.len().max(1) };
        let counts = [
            ("sessions", self.total_sessions),
            ("responses", self.total_responses),
            ("skipped_files", self.skipped_files.len() as u64),
        ];
        let mut summary = AuditSummary::of(self.total_tokens_stored, counts);
        summary.add_history(&self.analysis);
        summary.missing(missing, "files or sessions are incomplete")
    }
}

impl ToAuditSummary for History {
    fn audit_summary(&self) -> AuditSummary {
        let receipt = self.receipt();
        let counts = [
            ("bad_lines", receipt.damage.bad_lines),
            ("snapshots", receipt.all_snapshots().count),
            ("snapshot_tokens", receipt.all_snapshots().tokens),
            ("counted_responses", receipt.total.count),
            ("counted_tokens", receipt.total.tokens),
        ];
        AuditSummary::of(receipt.total.tokens, counts).missing(self.errors().len(), "files could not be read")
    }
}

impl ToAuditSummary for SyncResult {
    fn audit_summary(&self) -> AuditSummary {
        let counts = [
            ("tokens_before", self.tokens_before),
            ("tokens_after", self.tokens_after),
            ("files", self.files_read),
            ("bytes", self.bytes_read),
        ];
        let failed = usize::from(self.status == SyncStatus::Failed);
        AuditSummary::of(self.tokens_after, counts).missing(failed, "session is incomplete")
    }
}

impl ToAuditSummary for Vec<SyncResult> {
    fn audit_summary(&self) -> AuditSummary {
        let of = |status| self.iter().filter(|result| result.status == status).count();
        let failed = of(SyncStatus::Failed);
        let counts = [
            ("sessions", self.len() as u64),
            ("sessions_changed", of(SyncStatus::Changed) as u64),
            ("bytes", saturating_sum(self.iter().map(|result| result.bytes_read))),
            ("outdated_responses", saturating_sum(self.iter().map(|result| result.outdated_responses))),
        ];
        let tokens = saturating_sum(self.iter().map(|result| result.tokens_after));
        let summary = AuditSummary::of(tokens, counts).missing(failed, "sessions are incomplete");
        AuditSummary { is_idle: self.is_empty(), ..summary }
    }
}

impl ToAuditSummary for Arc<Vec<TokenSummaryRecord>> {
    fn audit_summary(&self) -> AuditSummary {
        let tokens = saturating_sum(self.iter().map(|summary| summary.total_tokens));
        AuditSummary::of(tokens, [("sessions", self.len() as u64)])
    }
}

impl ToAuditSummary for Option<SessionDetails> {
    fn audit_summary(&self) -> AuditSummary {
        let Some(details) = self else { return AuditSummary::of(0, [("sessions", 0)]) };
        let tokens = details.summary.as_ref().map_or(0, |summary| summary.total_tokens);
        AuditSummary::of(tokens, [("sessions", 1), ("files", details.files.len() as u64)])
    }
}

impl ToAuditSummary for Vec<SessionLimit> {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, [("limits", self.len() as u64)])
    }
}

impl ToAuditSummary for Blocks {
    fn audit_summary(&self) -> AuditSummary {
        let tokens = self.blocks.iter().map(|block| block.sums.counts.total());
        AuditSummary::of(bridge_core::saturating_sum(tokens), [("blocks", self.blocks.len() as u64)])
    }
}

impl ToAuditSummary for Vec<BudgetStatus> {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, [("budgets", self.len() as u64)])
    }
}

impl ToAuditSummary for Vec<HostFreshness> {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, [("hosts", self.len() as u64)])
    }
}

impl ToAuditSummary for Option<StreamPosition> {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, self.map(|position| ("lines", position.lines)))
    }
}

/// A change of what is in use.
impl ToAuditSummary for bool {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, [("changed", u64::from(*self))])
    }
}

impl ToAuditSummary for ExpiringTranscripts {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, [("files", self.unstored.len() as u64)])
    }
}

impl ToAuditSummary for AnalysisWithSource {
    fn audit_summary(&self) -> AuditSummary {
        let is = |source| u64::from(self.source == source);
        let counts = [
            ("from_store", is(AnalysisSource::Stored)),
            ("from_sources", is(AnalysisSource::Live)),
            ("from_cache", is(AnalysisSource::Cached)),
        ];
        AuditSummary::of(self.analysis.calculated_total_tokens, counts)
    }
}

impl ToAuditSummary for IntegrityResult {
    fn audit_summary(&self) -> AuditSummary {
        let repair = self.repair.unwrap_or_default();
        let counts = [
            ("compared", self.compared),
            ("errors", self.erroneous().responses),
            ("stored_tokens", self.stored_tokens),
            ("live_tokens", self.live_tokens),
            ("repaired_by_join", repair.restored),
            ("repaired_by_force", repair.forced),
            ("removed", repair.removed),
            ("remaining", repair.remaining),
        ];
        let summary = AuditSummary::of(self.stored_tokens, counts);
        summary.missing(usize::from(!self.passed), "verification failed")
    }
}

impl ToAuditSummary for Vec<AuditRecord> {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, [("records", self.len() as u64)])
    }
}

impl ToAuditSummary for () {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::default()
    }
}

impl ToAuditSummary for Checkpoint {
    fn audit_summary(&self) -> AuditSummary {
        let CheckpointTotals { tokens, responses, sessions } = self.totals;
        AuditSummary::of(tokens, [("responses", responses), ("sessions", sessions)])
    }
}

impl ToAuditSummary for Vec<Checkpoint> {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, [("checkpoints", self.len() as u64)])
    }
}

impl ToAuditSummary for RollbackResult {
    fn audit_summary(&self) -> AuditSummary {
        let mut counts = vec![
            ("dry_run", u64::from(self.replaced_state.is_none())),
            ("epoch", u64::from(self.state.epoch.0)),
        ];
        if let Some(before) = self.before {
            counts.extend([
                ("tokens_before", before.tokens),
                ("responses_before", before.responses),
                ("sessions_before", before.sessions),
            ]);
        }
        if let Some(after) = self.after {
            counts.extend([("responses_after", after.responses), ("sessions_after", after.sessions)]);
        }
        AuditSummary::of(self.after.map_or(0, |after| after.tokens), counts)
    }
}

impl ToAuditSummary for StoreState {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(0, [("epoch", u64::from(self.epoch.0))])
    }
}
