//! Misleading lines.

use std::collections::BTreeMap;

use bridge_analysis::{AnalyzerOptions, SourceFile};
use bridge_testkit::adversarial::{FOLDERS, strategy, transcript};
use bridge_testkit::reference::ReferenceFile;
use fastrand::Rng;
use proptest::prelude::*;

use crate::comparison::{Found, analyze, compare, write};

const MODIFIED_MILLIS: i64 = 1_770_000_000_000;

/// The results that must not depend on the way in which the files are read.
fn facts(found: &Found) -> impl PartialEq + std::fmt::Debug + use<> {
    let of_file = |file: &bridge_analysis::FileAnalysis| {
        let places = file.damage_places.clone();
        let sums = (file.bytes, file.lines, file.damage, file.end.offset, file.end.newlines);
        let texts = (file.content_categories.clone(), file.activity.clone());
        (sums, places, file.sessions.clone(), file.home_session.clone(), texts)
    };
    let rows: BTreeMap<_, _> =
        found.history.responses().map(|response| (response.key, response.to_usage())).collect();
    (rows, found.history.receipt(), found.files.iter().map(of_file).collect::<Vec<_>>())
}

fn options(rng: &mut Rng) -> AnalyzerOptions {
    let mut options = AnalyzerOptions::default();
    options.threads = rng.usize(1..5);
    options.block_bytes = [1, 2, 3, 7, 64, 500, 4096, 256 << 10][rng.usize(..8)];
    options.part_bytes = [1, 5, 33, 200, 1000, 5000, u64::MAX][rng.usize(..7)];
    options.strict = rng.bool();
    options.categories = rng.u8(..4) == 0;
    options.activity = rng.u8(..4) > 0;
    options.line_bytes_max = if rng.u8(..8) == 0 { rng.usize(50..600) } else { 64 << 20 };
    options
}

fn check(files: &[ReferenceFile], rng: &mut Rng) {
    let folder = tempfile::tempdir().unwrap();
    let mut sources: Vec<SourceFile> = write(folder.path(), files);
    let options = options(rng);
    rng.shuffle(&mut sources);
    let found = analyze(&sources, &options);
    compare(&found, files, &options);
    rng.shuffle(&mut sources);
    let mut plain = AnalyzerOptions::default();
    plain.threads = 1;
    plain.part_bytes = u64::MAX;
    (plain.strict, plain.categories, plain.activity, plain.line_bytes_max) =
        (options.strict, options.categories, options.activity, options.line_bytes_max);
    assert_eq!(facts(&analyze(&sources, &plain)), facts(&found), "{options:?}");
}

fn files(contents: Vec<Vec<u8>>) -> Vec<ReferenceFile> {
    let name = |(number, content): (i64, Vec<u8>)| {
        let folder = FOLDERS[(content.len() + usize::try_from(number).unwrap()) % FOLDERS.len()];
        let subagent = if number == 2 { "agent-" } else { "s" };
        let path = format!("{folder}/{subagent}{number}.jsonl");
        ReferenceFile::new(path, MODIFIED_MILLIS + number, content)
    };
    (0..).zip(contents).map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn misleading_lines_in_any_order_and_however_they_are_cut(
        lines in prop::collection::vec(strategy::lines(12), 1..4),
        seed in any::<u64>(),
        unterminated in any::<bool>(),
    ) {
        let content = |lines: Vec<Vec<u8>>| {
            let mut content = lines.join(&b'\n');
            content.extend((!unterminated).then_some(b'\n'));
            content
        };
        check(&files(lines.into_iter().map(content).collect()), &mut Rng::with_seed(seed));
    }

    #[test]
    fn any_bytes_give_the_reference_result(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..3),
        seed in any::<u64>(),
    ) {
        check(&files(contents), &mut Rng::with_seed(seed));
    }
}

#[test]
fn every_border_of_blocks_and_parts() {
    let mut rng = Rng::with_seed(11);
    let files = files(vec![transcript(&mut rng, 4), transcript(&mut rng, 3)]);
    let folder = tempfile::tempdir().unwrap();
    let sources = write(folder.path(), &files);
    let mut options = AnalyzerOptions::default();
    options.strict = true;
    let whole = facts(&analyze(&sources, &options));
    let bytes = files.iter().map(|file| file.content.len()).max().unwrap() as u64;
    for border in 1..bytes + 2 {
        options.block_bytes = usize::try_from(border).unwrap();
        options.part_bytes = u64::MAX;
        assert_eq!(facts(&analyze(&sources, &options)), whole, "blocks of {border}");
        options.block_bytes = 100;
        options.part_bytes = border;
        assert_eq!(facts(&analyze(&sources, &options)), whole, "parts of {border}");
    }
}

/// Rounds from this seed on until so many lines are compared. Most rounds are of few lines, so that each line
/// shows in the winners; most lines are in large ones, which are quick.
fn rounds(first_seed: u64, lines: usize) {
    let mut seed = first_seed;
    let mut compared = 0;
    while compared < lines {
        let mut rng = Rng::with_seed(seed);
        let lines_of_file = if rng.u8(..100) < 97 { 3 } else { 1000 };
        let contents = (0..4).map(|_| transcript(&mut rng, lines_of_file)).collect();
        let round = std::panic::catch_unwind(move || check_once(&files(contents), &mut rng));
        assert!(round.is_ok(), "the round of seed {seed} differs");
        compared += 4 * lines_of_file;
        seed += 1;
    }
}

/// Like [`check`], without the second reading.
fn check_once(files: &[ReferenceFile], rng: &mut Rng) {
    let folder = tempfile::tempdir().unwrap();
    let sources = write(folder.path(), files);
    let mut options = options(rng);
    if files.iter().any(|file| file.content.len() > 100_000) {
        (options.block_bytes, options.part_bytes) =
            (options.block_bytes.max(64), options.part_bytes.max(1000));
    }
    compare(&analyze(&sources, &options), files, &options);
}

#[test]
fn twenty_thousand_lines() {
    rounds(1, 20_000);
}

#[test]
#[ignore = "takes minutes; BRIDGE_CASES sets the number of lines"]
fn ten_million_lines() {
    let cases = std::env::var("BRIDGE_CASES").ok().and_then(|cases| cases.parse().ok());
    let lines: usize = cases.unwrap_or(10_000_000);
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || rounds(1_000_000_000 * (half + 1), lines / 2));
        }
    });
}
