//! The responses of a history: of each the winning snapshot, and what the receipt needs to know of the rest.

use std::collections::HashMap;

use bridge_core::{ReceiptLine, ResponseKey, ResponseUsage};
use hashbrown::HashTable;

use crate::context::Contexts;
use crate::row::{Large, Marks, Offer, Row, Weight};

/// Responses by key, each joined over its snapshots. 64 bytes a response, 5 to 10 of index, and 4 until the
/// change is taken.
///
/// Repeats within a file and copies across files are told apart without a table for each file: nearly every
/// response stands in one file, which its row names. Only for those that a second file holds too, what each
/// file says is kept, until the file is read.
#[derive(Debug, Default)]
pub(crate) struct ResponseTable {
    index: HashTable<u32>,
    rows: Vec<Row>,
    /// The numbers of large rows, by place.
    large: HashMap<u32, Large>,
    /// Places of rows that changed since they were taken last.
    changed: Vec<u32>,
    /// For each file that is being read the best snapshots it holds of shared responses, by place.
    reading: HashMap<u32, HashMap<u32, Weight>>,
    /// The winners.
    total: ReceiptLine,
    /// The sum over files of their own winners: what remains when repeats within files are taken off.
    file_winners: ReceiptLine,
}

impl ResponseTable {
    /// Says that snapshots of a file will be offered.
    pub(crate) fn begin_file(&mut self, file: u32) {
        self.reading.insert(file, HashMap::new());
    }

    /// Says that all snapshots of a file were offered.
    pub(crate) fn end_file(&mut self, file: u32) {
        self.reading.remove(&file);
    }

    /// Offers a snapshot of a file.
    pub(crate) fn offer(&mut self, offer: &Offer, file: u32, contexts: &Contexts) {
        let Some(place) = self.find(offer.key) else { return self.insert(offer, file) };
        self.book_file_winner(place, offer, file);
        let before = self.winner(place);
        let row = &mut self.rows[place as usize];
        row.snapshot_tokens = row.snapshot_tokens.saturating_add(offer.tokens());
        if !wins(offer, &before, contexts) {
            return;
        }
        match row.set(offer) {
            Some(large) => drop(self.large.insert(place, large)),
            None => drop(self.large.remove(&place)),
        }
        replace(&mut self.total, before.tokens(), offer.tokens());
        self.mark_changed(place);
    }

    /// The winners, and their tokens.
    pub(crate) fn total(&self) -> ReceiptLine {
        self.total
    }

    /// The sum over files of their own winners.
    pub(crate) fn file_winners(&self) -> ReceiptLine {
        self.file_winners
    }

    /// The winners whose key is weak.
    pub(crate) fn weak(&self) -> ReceiptLine {
        let mut weak = ReceiptLine::default();
        self.winners()
            .filter(|(winner, _)| winner.weak_key)
            .for_each(|(winner, _)| weak.add(winner.tokens()));
        weak
    }

    /// The winning snapshots with the tokens of all snapshots, in the order in which the responses were met.
    pub(crate) fn winners(&self) -> impl ExactSizeIterator<Item = (Offer, u64)> {
        self.rows.iter().enumerate().map(|(place, row)| {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            (row.winner(self.large_of(place, row)), row.snapshot_tokens)
        })
    }

    /// Returns the number of rows that changed since they were taken last.
    pub(crate) fn changed(&self) -> usize {
        self.changed.len()
    }

    /// The rows that changed since the last call.
    pub(crate) fn take_changed(&mut self, contexts: &Contexts) -> Vec<ResponseUsage> {
        let places = std::mem::take(&mut self.changed);
        let take = |place| {
            self.rows[place as usize].unmark(Marks::CHANGED);
            let winner = self.winner(place);
            winner.usage(contexts.get(winner.context))
        };
        places.into_iter().map(take).collect()
    }

    fn winner(&self, place: u32) -> Offer {
        let row = &self.rows[place as usize];
        row.winner(self.large_of(place, row))
    }

    fn large_of(&self, place: u32, row: &Row) -> Option<&Large> {
        if row.is_large() { self.large.get(&place) } else { None }
    }

    fn find(&self, key: ResponseKey) -> Option<u32> {
        self.index.find(slot(key), |place| self.rows[*place as usize].key == key).copied()
    }

    fn insert(&mut self, offer: &Offer, file: u32) {
        let place = u32::try_from(self.rows.len()).expect("2^32 responses would fill the memory first");
        let rows = &self.rows;
        self.index.insert_unique(slot(offer.key), place, |place| slot(rows[*place as usize].key));
        let (row, large) = Row::new(offer, file);
        self.rows.push(row);
        self.large.extend(large.map(|large| (place, large)));
        self.total.add(offer.tokens());
        self.file_winners.add(offer.tokens());
        self.mark_changed(place);
    }

    fn mark_changed(&mut self, place: u32) {
        let row = &mut self.rows[place as usize];
        if !row.has(Marks::CHANGED) {
            row.mark(Marks::CHANGED);
            self.changed.push(place);
        }
    }

    /// Books what the snapshot does to its file's own winner. The table's winner is not changed yet.
    fn book_file_winner(&mut self, place: u32, offer: &Offer, file: u32) {
        let (owner, is_shared) = {
            let row = &self.rows[place as usize];
            (row.owner, row.has(Marks::SHARED))
        };
        let weight = offer.weight();
        if !is_shared {
            let best = self.winner(place).weight();
            if owner == file {
                if weight > best {
                    replace(&mut self.file_winners, best.total, weight.total);
                }
                return;
            }
            // Until now the table's winner was the owner's.
            if let Some(owner) = self.reading.get_mut(&owner) {
                owner.insert(place, best);
            }
            self.rows[place as usize].mark(Marks::SHARED);
        }
        let bests = self.reading.entry(file).or_default();
        match bests.get_mut(&place) {
            None => {
                bests.insert(place, weight);
                self.file_winners.add(weight.total);
            }
            Some(best) if weight > *best => {
                replace(&mut self.file_winners, best.total, weight.total);
                *best = weight;
            }
            Some(_) => {}
        }
    }
}

/// Whether a snapshot is greater than the one that has won so far, by the order of the counting rule.
fn wins(offer: &Offer, winner: &Offer, contexts: &Contexts) -> bool {
    let (rank, known) = (offer.rank(), winner.rank());
    if rank != known || offer == winner {
        return rank > known;
    }
    let version = |offer: &Offer| offer.usage(contexts.get(offer.context)).version();
    version(offer) > version(winner)
}

/// Another snapshot counts: so many tokens before, so many now.
fn replace(line: &mut ReceiptLine, before: u64, now: u64) {
    line.tokens = line.tokens.saturating_sub(before).saturating_add(now);
}

/// The key is a hash already; half of it is enough for the table.
fn slot(key: ResponseKey) -> u64 {
    (key.0 >> 64) as u64
}
