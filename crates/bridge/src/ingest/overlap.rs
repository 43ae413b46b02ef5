//! Finds the place of pushed entries in their stream, and which of them are already stored.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A hash of a sequence of entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Chain(pub(crate) u64);

impl Chain {
    /// Returns the hash of the sequence followed by this entry.
    pub(crate) fn then(self, entry: &[u8]) -> Self {
        Self(xxh3_64_with_seed(entry, self.0))
    }
}

/// The stored entries of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StoredEntries {
    /// Their number.
    pub(crate) number: u64,
    /// Their chain.
    pub(crate) chain: Chain,
    /// The chain before the last push.
    pub(crate) before_last_push: Chain,
}

/// The place of a push in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Number of leading entries that are already stored.
    pub(crate) known: usize,
    /// The relation between these and the stored ones.
    pub(crate) overlap: Overlap,
    /// The chain before the push, for recognizing its repetition.
    pub(crate) before: Chain,
}

/// The relation between the leading entries of a push and the stored entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// They are equal.
    Same,
    /// They have the same numbers, but may differ.
    Unproved,
    /// They differ from the beginning of the stream on: it is another stream.
    Replaced,
}

/// Entries before the push are missing. Holds the number of stored entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap(pub(crate) u64);

/// Places entries in a stream. `first` is the number of the first one, if the caller knows it. Otherwise they follow
/// the stored entries, except for a beginning that repeats the last push or the whole stream.
pub(crate) fn place<'e>(
    entries: impl Iterator<Item = &'e [u8]>,
    first: Option<u64>,
    stored: StoredEntries,
) -> Result<Placement, Gap> {
    let behind = Placement { known: 0, overlap: Overlap::Same, before: stored.chain };
    if first.is_some_and(|first| first > stored.number) {
        return Err(Gap(stored.number));
    }
    if stored.number == 0 || first == Some(stored.number) {
        return Ok(behind);
    }
    let overlapping = first.map(|first| usize::try_from(stored.number - first).unwrap_or(usize::MAX));
    let starts = [Chain::default(), stored.before_last_push];
    let (mut chains, mut number) = (starts, 0);
    for entry in entries.take(overlapping.unwrap_or(usize::MAX)) {
        chains = chains.map(|chain| chain.then(entry));
        number += 1;
        let reached = chains.iter().position(|chain| *chain == stored.chain);
        if let Some(start) = reached.filter(|_| overlapping.is_none_or(|overlapping| overlapping == number)) {
            return Ok(Placement { known: number, overlap: Overlap::Same, before: starts[start] });
        }
    }
    Ok(match (first, overlapping) {
        (Some(0), Some(overlapping)) if number == overlapping => {
            Placement { known: 0, overlap: Overlap::Replaced, before: Chain::default() }
        }
        (Some(_), _) => Placement { known: number, overlap: Overlap::Unproved, before: stored.chain },
        (None, _) => behind,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(entries: &[Vec<u8>]) -> Chain {
        entries.iter().fold(Chain::default(), |chain, entry| chain.then(entry))
    }

    fn stored(entries: &[Vec<u8>], last_push: usize) -> StoredEntries {
        StoredEntries {
            number: entries.len() as u64,
            chain: chain(entries),
            before_last_push: chain(&entries[..last_push]),
        }
    }

    fn placed(entries: &[Vec<u8>], first: Option<u64>, stored: StoredEntries) -> Result<Placement, Gap> {
        place(entries.iter().map(Vec::as_slice), first, stored)
    }

    proptest! {
        #[test]
        fn repeated_entries_are_recognized(
            number in 1..20_usize, cut in 0..20_usize, more in 0..5_usize, from in 0..20_usize
        ) {
            let entries: Vec<Vec<u8>> = (0..number + more).map(|n| n.to_string().into_bytes()).collect();
            let (cut, from) = (cut.min(number - 1), from.min(number));
            let before = stored(&entries[..number], cut);
            // The last push and the whole stream again, each followed by more.
            for start in [cut, 0] {
                let found = placed(&entries[start..], None, before).unwrap();
                prop_assert_eq!((found.known, found.overlap), (number - start, Overlap::Same));
            }
            // By number.
            let found = placed(&entries[from..], Some(from as u64), before).unwrap();
            prop_assert_eq!(found.known, number - from);
            // New entries follow.
            if more > 0 {
                let found = placed(&entries[number..], None, before).unwrap();
                prop_assert_eq!(found, Placement { known: 0, overlap: Overlap::Same, before: before.chain });
            }
            prop_assert_eq!(placed(&entries, Some(number as u64 + 1), before), Err(Gap(number as u64)));
        }
    }

    #[test]
    fn another_stream_under_the_same_name_is_recognized() {
        let entries = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
        let before = stored(&entries(&["a", "b"]), 1);
        let overlap = |names: &[&str], first| placed(&entries(names), first, before).unwrap().overlap;
        assert_eq!(overlap(&["x", "y"], Some(0)), Overlap::Replaced);
        assert_eq!(overlap(&["x"], Some(0)), Overlap::Unproved);
        assert_eq!(overlap(&["x", "y"], Some(1)), Overlap::Unproved);
        assert_eq!(overlap(&["b", "y"], Some(1)), Overlap::Same);
    }
}
