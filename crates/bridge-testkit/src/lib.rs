//! Reference analyzer, history generator, fault proxy and engine fixture for tests and benches.
//!
//! - [`reference`]: the counting rule written down slowly and obviously, to compare the fast analyzer with.
//! - [`history`]: small synthetic histories whose totals are known by construction.
//! - [`adversarial`]: single lines and transcripts that try to mislead a parser.

pub mod adversarial;
pub mod history;
pub mod reference;

mod counters;

pub use counters::Counters;
