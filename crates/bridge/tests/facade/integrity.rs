//! Integrity checks of an untampered store against the sources.

use std::fs;
use std::sync::Arc;

use bridge::storage::{InMemoryStore, ResponseFilter, TokenStore, UpsertOptions};
use bridge::{
    BackfillOptions, EnhancedTokenDatabaseBridge, IntegrityOptions, IntegrityResult, Repair, ResponseKey,
    ResponseUsage, SessionId, Timestamp,
    integrity::{DifferenceKind, RepairReport},
};
use bridge_testkit::fixtures::line_at;
use bridge_testkit::history::HistoryPlan;
use tempfile::TempDir;

use crate::facade::bridge;

/// A line with a timestamp at this hour.
fn line(session: &str, message: u64, output: u64, hour: u32) -> String {
    line_at(session, message, output, &format!("2026-02-01T{hour}:00:00Z"))
}

struct Setup {
    folder: TempDir,
    store: Arc<InMemoryStore>,
    bridge: EnhancedTokenDatabaseBridge,
}

/// An up-to-date store with two sessions: `s` with responses of 40 and 2 tokens, `t` with one of 100.
async fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), &[folder.path()]);
    let setup = Setup { folder, store, bridge };
    setup.write("s", &[line("s", 1, 40, 12), line("s", 2, 2, 13)]);
    setup.write("t", &[line("t", 3, 100, 12)]);
    setup.backfill().await;
    setup
}

impl Setup {
    fn write(&self, name: &str, lines: &[String]) {
        fs::write(self.folder.path().join(name).with_extension("jsonl"), lines.concat()).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name).with_extension("jsonl")).unwrap();
    }

    async fn backfill(&self) {
        let _ = self.bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    }

    async fn verify(&self, repair: Repair) -> IntegrityResult {
        let options = IntegrityOptions::default().with_tolerance(0.0).with_repair(repair);
        self.bridge.verify_data_integrity(options).await.unwrap()
    }

    async fn verify_session(&self, name: &str) -> IntegrityResult {
        let options =
            IntegrityOptions::default().with_session(SessionId::new(name).unwrap()).with_tolerance(0.0);
        self.bridge.verify_data_integrity(options).await.unwrap()
    }

    async fn repair(&self, repair: Repair) -> RepairReport {
        self.verify(repair).await.repair.unwrap()
    }

    async fn row(&self, output: u64) -> ResponseUsage {
        let rows = self.store.responses(&ResponseFilter::default()).await.unwrap();
        rows.into_iter().find(|row| row.counts.output == output).unwrap()
    }

    async fn put(&self, row: ResponseUsage, options: &UpsertOptions) {
        self.store.upsert(&[row], options).await.unwrap();
    }

    async fn total(&self) -> u64 {
        self.store.totals(&ResponseFilter::default()).await.unwrap().counts.total()
    }
}

/// The only kind of difference, with its responses, stored tokens and live tokens.
fn only(result: &IntegrityResult) -> (DifferenceKind, u64, u64, u64) {
    assert_eq!(result.tallies.len(), 1, "{result:?}");
    let (kind, tally) = result.tallies.iter().next().unwrap();
    (*kind, tally.responses, tally.stored_tokens, tally.live_tokens)
}

#[tokio::test]
async fn an_up_to_date_store_passes_for_any_history() {
    for seed in 40..44 {
        let history = HistoryPlan { seed, ..HistoryPlan::default() }.generate();
        let folder = tempfile::tempdir().unwrap();
        history.write_below(&folder.path().join("projects")).unwrap();
        let bridge = bridge(Arc::new(InMemoryStore::default()), &[folder.path()]);
        let options = IntegrityOptions::default().with_tolerance(0.0).with_repair(Repair::Restore);
        let empty = bridge.verify_data_integrity(options).await.unwrap();
        assert_eq!((empty.passed, empty.missing().responses), (false, history.truth.responses));
        assert_eq!((empty.missing().live_tokens, empty.stored_tokens), (history.truth.total(), 0));
        assert_eq!(empty.repair.unwrap().restored, history.truth.responses);
        let whole = bridge.verify_data_integrity(IntegrityOptions::default()).await.unwrap();
        assert!(whole.passed && whole.tallies.is_empty());
        assert_eq!((whole.equal, whole.compared), (history.truth.responses, history.truth.responses));
        assert_eq!((whole.stored_tokens, whole.live_tokens), (history.truth.total(), history.truth.total()));
        for session in history.truth.sessions.keys() {
            let options = IntegrityOptions::default().with_session(SessionId::new(session).unwrap());
            let result = bridge.verify_data_integrity(options).await.unwrap();
            assert!(result.passed && result.equal == result.compared);
        }
    }
}

