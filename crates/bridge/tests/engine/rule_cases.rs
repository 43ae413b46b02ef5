//! The counting rule on small transcripts modeled on public reports of wrong counters: as analyzed and as read back
//! from the database.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bridge::storage::{Dimension, ResponseFilter, StoreTotals, TokenStore};
use bridge::{BackfillOptions, BackfillResult, DashboardQuery, Origin, Receipt, TokenCounts};
use bridge_testkit::engine::TestDatabase;
use serde_json::Value;

/// Transcripts and their totals by the rule.
struct Case {
    name: &'static str,
    files: Vec<String>,
    responses: u64,
    /// Input, output, cache creation, cache read.
    counts: [u64; 4],
    /// Lines of the receipt: assistant lines, from iterations, raised, and the sum of advisor, compaction, declined and
    /// other.
    receipt: [u64; 4],
    /// Responses by origin, except those of assistant lines.
    apart: Vec<(Origin, u64)>,
    /// Responses with weak keys, and their tokens.
    weak: (u64, u64),
}

impl Default for Case {
    fn default() -> Self {
        Self {
            name: "",
            files: Vec::new(),
            responses: 1,
            counts: [0; 4],
            receipt: [0; 4],
            apart: Vec::new(),
            weak: (0, 0),
        }
    }
}

/// A line of a finished response in session `s`.
fn line(id: &str, usage: &str) -> String {
    stopped(id, "\"end_turn\"", usage)
}

fn stopped(id: &str, stop: &str, usage: &str) -> String {
    format!(
        r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-02-01T08:00:00Z","message":{{"id":"{id}","model":"m","stop_reason":{stop},"usage":{usage}}}}}"#
    ) + "\n"
}

fn usage(counts: [u64; 4], more: &str) -> String {
    let [input, output, creation, read] = counts;
    format!(
        r#"{{"input_tokens":{input},"output_tokens":{output},"cache_creation_input_tokens":{creation},"cache_read_input_tokens":{read}{more}}}"#
    )
}

fn entry(head: &str, counts: [u64; 4]) -> String {
    usage(counts, head)
}

