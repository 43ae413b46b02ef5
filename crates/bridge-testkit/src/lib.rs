//! Reference analyzer, history generator, fault proxy and engine fixture for tests and benches.
//!
//! - [`mod@reference`]: the counting rule written down slowly and obviously, to compare the fast analyzer with.
//! - [`first_revision`]: what programs of the first revision of the counting rule stored.
//! - [`fixtures`]: rows, analyses and lines of transcripts that many tests begin with.
//! - [`history`]: small synthetic histories whose totals are known by construction.
//! - [`adversarial`]: single lines and transcripts that try to mislead a parser.
//! - `engine` (feature): one embedded ClickHouse for a test binary, a database for each test.
//! - `log` (feature): a log that keeps everything that is told.
//! - [`small_disk`]: a disk of a few megabytes that a test may fill.
//! - `proxy` (feature): a network that fails on command.

pub mod adversarial;
#[cfg(feature = "engine")]
pub mod engine;
pub mod first_revision;
pub mod fixtures;
pub mod history;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod reference;
pub mod small_disk;

mod counters;

pub use counters::Counters;
