//! Price lists, and what responses cost by the one in use.

mod keys;
mod known;

use std::sync::Arc;

use ::clickhouse::Row;
use async_trait::async_trait;
use bridge_core::{BridgeError, InvalidValue, ModelName, Money, PriceRow, StorageKind, Timestamp, Unpriced};
use serde::Serialize;

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::usage::read::{bind, conditions};
use super::usage::saturating::{TOKENS, sum};
use crate::capabilities::PriceStore;
use crate::prices::{CostRow, PriceList, next_activation};
use crate::query::ResponseFilter;
use keys::{PriceKeys, keys};
pub(crate) use known::KnownPrices;

const READ: &str = "read costs";
const UNKNOWN_REASON: InvalidValue =
    InvalidValue::new("reason for having no price", "be one that this version knows");

/// A row of `token_prices`.
#[derive(Debug, Row, Serialize)]
struct StoredPrice<'a> {
    digest: &'a str,
    provider: &'a str,
    model: &'a str,
    name: &'a str,
    valid_from: i64,
    valid_to: Option<i64>,
    speed: &'a str,
    processing: &'a str,
    above: u64,
    geography: &'a str,
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    web_search: Option<u64>,
    discount: u16,
    source: &'a str,
    period_key: u64,
    period_end: u64,
    mode: u8,
    size_key: u64,
    line_key: u32,
    activated_at: i64,
}

impl<'a> StoredPrice<'a> {
    fn new(row: &'a PriceRow, keys: PriceKeys, digest: &'a str, activated_at: Timestamp) -> Self {
        Self {
            digest,
            provider: &row.provider,
            model: &row.model,
            name: &row.name,
            valid_from: row.from.as_millis(),
            valid_to: row.to.map(Timestamp::as_millis),
            speed: row.speed,
            processing: row.processing,
            above: row.above,
            geography: &row.geography,
            input: row.input,
            output: row.output,
            cache_read: row.cache_read,
            cache_write_5m: row.cache_write_5m,
            cache_write_1h: row.cache_write_1h,
            web_search: row.web_search,
            discount: row.discount,
            source: &row.source,
            period_key: keys.period,
            period_end: keys.period_end,
            mode: keys.mode,
            size_key: keys.size,
            line_key: keys.line,
            activated_at: activated_at.as_millis(),
        }
    }
}

/// A row of the answer: model, reason, responses, tokens, web searches, first time, the two sums.
type CostTuple = (String, String, u64, u64, u64, i64, i128, i128);

#[async_trait]
impl PriceStore for ClickHouseStore {
    async fn use_prices(&self, digest: &str, rows: &[PriceRow], now: Timestamp) -> Result<bool, BridgeError> {
        const OPERATION: &str = "store prices";
        let last = self.last_activation().await?;
        if last.as_ref().is_some_and(|(in_use, _)| in_use == digest) {
            return Ok(false);
        }
        let activated = last.map_or(now, |(_, last)| next_activation(last, now));
        let keys = keys(rows).ok_or_else(|| too_large(OPERATION))?;
        let stored: Vec<_> =
            rows.iter().zip(keys).map(|(row, keys)| StoredPrice::new(row, keys, digest, activated)).collect();
        let stored = &stored;
        self.call(OPERATION, |tables| async move {
            let mut insert = tables.insert::<StoredPrice<'_>>("token_prices", stored.len()).await?;
            for row in stored {
                insert.write(row).await?;
            }
            insert.end().await
        })
        .await?;
        Ok(true)
    }

    async fn prices_in_use(&self) -> Result<Option<String>, BridgeError> {
        Ok(self.last_activation().await?.map(|(digest, _)| digest))
    }

    async fn price_list(&self, digest: &str) -> Result<Arc<PriceList>, BridgeError> {
        self.known_list(digest).await
    }

    async fn costs(&self, filter: &ResponseFilter) -> Result<Vec<CostRow>, BridgeError> {
        let conditions = [vec!["true".to_owned()], conditions(filter)].concat().join(" AND ");
        let query = &format!(
            "SELECT toString(model) AS name, toString(unpriced) AS reason, count(), {tokens}, {searches},
                min(toUnixTimestamp64Milli(time)), reinterpret(ifNull(sum(list_cost), toDecimal128(0, 18)), 'Int128'),
                reinterpret(ifNull(sum(cost), toDecimal128(0, 18)), 'Int128')
            FROM token_costs WHERE {conditions} GROUP BY name, reason ORDER BY name, reason",
            tokens = sum(TOKENS),
            searches = sum("ifNull(web_search_requests, 0)"),
        );
        let rows: Vec<CostTuple> = self
            .call(READ, |tables| async move { bind(tables.query(query), filter).fetch_all().await })
            .await?;
        let unreadable = |error| corrupt(READ, format!("a value of token_costs is unreadable: {error}"));
        rows.into_iter().map(|row| cost_row(row).map_err(unreadable)).collect()
    }
}

impl ClickHouseStore {
    /// Returns the digest of the price list in use, and when it was put in use.
    async fn last_activation(&self) -> Result<Option<(String, Timestamp)>, BridgeError> {
        const OPERATION: &str = "read the price list in use";
        let last = self.call(OPERATION, |tables| async move {
            let query = "SELECT argMax(toString(digest), (activated_at, digest)), toUnixTimestamp64Milli(max(activated_at))
                FROM token_prices";
            tables.query(query).fetch_one::<(String, i64)>().await
        });
        let (digest, millis) = last.await?;
        if digest.is_empty() {
            return Ok(None);
        }
        let unreadable =
            |error| corrupt(OPERATION, format!("a value of token_prices is unreadable: {error}"));
        Ok(Some((digest, Timestamp::from_millis(millis).map_err(unreadable)?)))
    }
}

fn too_large(operation: &'static str) -> BridgeError {
    BridgeError::Storage {
        operation,
        kind: StorageKind::Unsupported,
        message: "a price list has at most 32,767 names, 16,383 periods, 10 geographies and 7 limits of size"
            .to_owned(),
        context: Box::default(),
        source: None,
    }
}

fn cost_row(row: CostTuple) -> Result<CostRow, InvalidValue> {
    let (model, unpriced, responses, tokens, web_searches, since, list_attodollars, attodollars) = row;
    Ok(CostRow {
        model: ModelName::new(model).ok(),
        unpriced: match &*unpriced {
            "" => None,
            name => Some(Unpriced::of_name(name).ok_or(UNKNOWN_REASON)?),
        },
        responses,
        tokens,
        web_searches,
        since: Timestamp::from_millis(since)?,
        list: Money::from_attodollars(list_attodollars),
        amount: Money::from_attodollars(attodollars),
    })
}
