//! The recent tokens without a price, as health checks last found them.

use std::time::Duration;

use bridge_core::{BridgeError, Timestamp};
use bridge_storage::TokenStore;
use tokio::sync::Mutex;

use crate::dashboard::priced_tokens::{PricedTokens, priced_tokens};

/// The time for which the tokens are not read again, unless the price list in use is another one.
const KEPT_FOR: Duration = Duration::from_mins(5);

/// The tokens with and without a price at the last read.
#[derive(Debug, Default)]
pub(super) struct KnownTokens(Mutex<Option<(Timestamp, PricedTokens)>>);

impl KnownTokens {
    /// Returns the recent tokens with and without a price; `None` if the store has no price list in use.
    pub(super) async fn read(
        &self,
        store: &dyn TokenStore,
        now: Timestamp,
    ) -> Result<Option<PricedTokens>, BridgeError> {
        let Some(prices) = store.prices() else { return Ok(None) };
        let Some(digest) = prices.prices_in_use().await? else { return Ok(None) };
        let mut known = self.0.lock().await;
        let is_current = |(read_at, tokens): &&(Timestamp, PricedTokens)| {
            tokens.digest == digest && now.saturating_since(*read_at) < KEPT_FOR
        };
        if let Some((_, tokens)) = known.as_ref().filter(is_current) {
            return Ok(Some(tokens.clone()));
        }
        let tokens = priced_tokens(store, now).await?;
        *known = tokens.clone().map(|tokens| (now, tokens));
        Ok(tokens)
    }
}
