//! Exact money for API responses, from dated prices.
//!
//! ```
//! use bridge_core::{ResponseKey, ResponseUsage, SessionId, TokenCounts};
//! use bridge_pricing::{Catalog, Usage};
//!
//! let session = SessionId::new("5e2c1c52-0b6f-4a8f-9d0c-3a9f6a1f9e11")?;
//! let mut response = ResponseUsage::new(ResponseKey(1), session, "2026-06-01T12:00:00Z".parse()?);
//! response.model = Some("claude-opus-4-6".parse()?);
//! response.counts = TokenCounts { input: 3, output: 1_000, cache_creation: 0, cache_read: 100_000 };
//!
//! // 3 x $5 + 1,000 x $25 + 100,000 x $0.50, each for a million tokens.
//! let bill = Catalog::shipped().price(&Usage::from(&response))?;
//! assert_eq!(bill.amount.exact(), "0.075015");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Architecture invariant: no floating point, no I/O, no clock. A response without a price is [`Unpriced`], never 0.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bill;
mod catalog;
mod custom;
mod decimal;
mod digest;
mod entry;
mod instant;
mod layer;
mod price;
mod problem;
mod rows;
mod usage;

pub use bill::{Bill, Part};
#[doc(no_inline)]
pub use bridge_core::{Cost, CostChange, Money, PriceKind, Processing, Speed, Unpriced};
pub use catalog::{Catalog, CatalogError};
pub use custom::{
    Alias, Currency, CustomPrice, CustomPrices, Discount, EntryLocation, Period, UnknownCurrency,
};
pub use digest::CatalogDigest;
pub use entry::{Entry, Rates};
pub use price::{Factor, Percent, Price, PriceError};
pub use problem::{Problem, ProblemKind};
pub use usage::Usage;
