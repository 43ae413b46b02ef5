//! Where pushed entries belong in their stream, and which of them are stored already.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A hash of entries in their order: of the first ones of a stream, or of some that follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Chain(pub(crate) u64);

impl Chain {
    /// Returns the chain with one more entry.
    pub(crate) fn then(self, entry: &[u8]) -> Self {
        Self(xxh3_64_with_seed(entry, self.0))
    }
}

/// The entries of a stream that are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StoredEntries {
    /// Their number.
    pub(crate) number: u64,
    /// Their chain.
    pub(crate) chain: Chain,
    /// The chain before the push that stored the last of them.
    pub(crate) before_last_push: Chain,
}

/// Where the entries of a push belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// How many of them, from the first on, stand in the stream already.
    pub(crate) known: usize,
    /// What is known of these.
    pub(crate) overlap: Overlap,
    /// The chain of what stands before the entries that count as this push.
    pub(crate) before: Chain,
}

/// What is known of the entries of a push that are stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// They are the same.
    Same,
    /// They have the numbers of stored ones, and may be others.
    Unproved,
    /// The stream is another one than before: nothing of it is stored.
    Replaced,
}

/// The entries before the push are missing: this many are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap(pub(crate) u64);

/// Finds where entries belong: at `first`, where the caller knows their number in the stream; else behind what is
/// stored, unless they begin with what was stored last, or with all that is.
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
        fn what_was_pushed_before_is_found(
            number in 1..20_usize, cut in 0..20_usize, more in 0..5_usize, from in 0..20_usize
        ) {
            let entries: Vec<Vec<u8>> = (0..number + more).map(|n| n.to_string().into_bytes()).collect();
            let (cut, from) = (cut.min(number - 1), from.min(number));
            let before = stored(&entries[..number], cut);
            // The last push again, and all of the stream again, each with more behind.
            for start in [cut, 0] {
                let found = placed(&entries[start..], None, before).unwrap();
                prop_assert_eq!((found.known, found.overlap), (number - start, Overlap::Same));
            }
            // By number.
            let found = placed(&entries[from..], Some(from as u64), before).unwrap();
            prop_assert_eq!(found.known, number - from);
            // New entries belong behind.
            if more > 0 {
                let found = placed(&entries[number..], None, before).unwrap();
                prop_assert_eq!(found, Placement { known: 0, overlap: Overlap::Same, before: before.chain });
            }
            prop_assert_eq!(placed(&entries, Some(number as u64 + 1), before), Err(Gap(number as u64)));
        }
    }

    #[test]
    fn another_stream_under_the_same_name_is_seen() {
        let entries = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
        let before = stored(&entries(&["a", "b"]), 1);
        let overlap = |names: &[&str], first| placed(&entries(names), first, before).unwrap().overlap;
        assert_eq!(overlap(&["x", "y"], Some(0)), Overlap::Replaced);
        assert_eq!(overlap(&["x"], Some(0)), Overlap::Unproved);
        assert_eq!(overlap(&["x", "y"], Some(1)), Overlap::Unproved);
        assert_eq!(overlap(&["b", "y"], Some(1)), Overlap::Same);
    }
}
