//! The merge of offered rows into stored ones: which row of a key is written, and under which version.
//!
//! [`InMemoryStore`](crate::InMemoryStore) has its own code for this, so that the conformance suite, which compares
//! stores with it, can find a fault here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use bridge_core::{Origin, ResponseKey, ResponseUsage, ResponseVersion};
use xxhash_rust::xxh3::xxh3_64;

use crate::offered::Candidate;
use crate::store::{ReplacedRow, UpsertOutcome};

/// Returns, for each key, the greatest of these rows; of equal ones the first.
pub(crate) fn greatest_of_each_key<'a>(rows: &[Candidate<'a>]) -> Vec<Candidate<'a>> {
    let mut greatest: HashMap<ResponseKey, usize, BuildHasherDefault<KeyHasher>> =
        HashMap::with_capacity_and_hasher(rows.len(), BuildHasherDefault::default());
    for (place, candidate) in rows.iter().enumerate() {
        match greatest.entry(candidate.row.key) {
            Entry::Vacant(entry) => drop(entry.insert(place)),
            Entry::Occupied(mut known) => {
                if candidate.row.version() > rows[*known.get()].row.version() {
                    known.insert(place);
                }
            }
        }
    }
    let mut places: Vec<usize> = greatest.into_values().collect();
    places.sort_unstable();
    places.into_iter().map(|place| rows[place]).collect()
}

/// A key is a hash already, so combining its two halves suffices.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u128(&mut self, key: u128) {
        // Both halves, because one half of keys that were not hashed may be constant.
        self.0 =
            u64::try_from(key >> 64).unwrap_or(0) ^ u64::try_from(key & u128::from(u64::MAX)).unwrap_or(0);
    }
}

/// The row that is stored under a key.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) version: ResponseVersion,
    pub(crate) row: ReplacedRow,
    pub(crate) is_covered: bool,
}

/// Returns the outcome of an upsert of `row` over `stored`, and the version to write. With `force` a row is always
/// written; the caller omits it for a row that is stored exactly so. An equal version alone does not show that: someone
/// may have changed the other fields.
pub(crate) fn decide(
    row: &ResponseUsage,
    stored: Option<Stored>,
    force: bool,
) -> (UpsertOutcome, Option<ResponseVersion>) {
    // The number of forced updates belongs to the stored row it came from; here the row is a snapshot like any other.
    let own = match row.forced {
        0 => row.version(),
        _ => ResponseUsage { forced: 0, ..row.clone() }.version(),
    };
    match stored {
        None => (UpsertOutcome::New, Some(own)),
        Some(stored) if own > stored.version => (UpsertOutcome::Replaced(stored.row), Some(own)),
        // Not even by force: the tokens would be counted a second time.
        Some(stored) if stored.is_covered && row.origin != Origin::Covered => (UpsertOutcome::Covered, None),
        Some(stored) if stored.is_covered || !force => (UpsertOutcome::Unchanged, None),
        // A version above the stored one, or else the old row would win again the next time it is offered.
        Some(stored) => (UpsertOutcome::Replaced(stored.row), Some(stored.version.replaced_by(row))),
    }
}
