//! Proptest strategies for transcripts and histories.

use std::env;
use std::fmt;
use std::sync::LazyLock;

use bridge_core::Timestamp;
use bridge_testkit::adversarial;
use bridge_testkit::history::{Damage, GeneratedHistory, HistoryPlan};
use bridge_testkit::reference::ReferenceFile;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::corpus::Corpus;

/// Returns a configuration of this number of cases, small enough for an unoptimized build; `PROPTEST_CASES` overrides it.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    if env::var_os("PROPTEST_CASES").is_some() { default } else { ProptestConfig { cases, ..default } }
}

/// Bytes that failed tests print as escaped text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// A transcript in the project folder `p`.
#[derive(Debug, Clone)]
pub(crate) struct Transcript {
    pub(crate) name: String,
    pub(crate) modified_millis: i64,
    pub(crate) content: Text,
}

impl Transcript {
    pub(crate) fn new(name: impl Into<String>, modified_millis: i64, content: Vec<u8>) -> Self {
        Self { name: name.into(), modified_millis, content: Text(content) }
    }

    /// Converts the transcript to the reference model's input, in this folder.
    pub(crate) fn below(&self, folder: &str) -> ReferenceFile {
        ReferenceFile::new(format!("{folder}/{}", self.name), self.modified_millis, self.content.0.clone())
    }
}

/// Writes the transcripts to disk.
pub(crate) fn write_corpus(transcripts: &[Transcript]) -> Corpus {
    Corpus::write(transcripts.iter().map(|transcript| transcript.below("p")).collect())
}

/// Generates a few transcripts of adversarial lines.
pub(crate) fn adversarial_files() -> impl Strategy<Value = Vec<Transcript>> {
    let file = (vec((adversarial_line(), line_end()), 0..25), any::<bool>(), 0_i64..1 << 40);
    vec(file, 1..5).prop_map(|files| {
        let file = |(index, (lines, open, modified))| {
            Transcript::new(format!("f{index}.jsonl"), modified, content(lines, open))
        };
        files.into_iter().enumerate().map(file).collect()
    })
}

/// Generates up to this many adversarial lines.
pub(crate) fn adversarial_lines(lines_max: usize) -> impl Strategy<Value = Vec<Text>> {
    vec(adversarial_line().prop_map(Text), 0..=lines_max)
}

fn adversarial_line() -> impl Strategy<Value = Vec<u8>> {
    adversarial::strategy::line()
}

/// Joins the lines with their endings; the last line of an `open` file has none.
fn content(lines: Vec<(Vec<u8>, &[u8])>, open: bool) -> Vec<u8> {
    let mut content: Vec<u8> = lines.into_iter().flat_map(|(line, end)| [&line[..], end].concat()).collect();
    if open && content.ends_with(b"\n") {
        content.pop();
    }
    content
}

fn line_end() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![18 => Just(&b"\n"[..]), 1 => Just(&b"\r\n"[..]), 1 => Just(&b"\n\n \t\r\n"[..])]
}

/// Generates histories of this plan with random seeds.
pub(crate) fn history(plan: HistoryPlan) -> impl Strategy<Value = GeneratedHistory> {
    any::<u64>().no_shrink().prop_map(move |seed| HistoryPlan { seed, ..plan }.generate())
}

/// Returns a plan of small histories, for many cases.
pub(crate) fn small_plan() -> HistoryPlan {
    HistoryPlan { projects: 1, sessions: 3, responses_per_session: 5, ..HistoryPlan::default() }
}

/// Writes a history to disk.
pub(crate) fn corpus(history: &GeneratedHistory) -> Corpus {
    Corpus::write(history.reference_files().collect())
}

/// Generates lines of a small history that depend on no other line and not on their file: valid ones with their own time
/// and session.
pub(crate) fn independent_lines() -> impl Strategy<Value = Vec<Text>> {
    let plan = HistoryPlan { damage: Damage::None, ..small_plan() };
    history(plan).prop_map(|history| {
        let lines = history.files.iter().flat_map(|file| file.content.split(|byte| *byte == b'\n'));
        lines.filter(|line| is_independent(line)).map(|line| Text(line.to_vec())).collect()
    })
}

fn is_independent(line: &[u8]) -> bool {
    let Ok(record) = serde_json::from_slice::<Value>(line) else { return false };
    let has_time = record["timestamp"].as_str().is_some_and(|time| time.parse::<Timestamp>().is_ok());
    has_time && record["sessionId"].is_string()
}

/// Generates arbitrary bytes, tokens of the JSON grammar, and mutated lines of histories.
pub(crate) fn bytes() -> impl Strategy<Value = Text> {
    let pieces: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b"\\",
        b"\n",
        b"\r",
        b" ",
        b"\\u00",
        b"75",
        b"usage",
        b"1",
        b"-",
        b".",
        b"e9",
        b"null",
        b"\"type\"",
        b"\"assistant\"",
        b"\"message\"",
        b"\"usage\"",
        b"\xff",
    ];
    let bytes = prop_oneof![
        1 => vec(any::<u8>(), 0..300),
        1 => vec(select(pieces), 0..120).prop_map(|pieces| pieces.concat()),
        4 => vec(mutated_line(), 1..8).prop_map(|lines| lines.join(&b'\n')),
    ];
    bytes.prop_map(Text)
}

fn mutated_line() -> impl Strategy<Value = Vec<u8>> {
    static LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let history = HistoryPlan { seed: 5, ..small_plan() }.generate();
        let lines = history.files.iter().flat_map(|file| file.content.split(|byte| *byte == b'\n'));
        lines.filter(|line| !line.is_empty() && line.len() < 3000).map(<[u8]>::to_vec).collect()
    });
    let changes = vec((any::<Index>(), any::<u8>(), 0..4_u8), 0..4);
    (select(&LINES[..]), changes).prop_map(|(mut line, changes)| {
        for (place, byte, kind) in changes {
            let at = place.index(line.len() + 1);
            match kind {
                0 => line.insert(at, byte),
                1 => drop(line.drain(at..(at + 1).min(line.len()))),
                2 => line.truncate(at),
                _ => drop(line.splice(at..(at + 1).min(line.len()), [byte])),
            }
        }
        line
    })
}
