//! Transcripts that grow as clients write them, and are truncated, renamed and rewritten.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use fastrand::Rng;

/// Sessions that are written to at once; older ones are done.
const OPEN_MAX: usize = 8;

struct Session {
    name: String,
    path: PathBuf,
    /// All its lines, the last of which may be written only in part.
    lines: Vec<String>,
    /// Lines that were cut off, and are written again.
    cut: Vec<String>,
    /// The rest of a line that was written in part.
    rest: Option<String>,
    /// The responses so far.
    responses: u64,
}

/// A growing history.
pub(crate) struct Growth {
    rng: Rng,
    projects: PathBuf,
    open: Vec<Session>,
    sessions: u64,
    lines: u64,
    bytes: u64,
    truncations: u64,
    renames: u64,
}

impl Growth {
    pub(crate) fn new(projects: &Path) -> Self {
        fs::create_dir_all(projects).unwrap();
        Self {
            rng: Rng::with_seed(18),
            projects: projects.to_owned(),
            open: Vec::new(),
            sessions: 0,
            lines: 0,
            bytes: 0,
            truncations: 0,
            renames: 0,
        }
    }

    /// Writes something.
    pub(crate) fn step(&mut self) {
        let draw = self.rng.u8(..100);
        if self.open.is_empty() || (draw < 3 && self.open.len() < OPEN_MAX) {
            return self.begin();
        }
        let place = self.rng.usize(..self.open.len());
        match draw {
            0..5 => {
                let session = self.open.swap_remove(place);
                self.complete(session);
            }
            5..10 => self.truncate(place),
            10..13 => self.rename(place),
            13..25 => self.write_in_part(place),
            _ => self.write(place),
        }
    }

    /// Completes all sessions.
    pub(crate) fn finish(&mut self) {
        for session in std::mem::take(&mut self.open) {
            self.complete(session);
        }
    }

    pub(crate) fn figures(&self) -> String {
        format!(
            "{} sessions, {} lines, {:.1} MB written, {} truncations, {} renames",
            self.sessions,
            self.lines,
            self.bytes as f64 / 1e6,
            self.truncations,
            self.renames
        )
    }

    fn begin(&mut self) {
        self.sessions += 1;
        let name = format!("session-{:05}", self.sessions);
        let folder = self.projects.join(format!("-project-{}", self.sessions % 7));
        // Some have folders of their own, as subagents do.
        let folder =
            if self.sessions.is_multiple_of(3) { folder.join(&name).join("subagents") } else { folder };
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.jsonl"));
        self.open.push(Session { name, path, lines: Vec::new(), cut: Vec::new(), rest: None, responses: 0 });
        self.write(self.open.len() - 1);
    }

    /// A line: a response, a further snapshot of one, or what a person wrote.
    fn line(&mut self, place: usize) -> String {
        let session = &mut self.open[place];
        let name = &session.name;
        if self.rng.u8(..4) == 0 {
            let text = "x".repeat(self.rng.usize(..4000));
            return format!(r#"{{"type":"user","sessionId":"{name}","message":{{"content":"{text}"}}}}"#)
                + "\n";
        }
        let again = session.responses > 0 && self.rng.u8(..3) == 0;
        session.responses += u64::from(!again);
        let (number, output) = (session.responses, self.lines % 1000 + 1);
        let hour = number % 24;
        format!(
            r#"{{"type":"assistant","sessionId":"{name}","timestamp":"2026-01-31T{hour:02}:00:00Z","requestId":"req_{name}_{number}","message":{{"id":"msg_{name}_{number:012}","model":"claude-opus-4-5","stop_reason":"end_turn","usage":{{"input_tokens":10,"output_tokens":{output},"cache_read_input_tokens":1000}}}}}}"#
        ) + "\n"
    }

    fn append(&mut self, path: &Path, text: &str) {
        File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
        self.bytes += text.len() as u64;
    }

    fn write(&mut self, place: usize) {
        self.complete_line(place);
        let session = &mut self.open[place];
        let line = match session.cut.is_empty() {
            true => {
                self.lines += 1;
                self.line(place)
            }
            false => session.cut.remove(0),
        };
        let path = self.open[place].path.clone();
        self.append(&path, &line);
        self.open[place].lines.push(line);
    }

    fn write_in_part(&mut self, place: usize) {
        self.complete_line(place);
        self.lines += 1;
        let line = self.line(place);
        let (part, rest) = line.split_at(self.rng.usize(1..line.len()));
        let path = self.open[place].path.clone();
        self.append(&path, part);
        self.open[place].rest = Some(rest.to_owned());
        self.open[place].lines.push(line);
    }

    fn complete_line(&mut self, place: usize) {
        if let Some(rest) = self.open[place].rest.take() {
            let path = self.open[place].path.clone();
            self.append(&path, &rest);
        }
    }

    /// Cuts lines off, which are written again later.
    fn truncate(&mut self, place: usize) {
        self.complete_line(place);
        self.truncations += 1;
        let session = &mut self.open[place];
        let kept = self.rng.usize(..=session.lines.len());
        let mut cut = session.lines.split_off(kept);
        cut.append(&mut session.cut);
        session.cut = cut;
        let length: usize = session.lines.iter().map(String::len).sum();
        File::options().write(true).open(&session.path).unwrap().set_len(length as u64).unwrap();
    }

    fn rename(&mut self, place: usize) {
        self.renames += 1;
        let session = &mut self.open[place];
        let folder = self.projects.join(format!("-project-{}", self.renames % 7));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{}.jsonl", session.name));
        fs::rename(&session.path, &path).unwrap();
        session.path = path;
    }

    fn complete(&mut self, session: Session) {
        let place = self.open.len();
        self.open.push(session);
        self.complete_line(place);
        while !self.open[place].cut.is_empty() {
            self.write(place);
        }
        self.open.truncate(place);
    }
}
