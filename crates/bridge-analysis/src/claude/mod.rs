//! Claude's format: where its clients keep transcripts, and what their lines say.
//!
//! Everything specific to Claude's transcripts is here. Of a format, the reading code needs a [`LineReader`], the
//! names in [`layout`] and the folders in [`roots`]. The format of another agent is a sibling of this folder.

mod activity;
mod categories;
mod content;
mod counters;
mod extras;
mod fields;
mod iterations;
pub(crate) mod layout;
mod limits;
mod record;
pub(crate) mod roots;
mod superseded;
mod usage;

use std::sync::LazyLock;

use bridge_core::Timestamp;
use memchr::memmem::Finder;

pub(crate) use self::activity::may_hold_activity;
use self::activity::read_activity;
use self::categories::add_texts;
use self::fields::RecordDecoder;
use self::record::read_record;
use crate::count::snapshot::SnapshotSink;
use crate::count::time::read_time;
use crate::json::{InvalidJson, read_line};
use crate::read::part::PartOptions;

/// Reads the lines of transcripts.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    decoder: RecordDecoder,
    subagent: bool,
}

impl LineReader {
    /// Prepares to read a file. `subagent`: the file holds only a subagent's lines.
    pub(crate) fn begin_file(&mut self, subagent: bool, options: PartOptions) {
        self.subagent = subagent;
        self.decoder.reads_blocks = options.categories;
        self.decoder.reads_outline = options.activity;
    }

    /// Reads all snapshots of a line, and estimates the categories of its texts if they are asked for.
    pub(crate) fn read(&mut self, line: &str, sink: &mut impl SnapshotSink) -> Result<(), InvalidJson> {
        let subagent = self.subagent;
        let mut is_first = true;
        read_line(without_carriage_return(line), &mut self.decoder, |decoder, record| {
            let time = read_record(record, sink);
            if let Some(categories) = sink.categories() {
                add_texts(categories, record, &decoder.blocks, subagent);
            }
            if decoder.reads_outline
                && std::mem::take(&mut is_first)
                && let Some(time) = time
            {
                read_activity(record, time, subagent, sink);
            }
        })
    }
}

fn without_carriage_return(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// Returns whether the line may hold a key `usage`, written plainly or with escaped letters. Each of its letters has
/// exactly one escape, `\u006x` or `\u007x`.
pub(crate) fn may_hold_usage(line: &[u8]) -> bool {
    static KEY: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"usage\""));
    static ESCAPE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\\u00"));
    KEY.find(line).is_some() || ESCAPE.find_iter(line).any(|at| matches!(line.get(at + 4), Some(b'6' | b'7')))
}

/// Returns the last readable time of the records on a line.
pub(crate) fn last_time(line: &str) -> Result<Option<Timestamp>, InvalidJson> {
    let mut last = None;
    read_line(without_carriage_return(line), &mut RecordDecoder::default(), |_, record| {
        last = record.time.and_then(read_time).or(last);
    })?;
    Ok(last)
}
