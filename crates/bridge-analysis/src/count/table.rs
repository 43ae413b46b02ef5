//! The responses of a history: the winning snapshot of each, and the sums over the others for the receipt.

use std::collections::HashMap;

use bridge_core::{ReceiptLine, ResponseKey, ResponseUsage};
use hashbrown::HashTable;

use crate::count::candidate::{Candidate, TokenRank};
use crate::count::context::Contexts;
use crate::count::request::RequestIds;
use crate::count::row::{Row, RowFlags, WideCounts};

/// Responses by key, each merged from its snapshots. 80 bytes a response, the id of its request, 5 to 10 of index,
/// and 4 until the change is taken.
///
/// Repeats within a file and copies across files are distinguished without a table for each file: nearly every
/// response is in one file only, which its row names. Only for those that a second file holds too is each file's
/// own rank kept, until the file is read.
#[derive(Debug, Default)]
pub(crate) struct ResponseTable {
    index: HashTable<u32>,
    rows: Vec<Row>,
    /// The numbers of wide rows, by place.
    wide: HashMap<u32, WideCounts>,
    /// The ids of the rows' requests.
    requests: RequestIds,
    /// Places of rows that changed since they were taken last.
    changed: Vec<u32>,
    /// For each file being read, its best snapshots of shared responses, by place.
    reading: HashMap<u32, HashMap<u32, TokenRank>>,
    /// The winners.
    total: ReceiptLine,
    /// The sum over files of their own winners: what remains after repeats within files are subtracted.
    file_winners: ReceiptLine,
}

impl ResponseTable {
    /// Begins a file.
    pub(crate) fn begin_file(&mut self, file: u32) {
        self.reading.insert(file, HashMap::new());
    }

    /// Ends a file after all of its snapshots were offered.
    pub(crate) fn end_file(&mut self, file: u32) {
        self.reading.remove(&file);
    }

    /// Offers a snapshot of a file. `request`: the id of its request, if any.
    pub(crate) fn candidate(
        &mut self,
        mut candidate: Candidate,
        request: &str,
        file: u32,
        contexts: &Contexts,
    ) {
        let Some(place) = self.find(candidate.key) else {
            candidate.request = self.requests.add(request);
            return self.insert(&candidate, file);
        };
        self.book_file_winner(place, &candidate, file);
        let before = self.winner(place);
        // Usually the same request: its id is kept once.
        let known = self.request(&before);
        let is_same_request = known == request;
        candidate.request = before.request;
        let is_winner = wins((&candidate, request), (&before, known), contexts);
        let row = &mut self.rows[place as usize];
        row.snapshot_tokens = row.snapshot_tokens.saturating_add(candidate.tokens());
        if !is_winner {
            return;
        }
        if !is_same_request {
            candidate.request = self.requests.add(request);
        }
        match row.set(&candidate) {
            Some(wide) => drop(self.wide.insert(place, wide)),
            None => drop(self.wide.remove(&place)),
        }
        replace(&mut self.total, before.tokens(), candidate.tokens());
        self.mark_changed(place);
    }

    /// Returns the id of a winner's request; an empty one if there is none.
    pub(crate) fn request(&self, winner: &Candidate) -> &str {
        self.requests.get(winner.request)
    }

    /// Returns the number of winners, and their tokens.
    pub(crate) fn total(&self) -> ReceiptLine {
        self.total
    }

    /// Returns the sum over files of their own winners.
    pub(crate) fn file_winners(&self) -> ReceiptLine {
        self.file_winners
    }

    /// Returns the winners whose key is weak.
    pub(crate) fn weak(&self) -> ReceiptLine {
        let mut weak = ReceiptLine::default();
        self.winners()
            .filter(|(winner, _)| winner.weak_key)
            .for_each(|(winner, _)| weak.add(winner.tokens()));
        weak
    }

    /// Returns the winning snapshots with the tokens of all snapshots, in the order in which the responses were found.
    pub(crate) fn winners(&self) -> impl ExactSizeIterator<Item = (Candidate, u64)> {
        self.rows.iter().enumerate().map(|(place, row)| {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            (row.winner(self.wide_of(place, row)), row.snapshot_tokens)
        })
    }

