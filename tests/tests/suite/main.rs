//! Tests of the whole workspace; only `sync_model` needs a database.
//!
//! - `analysis_properties`: the analyzer against the reference model, in any order and with any damage.
//! - `architecture`: permitted dependencies between the packages.
//! - `doc_examples`: what a user configures and calls appears in an example of the documentation.
//! - `project_rules`: rules of the source tree that no lint checks.
//! - `public_api`: the page of the public API of the facade, and its size.
//! - `privacy`: no conversation text leaves the analyzer.
//! - `sync_model`: the store equals a model after any changes to files between synchronizations.
//! - `bad_input`: the command line with unusable input.
//!
//! `cargo test -p bridge-tests` runs them in parallel, each in its own temporary folder.
#![allow(clippy::unwrap_used, reason = "tests panic on errors")]

mod analysis_properties;
mod architecture;
mod bad_input;
mod dashboards;
mod doc_examples;
mod privacy;
mod project_rules;
mod public_api;
mod sync_model;
