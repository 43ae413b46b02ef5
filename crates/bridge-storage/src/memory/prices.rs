//! Price lists of the store in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use bridge_core::{BridgeError, ModelName, Money, PriceRow, ResponseUsage, Timestamp, Unpriced};

use super::InMemoryStore;
use crate::capabilities::PriceStore;
use crate::prices::{CostRow, PriceList, next_activation, unknown_list};
use crate::query::ResponseFilter;

/// All price lists that were stored, by digest, with the time when each was put in use last.
#[derive(Debug, Default)]
pub(super) struct PriceLists(BTreeMap<String, (Timestamp, Arc<PriceList>)>);

impl PriceLists {
    fn in_use(&self) -> Option<&Arc<PriceList>> {
        self.last().map(|(_, list)| list)
    }

    fn last(&self) -> Option<&(Timestamp, Arc<PriceList>)> {
        let latest = self.0.iter().max_by_key(|(digest, (activated, _))| (*activated, *digest));
        latest.map(|(_, activation)| activation)
    }

    /// Returns the list of this digest, or the one in use, if there is one.
    pub(super) fn get(&self, digest: Option<&str>) -> Result<Option<Arc<PriceList>>, BridgeError> {
        let Some(digest) = digest else { return Ok(self.in_use().cloned()) };
        let list = self.0.get(digest).map(|(_, list)| Arc::clone(list));
        list.map(Some).ok_or_else(|| unknown_list("read a price list"))
    }
}

impl InMemoryStore {
    pub(super) fn price_lists(&self) -> MutexGuard<'_, PriceLists> {
        self.prices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PriceStore for InMemoryStore {
    async fn use_prices(&self, digest: &str, rows: &[PriceRow], now: Timestamp) -> Result<bool, BridgeError> {
        let mut lists = self.price_lists();
        if lists.in_use().is_some_and(|list| list.digest == digest) {
            return Ok(false);
        }
        let activated = lists.last().map_or(now, |(last, _)| next_activation(*last, now));
        lists.0.insert(digest.to_owned(), (activated, Arc::new(PriceList::new(digest, rows))));
        Ok(true)
    }

    async fn prices_in_use(&self) -> Result<Option<String>, BridgeError> {
        Ok(self.price_lists().in_use().map(|list| list.digest.clone()))
    }

    async fn price_list(&self, digest: &str) -> Result<Arc<PriceList>, BridgeError> {
        Ok(self.price_lists().get(Some(digest))?.unwrap_or_default())
    }

    async fn costs(&self, filter: &ResponseFilter) -> Result<Vec<CostRow>, BridgeError> {
        let list = self.price_lists().get(None)?.unwrap_or_default();
        let mut rows: BTreeMap<(Option<ModelName>, Option<Unpriced>), CostRow> = BTreeMap::new();
        for response in self.content().tables.admitted(filter) {
            let row = cost_row(&list, response);
            match rows.entry((row.model.clone(), row.unpriced)) {
                std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(row)),
                std::collections::btree_map::Entry::Occupied(mut sum) => add(sum.get_mut(), &row),
            }
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort_by_key(|row| (row.model.clone(), row.unpriced.map(Unpriced::name)));
        Ok(rows)
    }
}

fn cost_row(list: &PriceList, response: &ResponseUsage) -> CostRow {
    let price = list.price(response);
    let priced = price.unwrap_or_default();
    CostRow {
        model: response.model.clone(),
        unpriced: price.err(),
        responses: 1,
        tokens: response.counts.total(),
        web_searches: response.web_search_requests.unwrap_or(0),
        since: response.time,
        list: Money::from_attodollars(priced.list),
        amount: Money::from_attodollars(priced.amount),
    }
}

fn add(sum: &mut CostRow, row: &CostRow) {
    sum.responses += 1;
    sum.tokens = sum.tokens.saturating_add(row.tokens);
    sum.web_searches = sum.web_searches.saturating_add(row.web_searches);
    sum.since = sum.since.min(row.since);
    sum.list = sum.list.saturating_add(row.list);
    sum.amount = sum.amount.saturating_add(row.amount);
}