#[tokio::test]
async fn newer_source_data_is_an_error_until_stored() {
    let setup = setup().await;
    setup.write("s", &[line("s", 1, 40, 12), line("s", 2, 3, 14), line("s", 4, 7, 15)]);
    let result = setup.verify(Repair::Off).await;
    assert!(!result.passed);
    assert_eq!((result.missing().responses, result.missing().live_tokens), (1, 7));
    let behind = result.of_kind(DifferenceKind::Behind);
    assert_eq!((behind.responses, behind.stored_tokens, behind.live_tokens), (1, 2, 3));
    assert!(setup.verify_session("t").await.passed);
    assert_eq!((setup.repair(Repair::Restore).await.restored, setup.total().await), (2, 150));
    assert!(setup.verify(Repair::Off).await.passed);
}

#[tokio::test]
async fn errors_within_the_tolerance_pass() {
    let setup = setup().await;
    setup.write("t", &[line("t", 3, 101, 12)]);
    let verify = |tolerance| {
        let (bridge, options) = (setup.bridge.clone(), IntegrityOptions::default().with_tolerance(tolerance));
        async move { bridge.verify_data_integrity(options).await.unwrap() }
    };
    // The response has another version, but only 1 of 143 tokens differs.
    let result = verify(0.01).await;
    assert_eq!((result.passed, result.erroneous().differing_tokens), (true, 1), "{result:?}");
    assert!(!verify(0.005).await.passed && !verify(0.0).await.passed && !verify(f64::NAN).await.passed);
}

#[tokio::test]
async fn greater_stored_values_pass_and_only_force_replaces_them() {
    let setup = setup().await;
    setup.write("s", &[line("s", 1, 39, 12), line("s", 2, 2, 13)]);
    let result = setup.verify(Repair::Restore).await;
    assert!(result.passed);
    assert_eq!(only(&result), (DifferenceKind::Ahead, 1, 40, 39));
    assert_eq!((result.repair.unwrap(), setup.total().await), (RepairReport::default(), 142));
    assert_eq!((setup.repair(Repair::Force).await.forced, setup.total().await), (1, 141));
    assert!(setup.verify(Repair::Off).await.tallies.is_empty());
    // Reading the replaced snapshot again does not restore it; an even greater one is stored.
    setup.write("s", &[line("s", 1, 40, 12), line("s", 2, 2, 13)]);
    setup.backfill().await;
    assert_eq!(setup.total().await, 141);
    let result = setup.verify(Repair::Force).await;
    assert_eq!((result.passed, only(&result)), (true, (DifferenceKind::Corrected, 1, 39, 40)));
    setup.write("s", &[line("s", 1, 41, 12), line("s", 2, 2, 13)]);
    setup.backfill().await;
    assert_eq!(setup.total().await, 143);
}

#[tokio::test]
async fn forced_corrections_pass_and_survive_every_repair() {
    let setup = setup().await;
    let mut corrected = setup.row(100).await;
    corrected.counts.output = 60;
    setup.put(corrected, &UpsertOptions::default().forced()).await;
    for repair in [Repair::Off, Repair::Restore, Repair::Force, Repair::Purge] {
        let result = setup.verify(repair).await;
        assert_eq!((result.passed, only(&result)), (true, (DifferenceKind::Corrected, 1, 60, 100)));
    }
    assert_eq!(setup.total().await, 102);
}

#[tokio::test]
async fn rows_without_a_source_pass_and_survive_every_repair() {
    let setup = setup().await;
    setup.remove("t");
    for repair in [Repair::Off, Repair::Restore, Repair::Force, Repair::Purge] {
        let result = setup.verify(repair).await;
        assert_eq!((result.passed, only(&result)), (true, (DifferenceKind::OnlyStored, 1, 100, 0)));
    }
    assert_eq!(setup.total().await, 142);
}

