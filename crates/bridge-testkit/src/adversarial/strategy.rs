//! Proptest strategies for adversarial lines. Failing cases shrink by removing lines; single lines do not shrink.

use fastrand::Rng;
use proptest::{collection, prelude::*};

/// Returns a strategy for one line.
pub fn line() -> impl Strategy<Value = Vec<u8>> {
    any::<u64>().no_shrink().prop_map(|seed| super::line(&mut Rng::with_seed(seed)))
}

/// Returns a strategy for up to this many lines.
pub fn lines(lines_max: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    collection::vec(line(), 0..=lines_max)
}
