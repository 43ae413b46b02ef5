//! Promises of the whole that need no database.
//!
//! - `analysis_properties`: the analyzer against the reference model, under every order and damage.
//! - `architecture`: who may depend on whom.
//! - `project_rules`: rules of the source tree that no lint checks.
//! - `public_api`: the page of the public API of the facade, and its size.
//! - `privacy`: no text of a conversation leaves the analyzer.
//! - `sync_model`: whatever happens to files between synchronizations, the store equals the model.
//! - `bad_input`: what the command line says and does when it gets what it cannot use.
//!
//! `cargo test -p bridge-tests` runs them; they run in parallel, in folders of their own, and leave nothing behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod analysis_properties;
mod architecture;
mod bad_input;
mod privacy;
mod project_rules;
mod public_api;
mod sync_model;
