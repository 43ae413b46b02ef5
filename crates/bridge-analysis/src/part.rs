//! A part of a transcript, the lines that begin in a range of it: what is known before it is read, and after.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bridge_core::{DamageCounts, Origin, ReceiptLine, SessionId, SupersededKey, Timestamp};

use crate::category::CategoryCounter;
use crate::context::{FileNames, PartContexts};
use crate::file::{DamagePlace, SessionInFile};
use crate::lines::Limits;
use crate::record::Snapshot;
use crate::row::Offer;
use crate::{AnalyzerOptions, FileRead, KnownTime, ReadPosition, SourceFile};

/// A file that is to be read, and from where.
#[derive(Debug)]
pub(crate) struct FileTask<'a> {
    pub(crate) file: &'a SourceFile,
    pub(crate) names: FileNames,
    /// Where reading begins, and what is known of what lies before.
    pub(crate) from: ReadPosition,
    /// What lies behind is not read.
    pub(crate) until: u64,
    /// Times that had to be looked for, by the offset before which they stand, so that no part looks further
    /// back than the one before it.
    looked_back: Mutex<BTreeMap<u64, Option<Timestamp>>>,
}

impl<'a> FileTask<'a> {
    pub(crate) fn new(read: &'a FileRead, options: &AnalyzerOptions) -> Self {
        let FileRead { file, from, until } = read;
        let stem = SessionId::new(file.stem()).or_else(|_| SessionId::new("unnamed"));
        let names = FileNames {
            stem: stem.expect("a constant is a session id"),
            project_folder: file.project_folder.clone(),
            host: options.host.clone(),
            project_names: options.project_names.clone(),
        };
        Self { file, names, from: *from, until: *until, looked_back: Mutex::default() }
    }

    /// The nearest offset up to this one before which the time is known.
    pub(crate) fn known_before(&self, offset: u64) -> KnownTime {
        let looked_back = self.looked_back.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = looked_back.range(..=offset).next_back();
        nearest.map_or(self.from.time, |(before, time)| KnownTime { before: *before, time: *time })
    }

    pub(crate) fn note_time(&self, before: u64, time: Option<Timestamp>) {
        self.looked_back.lock().unwrap_or_else(PoisonError::into_inner).insert(before, time);
    }
}

/// What stands in a part of a file, beside its snapshots.
#[derive(Debug, Default)]
pub(crate) struct PartReport {
    /// Lines that are not blank.
    pub(crate) lines: u64,
    /// Line ends.
    pub(crate) newlines: u64,
    /// Behind the last line read; of a pending line its start.
    pub(crate) end: u64,
    /// Behind the last line read.
    pub(crate) read_to: u64,
    pub(crate) damage: DamageCounts,
    /// The lines' numbers count from the part's first, which is 1.
    pub(crate) damage_places: Vec<DamagePlace>,
    /// In the order of their first snapshots.
    pub(crate) sessions: Vec<(SessionId, SessionInFile)>,
    pub(crate) categories: Option<CategoryCounter>,
    pub(crate) known_time: Option<KnownTime>,
}

/// The snapshots of a file by where they stand: the terms of the receipt that are added.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SnapshotSums {
    pub(crate) assistant_lines: ReceiptLine,
    pub(crate) nested: ReceiptLine,
    pub(crate) from_iterations: ReceiptLine,
    pub(crate) raised: ReceiptLine,
    pub(crate) advisor: ReceiptLine,
    pub(crate) compaction: ReceiptLine,
    pub(crate) declined: ReceiptLine,
    pub(crate) other: ReceiptLine,
    pub(crate) weak: ReceiptLine,
}

impl SnapshotSums {
    /// Adds a snapshot worth `tokens`.
    pub(crate) fn add(&mut self, snapshot: &Snapshot<'_>, tokens: u64) {
        if snapshot.weak_key {
            self.weak.add(tokens);
        }
        if snapshot.raised > 0 {
            self.raised.add(snapshot.raised);
        }
        let line = match (snapshot.origin, snapshot.nested) {
            (Origin::Advisor, _) => &mut self.advisor,
            (Origin::Compaction, _) => &mut self.compaction,
            (Origin::Declined, _) => &mut self.declined,
            (Origin::Other, _) => &mut self.other,
            (Origin::Iterations, nested) => {
                self.from_iterations.add(tokens);
                let line = if nested { &mut self.nested } else { &mut self.assistant_lines };
                return line.add(0);
            }
            (_, true) => &mut self.nested,
            (_, false) => &mut self.assistant_lines,
        };
        line.add(tokens - snapshot.raised);
    }
}

/// Snapshots on their way to the table.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) sums: SnapshotSums,
    pub(crate) offers: Vec<Offer>,
    pub(crate) superseded: Vec<SupersededKey>,
    /// What [`Offer::context`] is a place in. Stays from batch to batch of a part.
    pub(crate) contexts: PartContexts,
    /// The places of these contexts in the history, as far as they are there.
    pub(crate) placed: Vec<u32>,
}

/// How parts are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartOptions {
    pub(crate) limits: Limits,
    /// Whether lines that hold no usage are parsed too.
    pub(crate) every_line: bool,
    pub(crate) categories: bool,
}
