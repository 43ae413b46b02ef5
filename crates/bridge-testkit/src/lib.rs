//! Reference analyzer, history generator, fault proxy and engine fixture for tests and benches.
//!
//! - [`mod@reference`]: a simple, slow implementation of the counting rule, to compare the fast analyzer with.
//! - [`first_revision`]: rows as stored by programs of revision 1 of the counting rule.
//! - [`fixtures`]: rows, analyses and transcript lines shared by many tests.
//! - [`history`]: small synthetic histories with totals known by construction.
//! - [`adversarial`]: lines and transcripts that try to mislead a parser.
//! - `browser` (feature): headless Chromium.
//! - `engine` (feature): one embedded ClickHouse for each test binary, one database for each test.
//! - `log` (feature): a `tracing` subscriber that records every event.
//! - [`small_disk`]: a disk of a few megabytes for tests of a full disk.
//! - `proxy`, `gateway` (feature `proxy`): a TCP proxy that injects network faults, and an HTTP gateway that demands a
//!   header.

pub mod adversarial;
#[cfg(feature = "browser")]
pub mod browser;
#[cfg(feature = "engine")]
pub mod engine;
pub mod first_revision;
pub mod fixtures;
#[cfg(feature = "proxy")]
pub mod gateway;
pub mod history;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod reference;
pub mod small_disk;

mod counters;

pub use counters::Counters;
