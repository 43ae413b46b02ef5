//! A cache of the database's price lists and models, so that a dashboard need not read them each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::clickhouse::Row;
use bridge_core::{BridgeError, PriceRow, StorageKind, Timestamp};
use serde::Deserialize;

use crate::capabilities::PriceStore;
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::connection::errors::corrupt;
use crate::clickhouse::dashboard::PriceTable;
use crate::prices::{PriceList, unknown_list};

const OPERATION: &str = "read a price list";

/// Maximum number of price lists that are kept.
const LISTS_MAX: usize = 16;

/// The price lists that were read last, by digest; they never change. And the models that responses name.
#[derive(Debug, Default)]
pub(crate) struct KnownPrices(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    models: Option<Vec<String>>,
    tables: HashMap<String, Arc<PriceTable>>,
    lists: HashMap<String, Arc<PriceList>>,
}

impl KnownPrices {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type OptionalPrice = Option<u64>;
/// In the order of [`PriceRow`].
type PriceTuple = (OptionalPrice, OptionalPrice, OptionalPrice, OptionalPrice, OptionalPrice, OptionalPrice);

/// A row of `token_prices`, without what follows from the others.
#[derive(Debug, Row, Deserialize)]
struct ReadPrice {
    provider: String,
    model: String,
    name: String,
    valid_from: i64,
    valid_to: Option<i64>,
    speed: String,
    processing: String,
    above: u64,
    geography: String,
    prices: PriceTuple,
    discount: u16,
    source: String,
}

impl ClickHouseStore {
    /// Returns the prices of all stored models, by the price list of this digest or the one in use; `None` if none is in
    /// use.
    pub(crate) async fn price_table(
        &self,
        digest: Option<&str>,
    ) -> Result<Option<Arc<PriceTable>>, BridgeError> {
        let digest = match digest {
            Some(digest) => digest.to_owned(),
            None => match self.prices_in_use().await? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        if let Some(table) = self.known_prices.lock().tables.get(&digest) {
            return Ok(Some(Arc::clone(table)));
        }
        let list = self.known_list(&digest).await?;
        let models = self.known_prices.lock().models.clone();
        let models = match models {
            Some(models) => models,
            None => self.read_models().await?,
        };
        let table = PriceTable::new(list, models).map(Arc::new).ok_or_else(|| {
            let message = "costs of more than 65,000 models, or with prices of more than 4,000 dates, 13 geographies or 7 sizes";
            BridgeError::storage(StorageKind::Unsupported, OPERATION, message)
        })?;
        let mut known = self.known_prices.lock();
        if known.tables.len() >= LISTS_MAX {
            known.tables.clear();
        }
        known.tables.insert(digest, Arc::clone(&table));
        Ok(Some(table))
    }

    /// As [`price_table`](Self::price_table), after the models were read again.
    pub(crate) async fn price_table_anew(
        &self,
        digest: Option<&str>,
    ) -> Result<Option<Arc<PriceTable>>, BridgeError> {
        let models = self.read_models().await?;
        {
            let mut known = self.known_prices.lock();
            known.models = Some(models);
            known.tables.clear();
        }
        self.price_table(digest).await
    }

    /// Returns all models that responses name; the empty one if some name none.
    async fn read_models(&self) -> Result<Vec<String>, BridgeError> {
        let query = "SELECT DISTINCT toString(model) AS name FROM token_usage ORDER BY name";
        self.call("read the models", |tables| async move { tables.query(query).fetch_all::<String>().await })
            .await
    }

    /// Returns the price list of a digest.
    pub(crate) async fn known_list(&self, digest: &str) -> Result<Arc<PriceList>, BridgeError> {
        if let Some(list) = self.known_prices.lock().lists.get(digest) {
            return Ok(Arc::clone(list));
        }
        let rows = self.read_prices(digest).await?;
        if rows.is_empty() {
            return Err(unknown_list(OPERATION));
        }
        let list = Arc::new(PriceList::new(digest, &rows));
        let mut known = self.known_prices.lock();
        if known.lists.len() >= LISTS_MAX {
            known.lists.clear();
        }
        known.lists.insert(digest.to_owned(), Arc::clone(&list));
        Ok(list)
    }

    async fn read_prices(&self, digest: &str) -> Result<Vec<PriceRow>, BridgeError> {
        let query = "SELECT toString(provider) AS provider, toString(model) AS model, toString(name) AS name,
                toUnixTimestamp64Milli(valid_from) AS valid_from, toUnixTimestamp64Milli(valid_to) AS valid_to,
                toString(speed) AS speed, toString(processing) AS processing, above, toString(geography) AS geography,
                (input, output, cache_read, cache_write_5m, cache_write_1h, web_search) AS prices, discount, source
            FROM token_prices FINAL WHERE token_prices.digest = ?";
        let rows: Vec<ReadPrice> = self
            .call(OPERATION, |tables| {
                let query = tables.query(query).bind(digest);
                async move { query.fetch_all().await }
            })
            .await?;
        let unreadable = || corrupt(OPERATION, "a value in token_prices is unreadable".to_owned());
        rows.into_iter().map(|row| price_row(row).ok_or_else(unreadable)).collect()
    }
}

fn price_row(row: ReadPrice) -> Option<PriceRow> {
    let instant = |millis| Timestamp::from_millis(millis).ok();
    let known = |names: &[&'static str], name: &str| names.iter().find(|known| **known == name).copied();
    let (input, output, cache_read, cache_write_5m, cache_write_1h, web_search) = row.prices;
    Some(PriceRow {
        provider: row.provider,
        model: row.model,
        name: row.name,
        from: instant(row.valid_from)?,
        to: match row.valid_to {
            Some(millis) => Some(instant(millis)?),
            None => None,
        },
        speed: known(&["standard", "fast"], &row.speed)?,
        processing: known(&["standard", "batch", "priority", "flex"], &row.processing)?,
        above: row.above,
        geography: row.geography,
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        web_search,
        discount: row.discount,
        source: row.source,
    })
}
