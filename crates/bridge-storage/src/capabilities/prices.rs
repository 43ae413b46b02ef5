//! Price lists of a store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bridge_core::{BridgeError, PriceRow, Timestamp};

use crate::prices::{CostRow, PriceList};
use crate::query::ResponseFilter;

/// Keeps price lists, and prices the stored responses by the one in use.
///
/// With a price list in use, a dashboard has the cost of everything that it sums
/// ([`DashboardFilter::cost`](crate::DashboardFilter::cost)).
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// use bridge_pricing::Catalog;
/// use bridge_storage::{InMemoryStore, PriceStore, ResponseFilter};
///
/// let store = InMemoryStore::default();
/// let catalog = Catalog::shipped();
/// let (digest, rows) = (catalog.digest().to_string(), catalog.rows().collect::<Vec<_>>());
/// assert!(store.use_prices(&digest, &rows, "2026-11-26T00:00:00Z".parse()?).await?);
/// assert_eq!(store.price_list(&digest).await?.digest(), digest);
/// assert_eq!(store.prices_in_use().await?, Some(digest));
/// assert!(store.costs(&ResponseFilter::default()).await?.is_empty(), "nothing is stored");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait PriceStore: Send + Sync + fmt::Debug {
    /// Stores a price list under the digest of its catalog and puts it in use: all responses are priced by it from
    /// then on. Nothing is written if it is in use already, and the lists from before stay. Of several programs with
    /// different lists the last one wins.
    ///
    /// Returns whether anything was written.
    async fn use_prices(&self, digest: &str, rows: &[PriceRow], now: Timestamp) -> Result<bool, BridgeError>;

    /// Returns the digest of the price list in use; `None` if none was stored.
    async fn prices_in_use(&self) -> Result<Option<String>, BridgeError>;

    /// Returns the price list of this digest. It prices responses as the store does, to the last digit. A digest that
    /// was never stored is an error.
    async fn price_list(&self, digest: &str) -> Result<Arc<PriceList>, BridgeError>;

    /// Returns what the responses cost that a filter admits, by model and reason for having no price. Without a price
    /// list in use all are of unknown models.
    async fn costs(&self, filter: &ResponseFilter) -> Result<Vec<CostRow>, BridgeError>;
}
