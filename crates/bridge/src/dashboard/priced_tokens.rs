//! The tokens of recent responses with and without a price, by model.

use std::time::Duration;

use bridge_core::{BridgeError, Cost, TimeRange, Timestamp};
use bridge_storage::{Dimension, GroupPage, TokenStore, UnpricedSums};

use super::adapter::filter;
use super::query::DashboardQuery;

/// The time back from now in which responses are recent. Prices of older ones are no longer added.
const RECENT: Duration = Duration::from_hours(7 * 24);

/// Maximum number of models that are named; the others are added up.
const MODELS_MAX: u32 = 50;

/// The name of the sums of all models that are not named, and of responses without a model.
pub(crate) const OTHER_MODELS: &str = "other";

/// The recent responses' tokens by the price list of this digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PricedTokens {
    pub(crate) digest: String,
    pub(crate) total: Cost,
    /// By model, each once.
    pub(crate) models: Vec<(String, Cost)>,
    /// Responses without a price, most tokens first.
    pub(crate) unpriced: Vec<UnpricedSums>,
}

/// Returns the tokens of the responses of the time before `now`; `None` if the store has no price list in use.
pub(crate) async fn priced_tokens(
    store: &dyn TokenStore,
    now: Timestamp,
) -> Result<Option<PricedTokens>, BridgeError> {
    let range = TimeRange { start: Some(now.saturating_sub(RECENT)), end: None };
    let query = DashboardQuery::new(range).without_lists().without_receipt().with_cost();
    let query = query.list(Dimension::Model, GroupPage::top(MODELS_MAX));
    let data = store.dashboard(&filter(&query, Vec::new())).await?;
    let Some(priced_by) = data.priced_by else { return Ok(None) };
    let total = data.totals.cost.unwrap_or_default();
    let (mut other, mut models) = (total, Vec::new());
    for group in data.breakdowns.into_values().flat_map(|list| list.rows) {
        let cost = group.sums.cost.unwrap_or_default();
        if !group.name.is_empty() && group.name != OTHER_MODELS {
            other = other.saturating_sub(cost);
            models.push((group.name, cost));
        }
    }
    if other.priced_tokens > 0 || other.unpriced_tokens > 0 {
        models.push((OTHER_MODELS.to_owned(), other));
    }
    Ok(Some(PricedTokens { digest: priced_by.digest, total, models, unpriced: priced_by.unpriced }))
}
