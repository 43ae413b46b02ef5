//! The responses of a file or of a whole history: of each the winning snapshot.

use bridge_core::{ResponseKey, ResponseRank, ResponseUsage};
use hashbrown::HashTable;

/// A response with what was read of it.
#[derive(Debug, Clone)]
pub struct Winner {
    /// The snapshot that counts.
    pub usage: ResponseUsage,
    /// The tokens of all its snapshots together.
    pub snapshot_tokens: u64,
    /// Whether it changed since [`ResponseTable::take_changed`] was called last.
    changed: bool,
}

/// Responses by key, each joined over its snapshots.
#[derive(Debug, Default)]
pub struct ResponseTable {
    index: HashTable<u32>,
    winners: Vec<Winner>,
    /// Places of winners that changed since they were taken last.
    changed: Vec<u32>,
}

impl ResponseTable {
    /// Offers a snapshot: `rank` says where it stands, `tokens` what it is worth, and `usage` makes its row
    /// where it is needed.
    pub(crate) fn offer(
        &mut self,
        key: ResponseKey,
        rank: ResponseRank,
        tokens: u64,
        usage: impl FnOnce() -> ResponseUsage,
    ) {
        let Some(place) = self.find(key) else { return self.insert(usage(), tokens) };
        let winner = &mut self.winners[place as usize];
        winner.snapshot_tokens += tokens;
        let known = winner.usage.rank();
        if rank < known {
            return;
        }
        let usage = usage();
        if rank > known || usage.version() > winner.usage.version() {
            winner.usage = usage;
            self.mark_changed(place);
        }
    }

    /// Joins what another table says of a response.
    pub(crate) fn join(&mut self, other: Winner) {
        let (key, rank, tokens) = (other.usage.key, other.usage.rank(), other.snapshot_tokens);
        self.offer(key, rank, tokens, || other.usage);
    }

    /// The responses, in the order in which they were met.
    #[must_use]
    pub fn winners(&self) -> &[Winner] {
        &self.winners
    }

    pub(crate) fn into_winners(self) -> Vec<Winner> {
        self.winners
    }

    /// The rows that changed since the last call: what a store has to be told.
    pub fn take_changed(&mut self) -> Vec<ResponseUsage> {
        let places = std::mem::take(&mut self.changed);
        places
            .into_iter()
            .map(|place| {
                let winner = &mut self.winners[place as usize];
                winner.changed = false;
                winner.usage.clone()
            })
            .collect()
    }

    fn find(&self, key: ResponseKey) -> Option<u32> {
        self.index.find(slot(key), |place| self.winners[*place as usize].usage.key == key).copied()
    }

    fn insert(&mut self, usage: ResponseUsage, snapshot_tokens: u64) {
        // 2^32 responses would need half a terabyte of memory before this could fail.
        let place = u32::try_from(self.winners.len()).expect("fewer than 2^32 responses");
        let winners = &self.winners;
        let hash = slot(usage.key);
        self.index.insert_unique(hash, place, |place| slot(winners[*place as usize].usage.key));
        self.winners.push(Winner { usage, snapshot_tokens, changed: false });
        self.mark_changed(place);
    }

    fn mark_changed(&mut self, place: u32) {
        let winner = &mut self.winners[place as usize];
        if !std::mem::replace(&mut winner.changed, true) {
            self.changed.push(place);
        }
    }
}

/// The key is a hash already; half of it is enough for the table.
fn slot(key: ResponseKey) -> u64 {
    (key.0 >> 64) as u64
}
