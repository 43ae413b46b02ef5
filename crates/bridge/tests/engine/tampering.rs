//! Every kind of tampering is detected and repaired without a trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use bridge::storage::{
    ClickHouseStore, IntegrityStore, ResponseFilter, StoredResponse, StoredScope, TokenStore, UpsertOptions,
    UpsertOutcome,
};
use bridge::{
    BackfillOptions, EnhancedTokenDatabaseBridge, IntegrityOptions, IntegrityResult, Repair, ResponseUsage,
    SessionId, TokenCounts, integrity::DifferenceKind,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::history::GeneratedHistory;
use tempfile::TempDir;

use crate::engine::table::{Subject, Table};

const MISSING: DifferenceKind = DifferenceKind::Missing;
const CORRUPTED: DifferenceKind = DifferenceKind::Corrupted;
const DUPLICATED: DifferenceKind = DifferenceKind::Duplicated;
const UNCOVERED: DifferenceKind = DifferenceKind::Uncovered;
const AHEAD: DifferenceKind = DifferenceKind::Ahead;

/// The greatest `UInt256`.
const GREATEST: &str =
    "toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935')";

/// A change of the table.
enum Act {
    /// Changes columns of the row.
    Update(&'static str),
    /// Inserts a changed copy of the row.
    Copy(&'static str),
    /// Replaces the row with a changed copy.
    Exchange(&'static str),
    /// Swaps the output counters of two rows.
    Swap,
    /// Runs a statement in which `SESSION` stands for the row's session.
    Statement(&'static str),
    /// Stores the row through the bridge, with more output tokens.
    Store,
}

/// The expected differences.
enum Found {
    /// These numbers by kind.
    Exactly(&'static [(DifferenceKind, u64)]),
    /// All responses of the row's session and no others.
    Session(DifferenceKind),
    /// All responses.
    All(DifferenceKind),
}

struct Tampering {
    name: &'static str,
    act: Act,
    found: Found,
    /// The least invasive repair that undoes the change.
    repair: Repair,
}

fn update(name: &'static str, change: &'static str) -> Tampering {
    let found = Found::Exactly(&[(CORRUPTED, 1)]);
    Tampering { name, act: Act::Update(change), found, repair: Repair::Restore }
}

fn copy(name: &'static str, change: &'static str) -> Tampering {
    Tampering { act: Act::Copy(change), ..update(name, "") }
}

fn all() -> Vec<Tampering> {
    let restore = Repair::Restore;
    vec![
        update("a counter increased", "output_tokens = output_tokens + 100000"),
        update("a counter decreased", "output_tokens = output_tokens - 1"),
        update("a counter zeroed", "cache_read_tokens = 0"),
        update("counters of a row swapped", "input_tokens = output_tokens, output_tokens = input_tokens"),
        update(
            "all counters zeroed",
            "input_tokens = 0, output_tokens = 0, cache_creation_tokens = 0, cache_read_tokens = 0",
        ),
        update(
            "the cache split changed",
            "cache_creation_5m_tokens = cache_creation_1h_tokens, cache_creation_1h_tokens = cache_creation_5m_tokens + 1",
        ),
        update("moved to another session", "session_id = 'another'"),
        update("an empty session id", "session_id = ''"),
        update("another project", "project = 'another'"),
        update("another model", "model = 'another'"),
        update("the host renamed", "host = 'another'"),
        update("another agent", "agent = 'another'"),
        update("another service tier", "service_tier = 'another'"),
        update("a day later", "time = time + INTERVAL 1 DAY"),
        update("an impossible time", "time = toDateTime64('1960-01-01 00:00:00', 3, 'UTC')"),
        update("the finished flag flipped", "finished = NOT finished"),
        update("the sidechain flag flipped", "sidechain = NOT sidechain"),
        update("the nested flag flipped", "nested = NOT nested"),
        update("the fork flag flipped", "forked = NOT forked"),
        update("another origin", "origin = 'summed'"),
        copy("duplicated with a greater version", "version + 1 AS version"),
        copy(
            "duplicated with more tokens and a greater version",
            "version + 1 AS version, output_tokens + 5 AS output_tokens",
        ),
        copy(
            "duplicated with fewer tokens and the greatest version",
            "toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935') AS version, 0 AS output_tokens",
        ),
        copy("duplicated with the same version and more tokens", "output_tokens + 5 AS output_tokens"),
        Tampering { act: Act::Exchange("version - 1 AS version"), ..update("the version lowered", "") },
        Tampering { act: Act::Exchange("toUInt256(0) AS version"), ..update("the version zeroed", "") },
        Tampering {
            act: Act::Swap,
            found: Found::Exactly(&[(CORRUPTED, 2)]),
            ..update("counters of two rows swapped", "")
        },
        Tampering {
            name: "another key",
            act: Act::Exchange("key + 1 AS key"),
            found: Found::Exactly(&[(MISSING, 1), (DUPLICATED, 1)]),
            repair: Repair::Purge,
        },
        Tampering {
            name: "a second key",
            act: Act::Copy("key + 1 AS key"),
            found: Found::Exactly(&[(DUPLICATED, 1)]),
            repair: Repair::Purge,
        },
        Tampering {
            name: "a fabricated response",
            act: Act::Copy("key + 1 AS key, output_tokens + 7 AS output_tokens"),
            found: Found::Exactly(&[(CORRUPTED, 1)]),
            repair: Repair::Purge,
        },
        Tampering {
            act: Act::Exchange(""),
            found: Found::Exactly(&[(MISSING, 1)]),
            ..update("a row deleted", "")
        },
        Tampering {
            name: "a session deleted",
            act: Act::Statement("ALTER TABLE token_usage DELETE WHERE session_id = 'SESSION'"),
            found: Found::Session(MISSING),
            repair: restore,
        },
        Tampering {
            name: "a session renamed",
            act: Act::Statement(
                "ALTER TABLE token_usage UPDATE session_id = 'another' WHERE session_id = 'SESSION'",
            ),
            found: Found::Session(CORRUPTED),
            repair: restore,
        },
        Tampering {
            name: "a marker deleted",
            act: Act::Statement(
                "ALTER TABLE token_usage DELETE WHERE session_id = 'SESSION' AND origin = 'covered'",
            ),
            found: Found::Exactly(&[(UNCOVERED, 1)]),
            repair: restore,
        },
        Tampering {
            name: "a marker of another session",
            act: Act::Statement(
                "ALTER TABLE token_usage UPDATE session_id = 'another' WHERE session_id = 'SESSION' AND origin = 'covered'",
            ),
            found: Found::Exactly(&[(UNCOVERED, 1)]),
            repair: restore,
        },
        Tampering {
            name: "a marker with tokens",
            act: Act::Statement(
                "ALTER TABLE token_usage UPDATE origin = 'summed', output_tokens = 7 WHERE session_id = 'SESSION' AND origin = 'covered'",
            ),
            found: Found::Exactly(&[(UNCOVERED, 1)]),
            repair: restore,
        },
        update("a response covered", "origin = 'covered'"),
        copy(
            "a response covered by a copy",
            "toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935') AS version, \
             CAST('covered', toTypeName(origin)) AS origin, 0 AS input_tokens, 0 AS output_tokens",
        ),
        Tampering {
            name: "every input counter doubled",
            act: Act::Statement("ALTER TABLE token_usage UPDATE input_tokens = 2 * input_tokens + 1 WHERE 1"),
            found: Found::All(CORRUPTED),
            repair: restore,
        },
        Tampering {
            name: "the table truncated",
            act: Act::Statement("TRUNCATE TABLE token_usage"),
            found: Found::All(MISSING),
            repair: restore,
        },
        // Must be last, because its repair marks the row as forced.
        Tampering {
            name: "a greater snapshot that no source holds",
            act: Act::Store,
            found: Found::Exactly(&[(AHEAD, 1)]),
            repair: Repair::Force,
        },
    ]
}

struct Scene {
    history: GeneratedHistory,
    bridge: EnhancedTokenDatabaseBridge,
    store: Arc<ClickHouseStore>,
    table: Table,
    subjects: [Subject; 2],
    pristine: Vec<StoredResponse>,
    _folder: TempDir,
}

impl Scene {
    async fn act(&self, act: &Act) {
        let (table, [row, other]) = (&self.table, &self.subjects);
        match act {
            Act::Update(change) => table.update(row, change).await,
            Act::Copy(change) => table.copy(row, change).await,
            Act::Exchange("") => table.delete(row, "1").await,
            Act::Exchange(change) if change.contains("AS key") => {
                table.copy(row, change).await;
                table.delete(row, "1").await;
            }
            Act::Exchange(change) => {
                // Takes a detour over another key, because the version to be removed would be ambiguous.
                table.copy(row, &format!("{change}, toUInt128(1) AS key")).await;
                table.delete(row, "1").await;
                table.copy_where("key = 1", &format!("toUInt128('{}') AS key", row.key().0)).await;
                table.run("ALTER TABLE token_usage DELETE WHERE key = 1").await;
            }
            Act::Swap => {
                table.update(row, &format!("output_tokens = {}", other.output_tokens)).await;
                table.update(other, &format!("output_tokens = {}", row.output_tokens)).await;
            }
            Act::Statement(statement) => table.run(&statement.replace("SESSION", &row.session_id)).await,
            Act::Store => {
                let mut row = self.stored_row().await;
                row.counts.output += 1000;
                let outcomes = self.store.upsert(&[row], &UpsertOptions::default()).await.unwrap();
                assert!(matches!(&outcomes[..], [UpsertOutcome::Replaced(_)]), "{outcomes:?}");
            }
        }
    }

    async fn stored_row(&self) -> ResponseUsage {
        let key = self.subjects[0].key();
        let rows = self.store.stored(&StoredScope::Keys(key..=key)).await.unwrap();
        rows[0].usage.clone().unwrap()
    }

    async fn verify(&self, session: Option<SessionId>, repair: Repair) -> IntegrityResult {
        let mut options = IntegrityOptions::default().with_tolerance(0.0).with_repair(repair);
        options.session = session;
        self.bridge.verify_data_integrity(options).await.unwrap()
    }

    fn session(&self) -> SessionId {
        SessionId::new(&self.subjects[0].session_id).unwrap()
    }

    fn expected(&self, found: &Found) -> BTreeMap<DifferenceKind, u64> {
        let rows = self.pristine.iter().filter_map(|row| row.usage.as_ref());
        // Damaged markers are reported like responses; missing ones are not.
        let is_missed = |kind: &DifferenceKind| *kind == MISSING;
        let wanted = |row: &&ResponseUsage, kind| row.origin.is_counted() || !is_missed(kind);
        match found {
            Found::Exactly(kinds) => kinds.iter().copied().collect(),
            Found::All(kind) => {
                BTreeMap::from([(*kind, rows.filter(|row| wanted(row, kind)).count() as u64)])
            }
            Found::Session(kind) => {
                let session = self.session();
                let rows = rows.filter(|row| row.session == session && wanted(row, kind));
                BTreeMap::from([(*kind, rows.count() as u64)])
            }
        }
    }

    async fn assert_whole(&self, name: &str, is_forced: bool) {
        let result = self.verify(None, Repair::Off).await;
        assert!(result.passed && result.equal == result.compared, "{name}: {result:?}");
        let truth = &self.history.truth;
        let totals = self.store.totals(&ResponseFilter::default()).await.unwrap();
        let counters = &truth.counters;
        let counts = TokenCounts {
            input: counters.input,
            output: counters.output,
            cache_creation: counters.cache_creation,
            cache_read: counters.cache_read,
        };
        assert_eq!((totals.counts, totals.responses), (counts, truth.responses), "{name}");
        if !is_forced {
            let rows = self.store.stored(&StoredScope::all()).await.unwrap();
            assert_eq!(rows, self.pristine, "{name} left a trace");
        }
    }
}

async fn scene(seed: u64) -> Scene {
    let database = TestDatabase::of_this_test();
    let (history, folder) = crate::engine::history(seed);
    let store = Arc::new(crate::engine::store(&database.writer_url()));
    store.migrate().await.unwrap();
    let bridge = crate::engine::bridge(store.clone(), folder.path()).build();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let table = Table::of(&database);
    let subjects = table.subjects().await;
    let pristine = store.stored(&StoredScope::all()).await.unwrap();
    Scene { history, bridge, store, table, subjects, pristine, _folder: folder }
}

fn kinds(result: &IntegrityResult) -> BTreeMap<DifferenceKind, u64> {
    result.tallies.iter().map(|(kind, tally)| (*kind, tally.responses)).collect()
}

#[tokio::test]
async fn every_kind_of_tampering_is_detected_and_repaired() {
    let scene = scene(11).await;
    scene.assert_whole("nothing", false).await;
    for Tampering { name, act, found, repair } in all() {
        scene.act(&act).await;
        let result = scene.verify(None, Repair::Off).await;
        assert_eq!(kinds(&result), scene.expected(&found), "{name}");
        let is_error = result.tallies.keys().any(|kind| kind.is_error());
        assert_eq!(result.passed, !is_error, "{name}");
        assert!(is_error || repair == Repair::Force, "{name}");
        assert!(result.repair.is_none());
        // Verifying only the affected session detects it too.
        let of_session = scene.verify(Some(scene.session()), Repair::Off).await;
        assert!(
            !of_session.tallies.is_empty() && of_session.passed == result.passed,
            "{name}: {of_session:?}"
        );

        if repair > Repair::Restore {
            let lesser = scene.verify(None, Repair::Restore).await.repair.unwrap();
            assert_eq!(lesser.forced + lesser.removed, 0, "{name}");
        }
        let result = scene.verify(None, repair).await;
        let report = result.repair.unwrap();
        let done = report.restored + report.forced + report.removed;
        assert!(done > 0 && report.remaining == 0, "{name}: {report:?}");
        assert!(result.differences.iter().all(|difference| difference.repaired.is_some()), "{name}");
        scene.assert_whole(name, repair == Repair::Force).await;
    }
}

#[tokio::test]
async fn a_repair_can_be_limited_to_one_session() {
    let scene = scene(12).await;
    let [row, other] = &scene.subjects;
    for subject in [row, other] {
        scene.table.update(subject, "session_id = 'another'").await;
    }
    let result = scene.verify(Some(scene.session()), Repair::Restore).await;
    assert_eq!((kinds(&result), result.moved), (BTreeMap::from([(CORRUPTED, 1)]), 1));
    assert!(result.stored_tokens < result.live_tokens);
    let of_session = scene.verify(Some(scene.session()), Repair::Off).await;
    assert!(of_session.passed && of_session.stored_tokens == of_session.live_tokens);
    assert_eq!(kinds(&scene.verify(None, Repair::Off).await), BTreeMap::from([(CORRUPTED, 1)]));
    let other = SessionId::new(&other.session_id).unwrap();
    assert!(scene.verify(Some(other), Repair::Restore).await.repair.unwrap().remaining == 0);
    scene.assert_whole("both repaired", false).await;
}

#[tokio::test]
async fn a_later_snapshot_still_wins_after_a_repair() {
    let scene = scene(13).await;
    scene.table.copy(&scene.subjects[0], &format!("{GREATEST} AS version, 1 AS output_tokens")).await;
    assert_eq!(scene.verify(None, Repair::Restore).await.repair.unwrap().remaining, 0);
    let mut later = scene.stored_row().await;
    assert_eq!(later.forced, 0);
    later.counts.output += 1;
    let outcomes = scene.store.upsert(std::slice::from_ref(&later), &UpsertOptions::default()).await.unwrap();
    assert!(matches!(&outcomes[..], [UpsertOutcome::Replaced(_)]), "{outcomes:?}");
    assert_eq!(scene.stored_row().await, later);
}
