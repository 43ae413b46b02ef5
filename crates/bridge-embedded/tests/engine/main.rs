//! Integration tests on the real engine.
//!
//! Each test has its own data folder and leaves nothing behind: it waits until its engine is gone. The engine is
//! fetched into the user's cache folder if it is missing; `BRIDGE_ENGINE_CACHE` names another one. Other programs
//! that use an engine are this binary itself, spawned again (`support::OtherProgram`). Unsupported platforms have
//! nothing to test.
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
