//! Promises of the embedded engine, kept on the real engine.
//!
//! Each test has a data folder of its own and leaves nothing behind: it waits until its engine is gone. The
//! engine is fetched into the user's cache folder if it is not there; set `BRIDGE_ENGINE_CACHE` to keep it
//! elsewhere. Other users of an engine are this binary itself, started again (`support::OtherProgram`). On a
//! platform without an engine there is nothing to test.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute and not what they are made of")]

mod access;
mod confinement;
mod crash;
mod fetching;
mod folder;
mod hostile;
mod impostor;
mod query_log;
mod sharing;
mod support;
mod upgrade;
