//! Reads transcripts: plain functions on a blocking thread and its workers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use bridge_analysis::incremental::{FileState, analyze_reads};
use bridge_analysis::{AnalysisProgress, AnalyzerOptions, FileAnalysis, History};
use bridge_core::{DamageCounts, HostName, ResponseUsage, SessionId, SupersededKey, TimeRange, Timestamp};
use bridge_storage::SourceRecord;
use tokio::sync::mpsc;

use crate::ingest::cursors::FileReading;
use crate::ingest::plan::ReadPlan;

/// Findings of a batch of files.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<ResponseUsage>,
    /// Keys under which older revisions of the rule stored what now counts under the rows' keys.
    pub(crate) superseded: Vec<SupersededKey>,
    pub(crate) sources: Vec<SourceRecord>,
    /// Sessions with a snapshot in what was read, even if greater ones of other sessions won. Their sums are covered,
    /// however the files are divided into batches.
    pub(crate) sessions: BTreeSet<SessionId>,
}

/// A session's part of the files that were read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SessionRead {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Amounts that were read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SourcesRead {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) damage: DamageCounts,
}

/// The result of reading.
#[derive(Debug, Default)]
pub(crate) struct ReadResult {
    pub(crate) history: History,
    pub(crate) sessions: BTreeMap<SessionId, SessionRead>,
    /// The sessions of files without responses.
    pub(crate) without_responses: BTreeSet<SessionId>,
    pub(crate) sources: SourcesRead,
    pub(crate) plan: ReadPlan,
}

impl ReadResult {
    /// Adds a file that was read.
    fn add(&mut self, file: FileAnalysis) {
        self.sources.bytes += file.bytes;
        self.sources.lines += file.lines;
        self.sources.damage += file.damage;
        if file.sessions.is_empty() {
            self.without_responses.insert(file.home_session);
        }
        for session in file.sessions.into_keys() {
            let read = self.sessions.entry(session).or_default();
            read.files += 1;
            read.bytes += file.bytes;
        }
    }
}

/// The reading half of the pipeline.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) plan: ReadPlan,
    pub(crate) batch_size: usize,
    pub(crate) range: TimeRange,
    pub(crate) analyzer: AnalyzerOptions,
    pub(crate) host: HostName,
    pub(crate) read_at: Timestamp,
}

impl Reader {
    /// Reads everything, and sends batches if there is a channel.
    pub(crate) fn run(
        mut self,
        progress: &AnalysisProgress,
        storing: Option<&mpsc::Sender<Batch>>,
    ) -> ReadResult {
        let (mut result, mut history) = (ReadResult::default(), History::default());
        self.plan.errors.drain(..).for_each(|error| history.add_error(error));
        let reads = std::mem::take(&mut self.plan.reads);
        let states = std::mem::take(&mut self.plan.states);
        // A winner may still move out of the range, so a limited backfill stores when all is read. What it stores is
        // not all of a file, so it records none.
        let storing_at_once = storing.filter(|_| self.range.is_all());
        let mut batch = Pending { sources: std::mem::take(&mut self.plan.moved), sessions: BTreeSet::new() };
        let mut states = states.chunks(self.batch_size.max(1));
        for reads in reads.chunks(self.batch_size.max(1)) {
            let states = states.next().unwrap_or_default();
            let states: HashMap<&Path, &FileState> =
                reads.iter().map(|read| read.file.path.as_path()).zip(states).collect();
            analyze_reads(reads, &self.analyzer, progress, &mut history, |history, file| {
                let state = states.get(file.file.path.as_path()).copied();
                batch.add(&file, self.records(&file, state));
                result.add(file);
                if let Some(storing) = storing_at_once
                    && history.changed() >= BATCH_ROWS
                {
                    batch.send(history, storing, progress);
                }
            });
            if let Some(storing) = storing_at_once {
                batch.send(&mut history, storing, progress);
            }
            if progress.is_cancelled() {
                break;
            }
        }
        if let Some(storing) = storing
            && !self.range.is_all()
        {
            self.send_limited(&mut history, storing);
        }
        ReadResult { history, plan: self.plan, ..result }
    }

    /// Sends the rows within the range.
    fn send_limited(&self, history: &mut History, storing: &mpsc::Sender<Batch>) {
        let mut rows = history.take_changed();
        rows.retain(|row| self.range.contains(row.time));
        // What an older revision stored stays until everything that replaces it is stored.
        let (superseded, sources, sessions) = (Vec::new(), Vec::new(), BTreeSet::new());
        // The receiver is gone only when the backfill was dropped.
        let _ = storing.blocking_send(Batch { rows, superseded, sources, sessions });
    }