fn iterations(entries: &[String]) -> String {
    format!(r#","iterations":[{}]"#, entries.join(","))
}

const MESSAGE: &str = r#","type":"message""#;
const FALLBACK: &str = r#","type":"fallback_message","model":"n""#;
const LONG: &str = "msg_case_with_its_own_id_0";

fn cases_of_iterations() -> Vec<Case> {
    let declined = [entry(MESSAGE, [2, 300, 700, 5000]), entry(FALLBACK, [2, 800, 0, 6000])];
    let thrice = [
        entry("", [1, 10, 0, 0]),
        entry(FALLBACK, [2, 20, 0, 0]),
        "null".to_owned(),
        entry(FALLBACK, [3, 30, 0, 0]),
    ];
    let compacted = [entry(r#","type":"compaction""#, [170, 9, 0, 0]), entry(MESSAGE, [20, 4, 0, 0])];
    let unknown = [entry(MESSAGE, [5, 5, 0, 0]), entry(r#","type":"vision""#, [7, 0, 0, 0])];
    vec![
        Case {
            name: "a refused attempt before the fallback that answered",
            files: vec![line(LONG, &usage([2, 800, 0, 6000], &iterations(&declined))).repeat(2)],
            responses: 2,
            counts: [4, 1100, 700, 11000],
            receipt: [13604, 0, 0, 12004],
            apart: vec![(Origin::Declined, 1)],
            ..Case::default()
        },
        Case {
            name: "several fallbacks, the last of which answered",
            files: vec![line(LONG, &usage([0; 4], &iterations(&thrice)))],
            responses: 3,
            counts: [6, 60, 0, 0],
            receipt: [0, 33, 0, 33],
            apart: vec![(Origin::Declined, 2), (Origin::Iterations, 1)],
            ..Case::default()
        },
        Case {
            name: "a compaction that the top level leaves out",
            files: vec![line(LONG, &usage([20, 4, 0, 0], &iterations(&compacted)))],
            responses: 2,
            counts: [190, 13, 0, 0],
            receipt: [24, 0, 0, 179],
            apart: vec![(Origin::Compaction, 1)],
            ..Case::default()
        },
        Case {
            name: "a compaction below a top level of zeros",
            files: vec![line(LONG, &usage([0; 4], &iterations(&compacted)))],
            responses: 2,
            counts: [190, 13, 0, 0],
            receipt: [0, 24, 0, 179],
            apart: vec![(Origin::Compaction, 1), (Origin::Iterations, 1)],
            ..Case::default()
        },
        Case {
            name: "a top level that underreports some counters",
            files: vec![line(
                LONG,
                &usage([50, 1, 0, 0], &iterations(&[entry(MESSAGE, [5, 5, 0, 7]), entry("", [5, 5, 0, 7])])),
            )],
            counts: [50, 10, 0, 14],
            receipt: [51, 0, 23, 0],
            ..Case::default()
        },
        Case {
            name: "an unknown type that the top level includes",
            files: vec![line(LONG, &usage([12, 5, 0, 0], &iterations(&unknown)))],
            counts: [12, 5, 0, 0],
            receipt: [17, 0, 0, 0],
            ..Case::default()
        },
        Case {
            name: "an unknown type that the top level leaves out",
            files: vec![line(LONG, &usage([11, 5, 0, 0], &iterations(&unknown)))],
            responses: 2,
            counts: [18, 5, 0, 0],
            receipt: [16, 0, 0, 7],
            apart: vec![(Origin::Other, 1)],
            ..Case::default()
        },
    ]
}

fn cases_of_keys_and_files() -> Vec<Case> {
    let turns = |from: u64| -> String {
        (from..from + 4)
            .map(|turn| {
                stopped("one_for_all", "null", &usage([100 * turn, 1, 0, 50], ""))
                    + &line("one_for_all", &usage([100 * turn, 9, 0, 50], ""))
            })
            .collect()
    };
    vec![
        Case {
            name: "a gateway that reuses one short id, with a resumed session",
            files: vec![turns(1), turns(3)],
            responses: 6,
            counts: [2100, 54, 0, 300],
            receipt: [100 * 28 * 2 + 10 * 8 + 50 * 16, 0, 0, 0],
            weak: (6, 2454),
            ..Case::default()
        },
        Case {
            name: "an empty last chunk with the stop reason",
            files: vec![stopped(LONG, "null", &usage([500, 40, 0, 0], "")) + &line(LONG, &usage([0; 4], ""))],
            counts: [500, 40, 0, 0],
            receipt: [540, 0, 0, 0],
            ..Case::default()
        },
        Case {
            name: "a byte order mark at the start",
            files: vec![format!("\u{feff}{}", line(LONG, &usage([1, 2, 3, 4], "")))],
            counts: [1, 2, 3, 4],
            receipt: [10, 0, 0, 0],
            ..Case::default()
        },
        Case {
            name: "a cache split without a total",
            files: vec![line(
                LONG,
                r#"{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":400}}"#,
            )],
            counts: [1, 0, 430, 0],
            receipt: [431, 0, 0, 0],
            ..Case::default()
        },
        Case {
            name: "the other spelling of the session id",
            files: vec![line(LONG, &usage([1, 0, 0, 0], "")).replace("sessionId", "session_id")],
            counts: [1, 0, 0, 0],
            receipt: [1, 0, 0, 0],
            ..Case::default()
        },
    ]
}

#[tokio::test]
async fn every_case_is_counted_by_the_rule_and_read_back() {
    let cases = cases_of_iterations().into_iter().chain(cases_of_keys_and_files());
    for (number, case) in cases.enumerate() {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in case.files.iter().enumerate() {
            fs::write(folder.path().join(format!("f{file}.jsonl")), content).unwrap();
        }
        let (found, store) = backfill(folder.path(), &format!("rule_case_{number}")).await;
        check(&case, &found, &*store).await;
    }
}

async fn backfill(sources: &Path, database: &str) -> (BackfillResult, Arc<dyn TokenStore>) {
    let database = TestDatabase::named(database);
    let store: Arc<dyn TokenStore> = Arc::new(crate::engine::store(&database.writer_url()));
    store.migrate().await.unwrap();
    let bridge = crate::engine::bridge(store.clone(), sources).build();
    (bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap(), store)
}

async fn check(case: &Case, found: &BackfillResult, store: &dyn TokenStore) {
    let Case { name, responses, counts, receipt: lines, weak, .. } = case;
    let [input, output, cache_creation, cache_read] = *counts;
    let counts = TokenCounts { input, output, cache_creation, cache_read };
    let receipt = &found.analysis.receipt;
    assert!(receipt.adds_up(), "{name}: {receipt:?}");
    assert_eq!((found.analysis.responses, found.analysis.counts), (*responses, counts), "{name}");
    let shown = [
        receipt.assistant_lines.tokens,
        receipt.from_iterations.tokens,
        receipt.raised.tokens,
        apart(receipt),
    ];
    assert_eq!(shown, *lines, "{name}");
    assert_eq!((receipt.weak_responses.count, receipt.weak_responses.tokens), *weak, "{name}");

    let stored = store.totals(&ResponseFilter::default()).await.unwrap();
    assert_eq!((stored.responses, stored.counts, stored.sessions), (*responses, counts, 1), "{name}");
    let mut expected: Vec<_> = case.apart.clone();
    let of_lines = responses - expected.iter().map(|(_, number)| number).sum::<u64>();
    expected.extend([(Origin::Assistant, of_lines)].into_iter().filter(|(_, number)| *number > 0));
    let mut expected: Vec<_> =
        expected.into_iter().map(|(origin, number)| (origin.name().to_owned(), number)).collect();
    expected.sort();
    let mut by_origin: Vec<(String, u64)> =
        rows(store).await.into_iter().map(|(name, totals)| (name, totals.responses)).collect();
    by_origin.sort();
    assert_eq!(by_origin, expected, "{name}");
    check_dashboard(name, &expected, *weak, store).await;
}

fn apart(receipt: &Receipt) -> u64 {
    let lines = [receipt.advisor, receipt.compaction, receipt.declined, receipt.other];
    lines.iter().map(|line| line.tokens).sum()
}

async fn rows(store: &dyn TokenStore) -> Vec<(String, StoreTotals)> {
    let rows = store.breakdown(Dimension::Origin, &ResponseFilter::default(), None).await.unwrap();
    rows.into_iter().map(|row| (row.name, row.totals)).collect()
}

async fn check_dashboard(name: &str, expected: &[(String, u64)], weak: (u64, u64), store: &dyn TokenStore) {
    let mut filter = bridge::storage::DashboardFilter::default();
    filter.receipt = DashboardQuery::default().receipt;
    let dashboard = store.dashboard(&filter).await.unwrap();
    let mut shown: Vec<_> =
        dashboard.origins.iter().map(|row| (row.name.clone(), row.sums.responses)).collect();
    shown.sort();
    assert_eq!(shown, expected, "{name}");
    assert_eq!((dashboard.weak.responses, dashboard.weak.counts.total()), weak, "{name}");
    let receipt = dashboard.receipt.expect("the query includes the receipt");
    assert_eq!((receipt.weak.count, receipt.weak.tokens), weak, "{name}");
}

/// A file in another encoding is reported once, with the encoding's name.
#[tokio::test]
async fn a_utf_16_file_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = line(LONG, &usage([1, 2, 3, 4], "")).repeat(3);
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path().join("windows.jsonl"), [b"\xff\xfe", &bytes[..]].concat()).unwrap();
    let (found, _) = backfill(folder.path(), "rule_case_utf_16").await;
    assert_eq!((found.analysis.responses, found.analysis.receipt.damage.bad_lines), (0, 3));
    let reported: Vec<_> = found.analysis.damaged_lines.iter().map(ToString::to_string).collect();
    assert_eq!(reported.iter().filter(|line| line.contains("UTF-16")).count(), 1, "{reported:?}");
}

/// Runs on transcripts from outside of the project.
#[tokio::test]
#[ignore = "needs transcripts and their totals: BRIDGE_TRANSCRIPTS (folder) and BRIDGE_EXPECTED (expected.json)"]
async fn every_given_folder_is_read_back_with_its_expected_totals() {
    let given = |name: &str| std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set"));
    let expected: Value = serde_json::from_slice(&fs::read(given("BRIDGE_EXPECTED")).unwrap()).unwrap();
    for (number, case) in expected.as_array().unwrap().iter().enumerate() {
        let folder = Path::new(&given("BRIDGE_TRANSCRIPTS")).join(case["dir"].as_str().unwrap());
        let (found, store) = backfill(&folder, &format!("rule_folder_{number}")).await;
        assert!(found.success && found.analysis.receipt.adds_up(), "{found:?}");
        let StoreTotals { responses, counts, .. } = store.totals(&ResponseFilter::default()).await.unwrap();
        let shown = [
            ("responses", responses),
            ("input", counts.input),
            ("output", counts.output),
            ("cache_creation", counts.cache_creation),
            ("cache_read", counts.cache_read),
            ("total", counts.total()),
        ];
        for (name, value) in shown {
            assert_eq!(case[name].as_u64(), Some(value), "{name} of {folder:?}");
        }
    }
}
