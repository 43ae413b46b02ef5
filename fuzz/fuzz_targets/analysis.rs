//! Any bytes as two files: the analyzer says what the reference says.
#![no_main]

#[path = "../../crates/bridge-analysis/tests/soundness/comparison.rs"]
mod comparison;

use bridge_analysis::AnalyzerOptions;
use bridge_testkit::reference::ReferenceFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [flags, part, block, content @ ..] = data else { return };
    let mut options = AnalyzerOptions::default();
    options.threads = 1;
    options.strict = flags & 1 == 1;
    options.part_bytes = u64::from(*part) + 1;
    options.block_bytes = usize::from(*block) + 1;
    let (a, b) = content.split_at(content.len() / 2);
    let files = [ReferenceFile::new("a.jsonl", 0, a), ReferenceFile::new("b.jsonl", 1, b)];
    let folder = tempfile::tempdir().expect("a folder");
    let sources = comparison::write(folder.path(), &files);
    comparison::compare(&comparison::analyze(&sources, &options), &files, &options);
});