    /// Returns the number of rows that changed since they were taken last.
    pub(crate) fn changed(&self) -> usize {
        self.changed.len()
    }

    /// Takes the rows that changed since the last call.
    pub(crate) fn take_changed(&mut self, contexts: &Contexts) -> Vec<ResponseUsage> {
        let places = std::mem::take(&mut self.changed);
        let take = |place| {
            self.rows[place as usize].clear_flag(RowFlags::CHANGED);
            let winner = self.winner(place);
            winner.usage(contexts.get(winner.context), self.request(&winner))
        };
        places.into_iter().map(take).collect()
    }

    fn winner(&self, place: u32) -> Candidate {
        let row = &self.rows[place as usize];
        row.winner(self.wide_of(place, row))
    }

    fn wide_of(&self, place: u32, row: &Row) -> Option<&WideCounts> {
        if row.is_wide() { self.wide.get(&place) } else { None }
    }

    fn find(&self, key: ResponseKey) -> Option<u32> {
        self.index.find(slot(key), |place| self.rows[*place as usize].key == key).copied()
    }

    fn insert(&mut self, candidate: &Candidate, file: u32) {
        let place = u32::try_from(self.rows.len()).expect("2^32 responses would fill the memory first");
        let rows = &self.rows;
        self.index.insert_unique(slot(candidate.key), place, |place| slot(rows[*place as usize].key));
        let (row, wide) = Row::new(candidate, file);
        self.rows.push(row);
        self.wide.extend(wide.map(|wide| (place, wide)));
        self.total.add(candidate.tokens());
        self.file_winners.add(candidate.tokens());
        self.mark_changed(place);
    }

    fn mark_changed(&mut self, place: u32) {
        let row = &mut self.rows[place as usize];
        if !row.has(RowFlags::CHANGED) {
            row.set_flag(RowFlags::CHANGED);
            self.changed.push(place);
        }
    }

    /// Updates the file's own winner. The table's winner is not changed yet.
    fn book_file_winner(&mut self, place: u32, candidate: &Candidate, file: u32) {
        let (owner, is_shared) = {
            let row = &self.rows[place as usize];
            (row.owner, row.has(RowFlags::SHARED))
        };
        let rank = candidate.token_rank();
        if !is_shared {
            let best = self.winner(place).token_rank();
            if owner == file {
                if rank > best {
                    replace(&mut self.file_winners, best.total, rank.total);
                }
                return;
            }
            // Until now the table's winner was the owner's.
            if let Some(owner) = self.reading.get_mut(&owner) {
                owner.insert(place, best);
            }
            self.rows[place as usize].set_flag(RowFlags::SHARED);
        }
        let bests = self.reading.entry(file).or_default();
        match bests.get_mut(&place) {
            None => {
                bests.insert(place, rank);
                self.file_winners.add(rank.total);
            }
            Some(best) if rank > *best => {
                replace(&mut self.file_winners, best.total, rank.total);
                *best = rank;
            }
            Some(_) => {}
        }
    }
}

/// Returns whether a snapshot beats the current winner, by the order of the counting rule.
fn wins(candidate: (&Candidate, &str), winner: (&Candidate, &str), contexts: &Contexts) -> bool {
    let (rank, known) = (candidate.0.rank(), winner.0.rank());
    if rank != known || candidate == winner {
        return rank > known;
    }
    let version = |(candidate, request): (&Candidate, &str)| {
        candidate.usage(contexts.get(candidate.context), request).version()
    };
    version(candidate) > version(winner)
}

/// Replaces a snapshot by another one.
fn replace(line: &mut ReceiptLine, before: u64, now: u64) {
    line.tokens = line.tokens.saturating_sub(before).saturating_add(now);
}

/// The key is a hash already, and half of it is enough for the table.
fn slot(key: ResponseKey) -> u64 {
    (key.0 >> 64) as u64
}
