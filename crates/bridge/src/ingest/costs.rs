//! Cost of the responses that an operation writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bridge_core::{Cost, CostChange, ResponseUsage, SessionId};
use bridge_storage::{PriceList, ReplacedRow, TokenStore};

/// Returns the price list in use; `None` if there is none, or it cannot be read: what is stored does not depend on it.
pub(crate) async fn prices_in_use(store: &dyn TokenStore) -> Option<Arc<PriceList>> {
    let prices = store.prices()?;
    let read = async {
        match prices.prices_in_use().await? {
            Some(digest) => prices.price_list(&digest).await.map(Some),
            None => Ok(None),
        }
    };
    read.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read the price list, the result states no costs");
        None
    })
}

/// The cost of what is written, by session.
#[derive(Debug)]
pub(crate) struct WrittenCosts {
    prices: Arc<PriceList>,
    /// `None` for a session of which a replaced row is unknown.
    sessions: BTreeMap<SessionId, Option<CostChange>>,
}

impl WrittenCosts {
    pub(crate) fn new(prices: Arc<PriceList>) -> Self {
        Self { prices, sessions: BTreeMap::new() }
    }

    /// Adds a row that was written.
    pub(crate) fn add(&mut self, row: &ResponseUsage) {
        self.change(&row.session, Some(CostChange::new(self.prices.cost(row), Cost::default())));
    }

    /// Adds a row that was replaced.
    pub(crate) fn remove(&mut self, replaced: &ReplacedRow) {
        let cost = replaced.usage.as_ref().map(|row| self.prices.cost(row));
        self.change(&replaced.session, cost.map(|cost| CostChange::new(Cost::default(), cost)));
    }

    fn change(&mut self, session: &SessionId, change: Option<CostChange>) {
        let sum = self.sessions.entry(session.clone()).or_insert_with(|| Some(CostChange::default()));
        match (sum.as_mut(), change) {
            (Some(sum), Some(change)) => sum.add(&change),
            _ => *sum = None,
        }
    }

    /// Returns the changes by session, without those that are not known.
    pub(crate) fn into_sessions(self) -> BTreeMap<SessionId, CostChange> {
        self.sessions.into_iter().filter_map(|(session, change)| Some((session, change?))).collect()
    }
}
