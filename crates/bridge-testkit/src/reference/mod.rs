//! The reference analyzer: a simple, slow implementation of the counting rule, written only from its documentation.
//!
//! It parses every line completely into a tree, keeps every snapshot, groups them by their exact key without hashing, and
//! selects the greatest. The fast analyzer is tested against it and shares no code with it.
//!
//! ```
//! use bridge_testkit::reference::{Options, ReferenceFile, analyze};
//!
//! let line = br#"{"type":"assistant","message":{"id":"msg_0123456789abcdefghij","stop_reason":"end_turn",
//! "usage":{"input_tokens":5,"output_tokens":7}}}"#;
//! let line: Vec<u8> = line.iter().copied().filter(|byte| *byte != b'\n').collect();
//! let twice = [line.clone(), line].join(&b'\n');
//! let totals = analyze([ReferenceFile::new("p/s.jsonl", 0, twice)], Options::default());
//! assert_eq!((totals.responses, totals.total, totals.repeats_within_files), (1, 12, 12));
//! ```

mod activity;
mod attribution;
mod file;
mod iterations;
pub(crate) mod json;
mod json_reader;
mod json_string;
mod place;
mod record;
mod snapshot;
pub(crate) mod time;
mod totals;

pub use activity::Activity;
pub use attribution::{Attribution, Numbers};
pub use file::{Options, ReferenceFile, read_folder};
pub use snapshot::{Iteration, MessageKey, ResponseKey};
pub use totals::{Outcome, ReferenceResponse, ReferenceTotals, SessionTotals};

use std::{collections::BTreeMap, io, path::Path};

/// Returns the totals of the files, which may come in any order.
pub fn analyze(files: impl IntoIterator<Item = ReferenceFile>, options: Options) -> ReferenceTotals {
    let mut collection = totals::Collection::default();
    for file in files {
        collection.add(file::read(&file, options));
    }
    collection.totals()
}

/// Returns what happened in the sessions of one file.
pub fn activity(file: &ReferenceFile, options: Options) -> BTreeMap<String, Activity> {
    file::read(file, options).activity
}

/// Returns the totals of all `*.jsonl` files in a folder and its subfolders. Keeps only one file in memory at a time.
///
/// # Errors
/// Fails if a folder or file cannot be read.
pub fn analyze_folder(folder: &Path, options: Options) -> io::Result<ReferenceTotals> {
    let mut collection = totals::Collection::default();
    for path in file::jsonl_paths(folder)? {
        collection.add(file::read(&file::load(folder, &path)?, options));
    }
    Ok(collection.totals())
}
