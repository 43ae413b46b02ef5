//! Reads a part of a transcript.

use std::io::{self, Read};

use bridge_core::{DamageKind, SupersededKey, Timestamp};

use crate::claude::{LineReader, may_hold_activity, may_hold_usage};
use crate::count::activity::{ActivityCollector, RecordActivity};
use crate::count::batch::Batch;
use crate::count::candidate::Candidate;
use crate::count::categories::CategoryCounter;
use crate::count::snapshot::{Snapshot, SnapshotSink};
use crate::json::InvalidJson;
use crate::position::KnownTime;
use crate::progress::AnalysisProgress;
use crate::read::lines::{BYTE_ORDER_MARK, Line, Lines};
use crate::read::lookback::{open, time_before};
use crate::read::part::{FileTask, PartOptions, PartReport};
use crate::report::{DamagePlace, FileAnalysis, SessionInFile};

/// The number of snapshots handed over at once.
const CANDIDATES_MAX: usize = 4096;

/// The memory of a reading thread, reused for each part.
#[derive(Debug, Default)]
pub(crate) struct PartMemory {
    buffer: Vec<u8>,
    batch: Batch,
    reader: LineReader,
    context_totals: Vec<ContextTotals>,
}

/// The snapshots of a context in the part.
#[derive(Debug)]
struct ContextTotals {
    snapshots: u64,
    tokens: u64,
    first_time: Timestamp,
    last_time: Timestamp,
}

/// Report progress at least this often.
const PROGRESS_BYTES: u64 = 4 << 20;

/// Reads the lines of a file that begin in a range of it. Calls `hand_over` with the snapshots from time
/// to time, and once at the end.
pub(crate) fn read_part(
    task: &FileTask<'_>,
    (from, until): (u64, u64),
    options: PartOptions,
    memory: &mut PartMemory,
    progress: &AnalysisProgress,
    hand_over: &mut dyn FnMut(&mut Batch),
) -> (PartReport, io::Result<()>) {
    let buffer = std::mem::take(&mut memory.buffer);
    match open(&task.file.path, buffer, options.limits, (from, until), task.until) {
        Ok(lines) => read_lines(task, from, lines, options, memory, progress, hand_over),
        Err(error) => (PartReport { end: from, read_to: from, ..PartReport::default() }, Err(error)),
    }
}

/// Reads lines of a file, beginning with the first at or after `from`.
pub(crate) fn read_lines<R: Read>(
    task: &FileTask<'_>,
    from: u64,
    lines: Lines<R>,
    options: PartOptions,
    memory: &mut PartMemory,
    progress: &AnalysisProgress,
    hand_over: &mut dyn FnMut(&mut Batch),
) -> (PartReport, io::Result<()>) {
    memory.batch.contexts.clear();
    memory.batch.placed.clear();
    memory.context_totals.clear();
    memory.reader.begin_file(task.file.is_subagent(), options);
    let mut scan = PartScan {
        task,
        options,
        batch: &mut memory.batch,
        context_totals: &mut memory.context_totals,
        report: PartReport {
            categories: options.categories.then(CategoryCounter::default),
            activity: options.activity.then(ActivityCollector::default),
            known_time: (from == task.from.offset).then_some(task.from.time),
            ..PartReport::default()
        },
        part_start: from,
        line_start: from,
        line_time: None,
        failure: None,
        hand_over: &mut *hand_over,
    };
    let result = scan.read(lines, &mut memory.buffer, &mut memory.reader, progress);
    let result = scan.failure.take().map_or(result, Err);
    let report = scan.finish();
    hand_over(&mut memory.batch);
    (report, result)
}

/// The state of reading one part.
struct PartScan<'a> {
    task: &'a FileTask<'a>,
    options: PartOptions,
    batch: &'a mut Batch,
    context_totals: &'a mut Vec<ContextTotals>,
    report: PartReport,
    part_start: u64,
    line_start: u64,
    /// The last readable time of earlier records on the same line.
    line_time: Option<Timestamp>,
    failure: Option<io::Error>,
    /// Takes the batch whenever it is full, even in the middle of a line, because one line may hold a million
    /// snapshots.
    hand_over: &'a mut dyn FnMut(&mut Batch),
}

