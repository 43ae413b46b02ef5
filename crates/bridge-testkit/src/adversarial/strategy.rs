//! The same for proptest. A failing case shrinks by lines; a line stays as it is.

use fastrand::Rng;
use proptest::{collection, prelude::*};

/// Any line.
pub fn line() -> impl Strategy<Value = Vec<u8>> {
    any::<u64>().no_shrink().prop_map(|seed| super::line(&mut Rng::with_seed(seed)))
}

/// Up to that many lines.
pub fn lines(lines_max: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    collection::vec(line(), 0..=lines_max)
}
