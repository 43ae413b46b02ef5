//! Totals by session: expected and stored.

use std::collections::BTreeMap;

use bridge::storage::ResponseFilter;
use bridge::{
    CheckpointTotals, EnhancedTokenDatabaseBridge, SessionDifference, SessionId, SummaryQuery, TimeRange,
    TokenCounts,
};
use bridge_testkit::Counters;
use bridge_testkit::history::HistoryTruth;
use bridge_testkit::reference::ReferenceTotals;

/// A period that covers every response.
const ALL_DAYS: u32 = 3650;
/// The maximum number of sessions that a dry run lists.
const LISTED_MAX: usize = 100;

/// The totals of every session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SessionTotals(BTreeMap<String, Session>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) responses: u64,
    pub(crate) counts: TokenCounts,
}

impl Session {
    pub(crate) fn tokens(&self) -> u64 {
        self.counts.checked_total().unwrap()
    }
}

impl SessionTotals {
    pub(crate) fn of(reference: &ReferenceTotals) -> Self {
        assert!(reference.open_sessions.is_empty() && reference.counters_are_certain());
        let sessions = reference.sessions.iter();
        Self(sessions.map(|(name, sums)| (name.clone(), session(sums.responses, &sums.counters))).collect())
    }

    pub(crate) fn of_truth(truth: &HistoryTruth) -> Self {
        let sessions = truth.sessions.iter();
        Self(sessions.map(|(name, sums)| (name.clone(), session(sums.responses, &sums.counters))).collect())
    }

    /// The stored totals, read from the summaries. The dashboard and the store's totals must agree with them.
    pub(crate) async fn stored(bridge: &EnhancedTokenDatabaseBridge) -> Self {
        let summaries = bridge.get_stored_token_summaries(SummaryQuery::last_days(ALL_DAYS)).await.unwrap();
        let of_summary = summaries.iter().map(|summary| {
            let session = Session { responses: summary.responses, counts: summary.counts };
            assert_eq!(session.tokens(), summary.total_tokens);
            (summary.session_id.to_string(), session)
        });
        let totals = Self(of_summary.collect());
        let shown = bridge.dashboard().get_dashboard_token_metrics(TimeRange::ALL).await.unwrap();
        let summed = bridge.token_store().totals(&ResponseFilter::default()).await.unwrap();
        let (state, counts) = (totals.state(), totals.counts());
        assert_eq!((shown.total_tokens, shown.totals.responses), (state.tokens, state.responses));
        assert_eq!((shown.totals.counts, summed.counts), (counts, counts));
        assert_eq!((summed.responses, summed.sessions), (state.responses, state.sessions));
        totals
    }

    /// Adds one response to a session.
    pub(crate) fn add(&mut self, session: &str, counts: TokenCounts) {
        let session = self.0.entry(session.to_owned()).or_default();
        session.responses += 1;
        session.counts = TokenCounts::checked_sum([session.counts, counts]).unwrap();
    }

    pub(crate) fn session(&self, name: &str) -> Session {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn counts(&self) -> TokenCounts {
        TokenCounts::checked_sum(self.0.values().map(|session| session.counts)).unwrap()
    }

    /// The sums over all sessions.
    pub(crate) fn state(&self) -> CheckpointTotals {
        CheckpointTotals {
            tokens: self.counts().checked_total().unwrap(),
            responses: self.0.values().map(|session| session.responses).sum(),
            sessions: self.0.len() as u64,
        }
    }

    /// The sessions that differ from an earlier state, as a dry run lists them: their number, and the first of them
    /// with the greatest difference first.
    pub(crate) fn differences_to(&self, then: &Self) -> (u64, Vec<SessionDifference>) {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(then.0.keys()).collect();
        let differing = names.into_iter().filter(|name| self.session(name) != then.session(name));
        let mut differences: Vec<_> = differing
            .map(|name| SessionDifference {
                session: SessionId::new(name).unwrap(),
                tokens_now: self.session(name).tokens(),
                tokens_then: then.session(name).tokens(),
            })
            .collect();
        // The stable sort keeps equal differences in name order.
        differences.sort_by_key(|one| std::cmp::Reverse(one.tokens_now.abs_diff(one.tokens_then)));
        let number = differences.len() as u64;
        differences.truncate(LISTED_MAX);
        (number, differences)
    }
}

fn session(responses: u64, counters: &Counters) -> Session {
    let Counters { input, output, cache_creation, cache_read } = *counters;
    Session { responses, counts: TokenCounts { input, output, cache_creation, cache_read } }
}
