//! The whole way, from transcripts to figures read back from a real ClickHouse, by the examples `backfill` and `tour`.
//!
//! Each test has a data folder of its own and leaves nothing behind. The histories are generated, so their
//! totals are known.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute and not what they are made of")]

mod failing;
mod full_disk;
mod killed;
mod password;
mod place;
mod privacy;
mod repeated;
mod terminated;
mod tour;