impl PartScan<'_> {
    fn read<R: Read>(
        &mut self,
        mut lines: Lines<R>,
        buffer: &mut Vec<u8>,
        reader: &mut LineReader,
        progress: &AnalysisProgress,
    ) -> io::Result<()> {
        (self.report.end, self.report.read_to) = (lines.offset(), lines.offset());
        let mut reported = lines.offset();
        let result = loop {
            self.line_start = lines.offset();
            let line = match lines.next_line() {
                Ok(None) => break Ok(()),
                Ok(Some(line)) => line,
                Err(error) => break Err(error),
            };
            let is_pending = self.read_line(&line, reader);
            let is_complete = !matches!(line, Line::Unterminated(_));
            self.report.newlines += u64::from(is_complete);
            self.report.read_to = lines.offset();
            self.report.end = if is_pending { self.line_start } else { lines.offset() };
            if lines.offset() - reported >= PROGRESS_BYTES {
                progress.add_bytes(lines.offset() - reported);
                reported = lines.offset();
                if progress.is_cancelled() {
                    break Err(io::Error::new(io::ErrorKind::Interrupted, "cancelled"));
                }
            }
            if self.failure.is_some() {
                break Ok(());
            }
        };
        progress.add_bytes(self.report.read_to.saturating_sub(reported));
        *buffer = lines.into_buffer();
        result
    }

    /// Returns whether the line is pending.
    #[inline]
    fn read_line(&mut self, line: &Line<'_>, reader: &mut LineReader) -> bool {
        let (text, complete) = match line {
            Line::Complete(text) => (*text, true),
            Line::Unterminated(text) => (*text, false),
            Line::Oversize => {
                self.report.lines += 1;
                self.report.damage.oversize_lines += 1;
                self.note(DamageKind::Oversize);
                return false;
            }
        };
        let text =
            if self.line_start == 0 { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text };
        let Some(edges) = edges(text) else { return false };
        self.report.lines += 1;
        // By default, a line without usage is checked for damage at its edges only.
        if !self.options.every_line && complete && edges == (b'{', b'}') && !self.may_matter(text) {
            return false;
        }
        if self.read_text(text, reader).is_ok() {
            return false;
        }
        if complete {
            self.report.damage.bad_lines += 1;
            self.note(if self.line_start == 0 && is_utf16(text) {
                DamageKind::Utf16
            } else {
                DamageKind::BadLine
            });
        } else {
            self.report.damage.pending_lines += 1;
            self.note(DamageKind::Pending);
        }
        !complete
    }

    #[inline]
    fn may_matter(&self, line: &[u8]) -> bool {
        may_hold_usage(line) || (self.options.activity && may_hold_activity(line))
    }

    fn read_text(&mut self, line: &[u8], reader: &mut LineReader) -> Result<(), InvalidJson> {
        let text = simdutf8::basic::from_utf8(line).map_err(|_| InvalidJson)?;
        self.line_time = None;
        let result = reader.read(text, self);
        if self.line_time.is_some() {
            // The line's own end, as seen from the next one.
            let before = self.line_start + line.len() as u64;
            self.report.known_time = Some(KnownTime { before, time: self.line_time });
        }
        result
    }

    fn note(&mut self, kind: DamageKind) {
        if self.report.damage_places.len() < FileAnalysis::DAMAGE_PLACES_MAX {
            let line = self.report.newlines + 1;
            self.report.damage_places.push(DamagePlace { line, offset: self.line_start, kind });
        }
    }

    fn add_to_context(&mut self, context: u32, time: Timestamp, tokens: u64) {
        let context = context as usize;
        if context == self.context_totals.len() {
            self.context_totals.push(ContextTotals {
                snapshots: 0,
                tokens: 0,
                first_time: time,
                last_time: time,
            });
        }
        let totals = &mut self.context_totals[context];
        totals.snapshots += 1;
        totals.tokens = totals.tokens.saturating_add(tokens);
        totals.first_time = totals.first_time.min(time);
        totals.last_time = totals.last_time.max(time);
    }

    fn finish(self) -> PartReport {
        let mut report = self.report;
        for (context, totals) in self.batch.contexts.all().iter().zip(self.context_totals.iter()) {
            let part = SessionInFile {
                snapshots: totals.snapshots,
                snapshot_tokens: totals.tokens,
                project: context.project.clone(),
                first_time: totals.first_time,
                last_time: totals.last_time,
            };
            report.sessions.push((context.session.clone(), part));
        }
        report
    }
}

