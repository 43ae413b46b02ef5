//! The JSON format of the serializable public types: `golden.json` holds an example of each, by type name.
//!
//! After an intended change, `BLESS=1` rewrites the file.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use bridge::storage::{
    BackupFormat, BreakdownRow, Direction, ExportSummary, GroupList, GroupOrder, GroupPage, ReplacedRow,
    StoreTotals, UpsertOutcome, UsageSums,
};
use bridge::{
    AnalysisSource, AnalysisSummary, AnalysisWithSource, AuditId, AuditOutcome, AuditRecord, BackfillResult,
    Breakdown, CalendarUnit, CheckpointName, CheckpointTotals, Completeness, ContentCategory, CorrelationId,
    DataAge, HealthState, HealthStatus, IntegrityResult, OperationName, Origin, Probe, ResponseVersion,
    RollbackResult, SessionId, StoreMode, StoreReceipt, StoreState, SummaryMetadata, SyncResult, SyncStatus,
    TimeRange, TimeZone, Timestamp,
    integrity::{DifferenceKind, IntegrityDifference, RepairAction, RepairReport},
    stream::StreamResult,
};
use bridge_core::{CheckpointComparison, DamageKind, ProbeResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::analysis;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/facade/golden.json");

#[derive(Default)]
struct Examples(BTreeMap<&'static str, Value>);

impl Examples {
    /// Adds an example after checking that it round-trips through JSON, as text and as a value.
    fn add<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &'static str, example: T) {
        let json = serde_json::to_value(&example).unwrap();
        assert_eq!(serde_json::from_value::<T>(json.clone()).unwrap(), example);
        let text = serde_json::to_string(&example).unwrap();
        assert_eq!(serde_json::from_str::<T>(&text).unwrap(), example);
        self.0.insert(name, json);
    }

    /// Adds a type's default value as its example.
    fn add_default<T: Default + Serialize + DeserializeOwned + PartialEq + Debug>(
        &mut self,
        name: &'static str,
    ) {
        self.add(name, T::default());
    }
}

fn defaults(examples: &mut Examples) {
    examples.add_default::<AnalysisSummary>("AnalysisSummary");
    examples.add_default::<BackfillResult>("BackfillResult");
    examples.add_default::<Breakdown>("Breakdown");
    examples.add_default::<CheckpointComparison>("CheckpointComparison");
    examples.add_default::<Completeness>("Completeness");
    examples.add_default::<ExportSummary>("ExportSummary");
    examples.add_default::<DataAge>("DataAge");
    examples.add_default::<GroupList>("GroupList");
    examples.add_default::<RepairReport>("RepairReport");
    examples.add_default::<CheckpointTotals>("CheckpointTotals");
    examples.add_default::<StoreReceipt>("StoreReceipt");
    examples.add_default::<StoreTotals>("StoreTotals");
    examples.add_default::<StreamResult>("StreamResult");
    examples.add_default::<SummaryMetadata>("SummaryMetadata");
    examples.add_default::<TimeRange>("TimeRange");
    examples.add_default::<UsageSums>("UsageSums");
}

fn rollback(duration: Duration) -> RollbackResult {
    RollbackResult {
        checkpoint: CheckpointName::new("good").unwrap(),
        before: Some(CheckpointTotals::default()),
        after: None,
        replaced_state: None,
        differing_sessions: None,
        differences: Vec::new(),
        state: StoreState::first(),
        duration,
    }
}

fn structs(examples: &mut Examples) {
    let (time, session) = (super::now(), SessionId::new("s").unwrap());
    let analysis = analysis("s", u128::MAX - 1, &[7]);
    let row = analysis.responses[0].clone();
    let version: ResponseVersion = row.version();
    examples.add("ResponseVersion", ResponseVersion::from_parts(u128::MAX, 1));
    assert_eq!(serde_json::to_value(version).unwrap(), version.to_string());
    let mut integrity = IntegrityResult::new(None, 0.01);
    let difference = IntegrityDifference::new(row.key, DifferenceKind::Missing, None, Some(row));
    integrity.tallies.insert(DifferenceKind::Missing, bridge::integrity::IntegrityTally::default());
    integrity.differences.push(difference);
    examples.add("IntegrityResult", integrity);
    examples.add(
        "AnalysisWithSource",
        AnalysisWithSource::new(analysis, AnalysisSource::Live, Duration::from_millis(1_500)),
    );
    let operation = OperationName::new("backfill").unwrap();
    examples.add("AuditRecord", AuditRecord::new(AuditId(1), time, CorrelationId(2), operation));
    examples.add("BreakdownRow", BreakdownRow { name: "p".to_owned(), totals: StoreTotals::default() });
    examples.add("GroupPage", GroupPage::default());
    let took = Duration::from_micros(1_500);
    let probe = ProbeResult::new(Probe::Disk, HealthState::Healthy, String::new(), took);
    examples.add("HealthStatus", HealthStatus::new(vec![probe], time, took));
    examples.add("RollbackResult", rollback(took));
    examples.add("StoreState", StoreState::first());
    examples.add("SyncResult", SyncResult::unchanged(session));
    examples.add("TimeZone", TimeZone::UTC);
    examples.add("Timestamp", Timestamp::MAX);
}

fn enums(examples: &mut Examples) {
    examples.add(
        "Vec<AnalysisSource>",
        vec![AnalysisSource::Stored, AnalysisSource::Live, AnalysisSource::Cached],
    );
    examples.add("Vec<AuditOutcome>", AuditOutcome::ALL.to_vec());
    examples.add("Vec<BackupFormat>", vec![BackupFormat::Parquet, BackupFormat::JsonLines]);
    let steps = [
        CalendarUnit::Minute,
        CalendarUnit::Hour,
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::Month,
    ];
    examples.add("Vec<CalendarUnit>", steps.to_vec());
    examples.add("Vec<ContentCategory>", ContentCategory::ALL.to_vec());
    let damage = [DamageKind::BadLine, DamageKind::BadUsage, DamageKind::Oversize, DamageKind::Pending];
    examples.add("Vec<DamageKind>", damage.to_vec());
    examples.add("Vec<DifferenceKind>", DifferenceKind::ALL.to_vec());
    examples.add("Vec<Direction>", vec![Direction::Descending, Direction::Ascending]);
    let orders = [GroupOrder::Tokens, GroupOrder::CacheCreation, GroupOrder::LastTime, GroupOrder::Name];
    examples.add("Vec<GroupOrder>", orders.to_vec());
    examples
        .add("Vec<HealthState>", vec![HealthState::Healthy, HealthState::Degraded, HealthState::Unhealthy]);
    examples.add("Vec<Origin>", vec![Origin::Assistant, Origin::Iterations, Origin::Summed, Origin::Covered]);
    examples.add("Vec<Probe>", vec![Probe::Connectivity, Probe::ErrorRate]);
    examples
        .add("Vec<RepairAction>", vec![RepairAction::Restored, RepairAction::Forced, RepairAction::Removed]);
    let checkpoint = CheckpointName::new("good").unwrap();
    examples.add("Vec<StoreMode>", vec![StoreMode::Stored, StoreMode::Direct { checkpoint }]);
    let statuses = [
        SyncStatus::Changed,
        SyncStatus::Unchanged,
        SyncStatus::SourceGone,
        SyncStatus::Failed,
        SyncStatus::Streamed,
    ];
    examples.add("Vec<SyncStatus>", statuses.to_vec());
    let replaced = ReplacedRow {
        session: SessionId::new("s").unwrap(),
        tokens: u64::MAX,
        rule_revision: bridge::RuleRevision::CURRENT,
        usage: None,
    };
    let outcomes = vec![UpsertOutcome::New, UpsertOutcome::Replaced(replaced), UpsertOutcome::Unchanged];
    examples.add("Vec<UpsertOutcome>", outcomes);
}

fn examples() -> BTreeMap<&'static str, Value> {
    let mut examples = Examples::default();
    defaults(&mut examples);
    structs(&mut examples);
    enums(&mut examples);
    examples.0
}

