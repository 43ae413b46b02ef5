//! A history that grows in pieces, split at arbitrary bytes and synchronized after each piece.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::{EnhancedTokenDatabaseBridge, SyncOptions};
use bridge_analysis::discover;
use bridge_storage::{InMemoryStore, ResponseFilter, StoreTotals, TokenStore};
use bridge_testkit::history::HistoryPlan;
use fastrand::Rng;
use serde_json::Value;

/// Copies every file of `whole` to `growing` in pieces, split at random bytes, and synchronizes after each piece.
async fn synchronize_in_pieces(whole: &Path, growing: &Path, pieces: usize, rng: &mut Rng) -> StoreTotals {
    let store = Arc::new(InMemoryStore::default());
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).sources([growing]).build();
    let files: Vec<(PathBuf, Vec<u8>, Vec<usize>)> = discover(&[whole.to_owned()])
        .files
        .into_iter()
        .map(|file| {
            let content = fs::read(&file.path).unwrap();
            let mut cuts: Vec<usize> = (1..pieces).map(|_| rng.usize(..=content.len())).collect();
            cuts.push(content.len());
            cuts.sort_unstable();
            (growing.join(file.path.strip_prefix(whole).unwrap()), content, cuts)
        })
        .collect();
    for piece in 0..pieces {
        for (path, content, cuts) in &files {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let from = if piece == 0 { 0 } else { cuts[piece - 1] };
            let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
            std::io::Write::write_all(&mut file, &content[from..cuts[piece]]).unwrap();
        }
        for result in bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap() {
            assert!(result.adds_up(), "{result:?}");
        }
    }
    store.totals(&ResponseFilter::default()).await.unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn a_history_synchronized_in_40_pieces_has_its_true_totals() {
    for seed in 1..4 {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole");
        let history = HistoryPlan { seed, ..HistoryPlan::default() }.generate();
        history.write_below(&whole).unwrap();
        let growing = folder.path().join("growing");
        let totals = block_on(synchronize_in_pieces(&whole, &growing, 40, &mut Rng::with_seed(seed)));
        let truth = history.truth;
        assert_eq!((totals.responses, totals.counts.total()), (truth.responses, truth.total()));
        assert_eq!(totals.counts.output, truth.counters.output);
    }
}

#[test]
#[ignore = "needs the masked transcripts: BRIDGE_TRANSCRIPTS (folder) and BRIDGE_EXPECTED (expected.json); minutes"]
fn real_transcripts_synchronized_in_200_pieces_have_their_expected_totals() {
    let path_from_env =
        |name: &str| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")));
    let expected: Value =
        serde_json::from_slice(&fs::read(path_from_env("BRIDGE_EXPECTED")).unwrap()).unwrap();
    for case in expected.as_array().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let whole = path_from_env("BRIDGE_TRANSCRIPTS").join(case["dir"].as_str().unwrap());
        let totals = block_on(synchronize_in_pieces(&whole, folder.path(), 200, &mut Rng::with_seed(7)));
        let counts = totals.counts;
        let found = [counts.input, counts.output, counts.cache_creation, counts.cache_read, totals.responses];
        let names = ["input", "output", "cache_creation", "cache_read", "responses"];
        let expected = names.map(|name| case[name].as_u64().unwrap());
        assert_eq!(found, expected, "{}", case["dir"]);
    }
}