impl SnapshotSink for PartScan<'_> {
    fn snapshot(&mut self, snapshot: &Snapshot<'_>) {
        let tokens = snapshot.counted.counts.total();
        self.batch.sums.add(snapshot, tokens);
        let context = self.batch.contexts.place(&snapshot.named, &self.task.names);
        self.add_to_context(context, snapshot.time, tokens);
        let request = snapshot.request_id.and_then(|id| self.task.names.request_id(id)).unwrap_or_default();
        self.batch.candidates.push(Candidate {
            key: snapshot.key,
            time: snapshot.time,
            counts: snapshot.counted.counts,
            cache_split: snapshot.counted.cache_split,
            extras: snapshot.extras,
            context,
            request: self.batch.requests.add(&request),
            finished: snapshot.finished,
            sidechain: snapshot.sidechain,
            nested: snapshot.nested,
            forked: snapshot.forked,
            origin: snapshot.origin,
            weak_key: snapshot.weak_key,
        });
        if self.batch.candidates.len() >= CANDIDATES_MAX {
            (self.hand_over)(self.batch);
        }
    }

    fn superseded(&mut self, key: SupersededKey) {
        self.batch.superseded.push(key);
    }

    fn bad_usage(&mut self) {
        self.report.damage.bad_usage += 1;
        self.note(DamageKind::BadUsage);
    }

    fn time_before(&mut self) -> Timestamp {
        let in_file = self.line_time.or_else(|| {
            let (task, before) = (self.task, self.line_start);
            let shared = || task.known_before(before);
            let known = self.report.known_time.unwrap_or_else(shared);
            // Where every line is read, the lines of this part that were read had no other time.
            let unread = if self.options.every_line { self.part_start } else { before };
            let time = time_before(&task.file.path, self.options.limits, unread, known);
            let time = time.unwrap_or_else(|error| {
                self.failure = Some(error);
                None
            });
            if self.report.known_time.is_none() {
                task.note_time(before, time);
            }
            self.report.known_time = Some(KnownTime { before, time });
            time
        });
        in_file.unwrap_or(self.task.file.modified)
    }

    fn record_time(&mut self, time: Timestamp) {
        self.line_time = Some(time);
    }

    fn activity(&mut self, activity: &RecordActivity<'_>) {
        if let Some(collector) = &mut self.report.activity {
            collector.add(activity, &self.task.names);
        }
    }

    fn categories(&mut self) -> Option<&mut CategoryCounter> {
        self.report.categories.as_mut()
    }
}

/// Returns whether this is UTF-16 text that begins like a transcript, with or without a byte order mark.
fn is_utf16(first_line: &[u8]) -> bool {
    [&b"\xff\xfe"[..], b"\xfe\xff", b"{\0", b"\0{"].iter().any(|start| first_line.starts_with(start))
}

