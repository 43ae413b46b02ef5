//! End-to-end tests of the example programs, from transcripts to totals read back from a real ClickHouse.
//!
//! Each test has its own data folder and removes it. The histories are generated, so their totals are known.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "clippy recognizes test functions, but not their helpers")]

mod failing;
mod full_disk;
mod killed;
mod password;
mod privacy;
mod repeated;
mod terminated;
mod test_run;
mod tour;