#[test]
fn public_types_match_their_golden_json() {
    let examples = examples();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PATH, serde_json::to_string_pretty(&examples).unwrap() + "\n").unwrap();
    }
    let golden: BTreeMap<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    for (name, value) in &examples {
        assert_eq!(Some(value), golden.get(*name), "{name}");
    }
    assert_eq!(examples.len(), golden.len(), "golden.json has an example of an unknown type");
}

/// Keys and variant names are snake_case everywhere.
#[test]
fn json_is_snake_case_throughout() {
    for (name, value) in &examples() {
        if name.starts_with("Vec") {
            check_variants(name, value);
        }
        check_keys(name, value);
    }
}

/// A duration is a number under a key that names its unit, not the fields of a Rust struct.
#[test]
fn durations_are_numbers_of_seconds() {
    let golden = std::fs::read_to_string(PATH).unwrap();
    assert!(!golden.contains("\"secs\"") && !golden.contains("\"nanos\""));
    assert_eq!(examples()["AnalysisWithSource"]["age_seconds"], 1.5);
    assert_eq!(examples()["HealthStatus"]["probes"][0]["duration_seconds"], 0.0015);
}

fn check_variants(name: &str, variants: &Value) {
    for variant in variants.as_array().unwrap().iter().filter_map(Value::as_str) {
        assert!(is_snake_case(variant), "{variant} in {name}");
    }
}

fn check_keys(name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert!(is_snake_case(key), "{key} in {name}");
                check_keys(name, value);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| check_keys(name, value)),
        _ => {}
    }
}

fn is_snake_case(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