/// Returns the first and the last byte that is not white space; `None` for a blank line.
#[inline]
fn edges(line: &[u8]) -> Option<(u8, u8)> {
    let inside = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\r');
    Some((*line.iter().find(inside)?, *line.iter().rev().find(inside)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::request::RequestPlace;
    use crate::options::AnalyzerOptions;
    use crate::position::{FileRead, ReadPosition};
    use crate::read::lines::Limits;
    use crate::source::SourceFile;
    use bridge_testkit::adversarial::transcript;
    use fastrand::Rng;
    use std::path::Path;

    /// The snapshots from a position to the end of the file, without the places of their texts; the report.
    fn read_from(path: &Path, from: ReadPosition) -> (Vec<Candidate>, PartReport) {
        let file =
            SourceFile { path: path.to_owned(), size: 0, modified: Timestamp::MIN, project_folder: None };
        let read = FileRead { file, from, until: u64::MAX };
        let task = FileTask::new(&read, &AnalyzerOptions::default());
        let limits = Limits { block_bytes: 500, line_bytes_max: 1 << 20 };
        let options = PartOptions { limits, every_line: false, categories: false, activity: true };
        let mut candidates = Vec::new();
        let (report, result) = read_part(
            &task,
            (from.offset, u64::MAX),
            options,
            &mut PartMemory::default(),
            &AnalysisProgress::default(),
            &mut |batch| {
                candidates.extend(batch.candidates.drain(..).map(|candidate| Candidate {
                    context: 0,
                    request: RequestPlace::default(),
                    ..candidate
                }))
            },
        );
        result.unwrap();
        (candidates, report)
    }

    /// Wherever a file was cut when it was first read, what happened in its sessions is the same in the end.
    #[test]
    fn activity_is_the_same_wherever_the_file_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        let collected = |reports: Vec<PartReport>| {
            let mut sessions = std::collections::BTreeMap::new();
            for report in reports {
                report.activity.expect("it was asked for").merge_into(&mut sessions);
            }
            sessions
        };
        // One for sure: a random transcript may have none.
        let turn =
            r#"{"type":"user","sessionId":"s","timestamp":"2026-03-01T10:00:00Z","message":{"content":"x"}}"#;
        let mut turns = 0;
        for seed in 0..8 {
            let content = [turn.as_bytes(), b"\n", &transcript(&mut Rng::with_seed(seed), 4)].concat();
            std::fs::write(&path, &content).unwrap();
            let whole = collected(vec![read_from(&path, ReadPosition::default()).1]);
            turns += whole.values().map(|activity| activity.turns).sum::<u64>();
            for cut in (0..content.len()).step_by(11) {
                std::fs::write(&path, &content[..cut]).unwrap();
                let first = read_from(&path, ReadPosition::default()).1;
                std::fs::write(&path, &content).unwrap();
                let time = first.known_time.unwrap_or_default();
                let from = ReadPosition { offset: first.end, newlines: first.newlines, time };
                let second = read_from(&path, from).1;
                assert_eq!(collected(vec![first, second]), whole, "seed {seed}, cut at {cut}");
            }
        }
        assert!(turns > 0);
    }

    /// The position holds everything that the next reading of the file has to know.
    #[test]
    fn a_file_read_in_two_steps_is_the_same_as_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        for (seed, cut_line) in (0..60).zip((0..20).cycle()) {
            let content = transcript(&mut Rng::with_seed(seed), 40);
            let line_ends = content.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            let cut = line_ends.map(|(place, _)| place + 1).nth(cut_line).unwrap_or(0);
            std::fs::write(&path, &content).unwrap();
            let (whole, at_once) = read_from(&path, ReadPosition::default());
            std::fs::write(&path, &content[..cut]).unwrap();
            let (mut candidates, first) = read_from(&path, ReadPosition::default());
            std::fs::write(&path, &content).unwrap();
            let time = first.known_time.unwrap();
            let from = ReadPosition { offset: first.end, newlines: first.newlines, time };
            let (more, second) = read_from(&path, from);
            candidates.extend(more);
            assert_eq!(candidates, whole);
            assert_eq!(first.newlines + second.newlines, at_once.newlines);
            assert_eq!(first.lines + second.lines, at_once.lines);
            assert_eq!((second.end, second.known_time), (at_once.end, at_once.known_time));
        }
    }
}
