//! Prices against bills computed by hand and against a slow reference.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod bills;
mod custom;
mod properties;
mod reference;
mod shipped;
