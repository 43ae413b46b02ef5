//! Stores token usage exactly once, behind the [`TokenStore`] trait.
//!
//! Storing is a join: of two versions of a response's row the greater stays, whatever order they arrive in
//! and however often. [`InMemoryStore`] is the reference model.

mod memory;
mod store;

pub use memory::InMemoryStore;
pub use store::{
    BreakdownRow, Dimension, ResponseFilter, SourceRecord, StoreTotals, SummaryFilter, TokenStore,
    UpsertOptions, UpsertOutcome,
};