#[tokio::test]
async fn a_moved_response_is_reported_for_both_sessions() {
    let setup = setup().await;
    // An earlier copy names another session, where the last tie-break makes it count.
    setup.write("u", &[line("u", 3, 100, 11)]);
    for name in ["t", "u"] {
        let result = setup.verify_session(name).await;
        let (stored, live) = if name == "t" { (100, 0) } else { (0, 100) };
        assert_eq!(
            (result.passed, result.moved, only(&result)),
            (false, 1, (DifferenceKind::Behind, 1, stored, live))
        );
        assert!(result.differences[0].is_moved());
    }
    setup.backfill().await;
    assert!(setup.verify_session("t").await.compared == 0 && setup.verify_session("u").await.passed);
    // The store remembers the deleted copy, which is correct.
    setup.remove("u");
    for name in ["t", "u"] {
        let result = setup.verify_session(name).await;
        let (stored, live) = if name == "u" { (100, 0) } else { (0, 100) };
        assert_eq!(
            (result.passed, result.moved, only(&result)),
            (true, 1, (DifferenceKind::Ahead, 1, stored, live))
        );
    }
}

#[tokio::test]
async fn a_duplicated_response_is_removed_only_by_a_purge() {
    let setup = setup().await;
    let second = ResponseUsage { key: ResponseKey(7), ..setup.row(40).await };
    setup.put(second, &UpsertOptions::default()).await;
    let result = setup.verify(Repair::Force).await;
    assert_eq!((result.passed, only(&result)), (false, (DifferenceKind::Duplicated, 1, 40, 0)));
    assert_eq!((result.repair.unwrap().remaining, setup.total().await), (1, 182));
    assert_eq!((setup.repair(Repair::Purge).await.removed, setup.total().await), (1, 142));
    assert!(setup.verify(Repair::Off).await.passed);
}

#[tokio::test]
async fn an_unreadable_source_blocks_force_and_purge() {
    let setup = setup().await;
    let mut more = setup.row(40).await;
    more.counts.output = 90;
    setup.put(more.clone(), &UpsertOptions::default()).await;
    setup.put(ResponseUsage { key: ResponseKey(7), ..setup.row(2).await }, &UpsertOptions::default()).await;
    setup.write("v", &[line("v", 8, 5, 12)]);
    let broken = setup.folder.path().join("broken.jsonl");
    std::os::unix::fs::symlink(&broken, &broken).unwrap();
    let result = setup.verify(Repair::Purge).await;
    assert!(result.errors[0].contains("broken.jsonl"), "{:?}", result.errors);
    assert!(!result.passed);
    let report = result.repair.unwrap();
    assert_eq!((report.restored, report.forced, report.removed, report.remaining), (1, 0, 0, 1));
    fs::remove_file(&broken).unwrap();
    let report = setup.repair(Repair::Purge).await;
    assert_eq!((report.restored, report.forced, report.removed, report.remaining), (0, 1, 1, 0));
    assert_eq!(setup.total().await, 147);
}

#[tokio::test]
async fn missing_sources_are_no_evidence_for_a_purge() {
    let setup = setup().await;
    setup.put(ResponseUsage { key: ResponseKey(7), ..setup.row(2).await }, &UpsertOptions::default()).await;
    setup.remove("s");
    setup.remove("t");
    assert_eq!(setup.repair(Repair::Purge).await, RepairReport::default());
    assert_eq!(setup.total().await, 144);
}

#[tokio::test]
async fn differences_are_listed_up_to_the_limit_and_counted_beyond_it() {
    let setup = setup().await;
    for key in 10..30 {
        let mut row = ResponseUsage::new(ResponseKey(key), SessionId::new("x").unwrap(), Timestamp::MIN);
        row.counts.output = 1;
        setup.put(row, &UpsertOptions::default()).await;
    }
    setup.write("w", &[line("w", 5, 1, 12), line("w", 6, 1, 12), line("w", 7, 1, 12)]);
    let options = IntegrityOptions::default().with_listed_max(2);
    let result = setup.bridge.verify_data_integrity(options).await.unwrap();
    assert_eq!((result.only_stored().responses, result.missing().responses), (20, 3));
    let listed = |kind| result.differences.iter().filter(|difference| difference.kind == kind).count();
    assert_eq!((listed(DifferenceKind::OnlyStored), listed(DifferenceKind::Missing)), (2, 2));
}
