//! Assembles lines to files, with line endings, blank and damaged lines, and truncated last lines.

use super::{GeneratedFile, damage, line::Line, plan::Damage, truth::HistoryTruth};
use fastrand::Rng;

/// A completely generated session.
#[derive(Debug)]
pub(crate) struct WrittenSession {
    pub(crate) session: String,
    /// The subagents' transcripts, followed by the session's own.
    pub(crate) transcripts: Vec<Transcript>,
}

/// The lines of a transcript.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) relative_path: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) modified_millis: i64,
}

/// The line that damaged lines are made from. Counting it by mistake would visibly change the total.
const INTACT: &[u8] = r#"{"type":"assistant","message":{"id":"msg_damaged0123456789","content":"é","stop_reason":"end_turn","usage":{"input_tokens":666666,"output_tokens":666666}}}"#.as_bytes();

impl WrittenSession {
    /// Assembles the session's files and records them in the truth.
    pub(crate) fn files(
        &self,
        damage: Damage,
        truth: &mut HistoryTruth,
        rng: &mut Rng,
    ) -> Vec<GeneratedFile> {
        let mut files: Vec<_> =
            self.transcripts.iter().map(|transcript| transcript.file(damage, truth, rng)).collect();
        if rng.u8(..) < 30
            && let Some(own) = files.last()
        {
            let folder = own.relative_path.trim_end_matches(".jsonl");
            let journal = Transcript {
                relative_path: format!("{folder}/workflows/journal.jsonl"),
                lines: vec![Line::plain(r#"{"type":"started","key":"a","usage":{"input_tokens":5}}"#)],
                modified_millis: own.modified_millis,
            };
            files.push(journal.file(Damage::None, truth, rng));
        }
        truth.files += files.len() as u64;
        truth.bytes += files.iter().map(|file| file.content.len() as u64).sum::<u64>();
        files
    }
}

impl Transcript {
    fn file(&self, damage: Damage, truth: &mut HistoryTruth, rng: &mut Rng) -> GeneratedFile {
        let newline: &[u8] = if rng.u8(..) < 30 { b"\r\n" } else { b"\n" };
        let mut content = if rng.u8(..) < 10 { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
        for line in &self.lines {
            if rng.u8(..) < 3 {
                content.extend([b" \t".repeat(rng.usize(..3)), newline.to_vec()].concat());
            }
            // At the start of a file, a byte order mark would not be damage.
            let damaged = if !content.is_empty() && rng.u8(..) < 4 {
                damage::damaged_line(rng, damage, INTACT)
            } else {
                None
            };
            for line in damaged.iter().chain([line]) {
                truth.add_line(&line.totals);
                content.extend_from_slice(&line.text);
                content.extend_from_slice(newline);
            }
        }
        match rng.u8(..) {
            0..25 if damage != Damage::None => {
                truth.lines += 1;
                truth.pending += 1;
                content.extend(damage::torn(rng, INTACT));
            }
            25..50 => content.truncate(content.len() - newline.len()),
            _ => {}
        }
        let relative_path = self.relative_path.clone();
        GeneratedFile { relative_path, content, modified_millis: self.modified_millis }
    }
}
