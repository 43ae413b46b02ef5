//! Blocks: the windows of time by which clients limit usage.
//!
//! Architecture invariant: the bounds are a pure function of the times of responses and limits; no I/O and no clock.

mod answer;
mod windows;

pub use answer::{BlockSource, Blocks, UsageBlock};
pub use windows::BlockLength;
pub(crate) use windows::{Step, hour_of, recorded, windows};