    /// Returns the file's records; none if the store has them already.
    fn records(&self, file: &FileAnalysis, state: Option<&FileState>) -> Vec<SourceRecord> {
        let Some(state) = state.filter(|_| file.complete) else { return Vec::new() };
        let known = self.plan.known.at(&file.file.path);
        let recorded = &self.plan.known.recorded_path(&file.file.path);
        let (host, read_at, epoch) = (&self.host, self.read_at, self.plan.known.epoch());
        let records = FileReading { state: *state, known, host, recorded, read_at, epoch }.records(file);
        if known.is_some_and(|known| known.says_the_same_as(&records)) { Vec::new() } else { records }
    }
}

/// Records and sessions of finished files, held back until they are sent together with the rows.
#[derive(Debug)]
struct Pending {
    sources: Vec<SourceRecord>,
    sessions: BTreeSet<SessionId>,
}

impl Pending {
    /// Adds a finished file and its records.
    fn add(&mut self, file: &FileAnalysis, records: Vec<SourceRecord>) {
        self.sources.extend(records);
        let found = file.sessions.iter().filter(|(_, part)| part.snapshots > 0);
        self.sessions.extend(found.map(|(session, _)| session.clone()));
    }

    /// Sends the rows that changed, with the records of their files. All rows of a finished file were merged before
    /// the file was handed over, so its records never overtake its rows.
    fn send(&mut self, history: &mut History, storing: &mpsc::Sender<Batch>, progress: &AnalysisProgress) {
        let found = Batch {
            rows: history.take_changed(),
            superseded: history.take_superseded(),
            sources: std::mem::take(&mut self.sources),
            sessions: std::mem::take(&mut self.sessions),
        };
        // The receiver is gone if the operation failed or was dropped, so there is nothing left to read for.
        if storing.blocking_send(found).is_err() {
            progress.cancel();
        }
    }
}

/// The number of rows that ends a batch before its last file is read. Each takes some 400 bytes until it is stored, and
/// a file's size does not determine its number of rows.
const BATCH_ROWS: usize = 16_384;

#[cfg(test)]
mod tests {
    use bridge_analysis::discover;

    use super::*;
    use crate::ingest::cursors::KnownFiles;
    use crate::ingest::plan::SyncMode;

    #[test]
    fn many_rows_are_sent_before_the_last_file_is_read_and_never_after_their_records() {
        const ROWS_PER_FILE: usize = BATCH_ROWS / 2;
        let folder = tempfile::tempdir().unwrap();
        for session in ["a", "b", "c"] {
            let line = |number| {
                format!(
                    r#"{{"type":"assistant","sessionId":"{session}","timestamp":"2026-01-31T12:00:00Z","requestId":"req_{session}{number}","message":{{"id":"msg_{session}{number:023}","stop_reason":"end_turn","usage":{{"input_tokens":1,"output_tokens":2}}}}}}"#
                ) + "\n"
            };
            let text: String = (0..ROWS_PER_FILE).map(line).collect();
            std::fs::write(folder.path().join(format!("{session}.jsonl")), text).unwrap();
        }
        let found = discover(&[folder.path().to_owned()]);
        let mut analyzer = AnalyzerOptions::default();
        analyzer.threads = 1;
        let reading = Reader {
            plan: ReadPlan::recorded(found, KnownFiles::default(), SyncMode::Full, None, 1),
            batch_size: 1000,
            range: TimeRange::default(),
            analyzer,
            host: HostName::new("h").unwrap(),
            read_at: Timestamp::MIN,
        };
        let (sender, mut receiver) = mpsc::channel(3);
        reading.run(&AnalysisProgress::default(), Some(&sender));
        drop(sender);

        let (mut sizes, mut rows) = (Vec::new(), BTreeMap::<SessionId, usize>::new());
        while let Some(found) = receiver.blocking_recv() {
            sizes.push(found.rows.len());
            found.rows.into_iter().for_each(|row| *rows.entry(row.session).or_default() += 1);
            for record in found.sources {
                assert_eq!(rows.get(&record.session), Some(&ROWS_PER_FILE), "{}", record.session);
            }
        }
        assert_eq!(sizes, [BATCH_ROWS, ROWS_PER_FILE]);
    }
}
