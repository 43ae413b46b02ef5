//! The conformance suite finds a decorator that answers a method by itself in place of the store behind it.
//!
//! That a decorator *lacks* a method is found by the compiler: no method of the traits has a default body.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use async_trait::async_trait;
use bridge_core::{
    AuditFilter, AuditRecord, BridgeError, Checkpoint, CheckpointComparison, CheckpointName, Epoch, HostName,
    ResponseKey, ResponseUsage, ResponseVersion, StorageKind, StoreState, SupersededKey, Timestamp,
    TokenSummaryRecord,
};
use bridge_storage::conformance::CHECKS;
use bridge_storage::{
    AuditStore, BackupFormat, BackupStore, BreakdownRow, CheckpointStore, DashboardData, DashboardFilter,
    Dimension, DiskSpace, ExportSummary, HealthProbes, InMemoryStore, NewestSource, PoolStatus, ReplacedRow,
    ResponseFilter, ServerPlace, SourceFilter, SourceRecord, StoreStats, StoreTotals, StoredResponse,
    StoredScope, SummaryFilter, TableExport, TablePart, TokenStore, UpsertOptions, UpsertOutcome,
};

/// Delegates every method but one.
#[derive(Debug, Default)]
struct Misrouting {
    store: InMemoryStore,
    method: &'static str,
}

/// Implements a trait by delegation. Behind `=` stands the answer of the one method that is not delegated.
macro_rules! delegate {
    ($name:ident, $methods:ident {
        $(plain fn $plain:ident() -> $plain_answer:ty = $plain_wrong:expr;)*
        $(fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty = $wrong:expr;)*
    } $($own:ident { $($items:item)* })?) => {
        #[async_trait]
        impl $name for Misrouting {
            $(fn $plain(&self) -> $plain_answer {
                if self.method == stringify!($plain) { $plain_wrong } else { self.store.$plain() }
            })*

            $(async fn $method(&self, $($argument: $type),*) -> Result<$answer, BridgeError> {
                if self.method == stringify!($method) { $wrong } else { self.store.$method($($argument),*).await }
            })*

            $($($items)*)?
        }

        const $methods: &[&str] = &[$(stringify!($plain),)* $(stringify!($method),)* $(stringify!($own),)?];
    };
}

/// What looks the same on a healthy store wherever it comes from is misrouted to one that is not healthy.
fn broken<T>() -> Result<T, BridgeError> {
    Err(BridgeError::Storage {
        operation: "test",
        kind: StorageKind::Other,
        message: "misrouted".to_owned(),
        context: Box::default(),
        source: None,
    })
}

fn full_disk() -> DiskSpace {
    DiskSpace { name: "default".to_owned(), free: 0, total: 1, reserve: 0 }
}

fn used_up() -> StoreStats {
    let mut figures = StoreStats::default();
    figures.pool = Some(PoolStatus { in_use: 1, idle: 0, waiting: 0, size: 1 });
    figures
}

delegate! { AuditStore, AUDIT {
    fn put_audit(records: &[AuditRecord]) -> () = Ok(());
    fn audit(filter: &AuditFilter) -> Vec<AuditRecord> = Ok(Vec::new());
} }

delegate! { BackupStore, BACKUP {
    plain fn schema() -> u32 = 0;
    plain fn backup_format() -> BackupFormat = BackupFormat::Parquet;
    fn import_part(part: &TablePart, begun_in: Epoch) -> () = Ok(());
    fn back_up(place: &ServerPlace) -> ExportSummary = Ok(ExportSummary::default());
    fn restore(place: &ServerPlace, begun_in: Epoch) -> ExportSummary = Ok(ExportSummary::default());
} begin_export {
    async fn begin_export(&self, format: BackupFormat) -> Result<Box<dyn TableExport + '_>, BridgeError> {
        if self.method == "begin_export" { broken() } else { self.store.begin_export(format).await }
    }
} }

delegate! { CheckpointStore, CHECKPOINTS {
    fn state() -> StoreState = Ok(StoreState::first());
    fn create_checkpoint(name: &CheckpointName, now: Timestamp) -> Checkpoint = broken();
    fn checkpoints() -> Vec<Checkpoint> = Ok(Vec::new());
    fn drop_checkpoint(name: &CheckpointName) -> () = Ok(());
    fn compare_with_checkpoint(name: &CheckpointName) -> CheckpointComparison = broken();
    fn roll_back(name: &CheckpointName, now: Timestamp) -> CheckpointName = Ok(CheckpointName::before_rollback(Epoch(1)));
    fn resume() -> StoreState = Ok(StoreState::first());
} }

delegate! { HealthProbes, HEALTH {
    fn probe_connection() -> () = broken();
    fn probe_write() -> () = broken();
    fn newest_source(host: &HostName, until: Timestamp) -> Option<NewestSource> = Ok(None);
    fn disks() -> Vec<DiskSpace> = Ok(vec![full_disk()]);
} }

delegate! { TokenStore, STORE {
    plain fn figures() -> StoreStats = used_up();
    fn migrate() -> () = broken();
    fn ping() -> () = broken();
    fn upsert(rows: &[ResponseUsage], options: &UpsertOptions) -> Vec<UpsertOutcome> = Ok(vec![UpsertOutcome::New; rows.len()]);
    fn cover(keys: &[SupersededKey], options: &UpsertOptions) -> Vec<ReplacedRow> = Ok(Vec::new());
    fn put_sources(records: &[SourceRecord]) -> () = Ok(());
    fn sources(filter: &SourceFilter) -> Vec<SourceRecord> = Ok(Vec::new());
    fn totals(filter: &ResponseFilter) -> StoreTotals = Ok(StoreTotals::default());
    fn breakdown(dimension: Dimension, filter: &ResponseFilter, limit: Option<u32>) -> Vec<BreakdownRow> = Ok(Vec::new());
    fn summaries(filter: &SummaryFilter) -> Vec<TokenSummaryRecord> = Ok(Vec::new());
    fn dashboard(filter: &DashboardFilter) -> DashboardData = Ok(DashboardData::default());
    fn responses(filter: &ResponseFilter) -> Vec<ResponseUsage> = Ok(Vec::new());
    fn stored(scope: &StoredScope) -> Vec<StoredResponse> = Ok(Vec::new());
    fn retention_cutoff(now: Timestamp) -> Option<Timestamp> = Ok(Some(now));
    fn remove(versions: &[(ResponseKey, ResponseVersion)]) -> () = Ok(());
} }

/// The first check that fails on a decorator that does not delegate this method.
fn failing_check(method: &'static str) -> Option<&'static str> {
    let failed = CHECKS.iter().find(|(_, check)| {
        let store = Misrouting { store: InMemoryStore::default(), method };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(check(&store)))).is_err()
    });
    failed.map(|(name, _)| *name)
}

#[track_caller]
fn each_method_has_a_failing_check(methods: &[&'static str]) {
    let unnoticed: Vec<_> = methods.iter().filter(|method| failing_check(method).is_none()).collect();
    assert!(unnoticed.is_empty(), "nothing notices that these are not delegated: {unnoticed:?}");
}

#[test]
fn a_decorator_that_delegates_every_method_passes() {
    assert_eq!(failing_check("none"), None);
}

#[test]
fn each_method_of_the_audit_has_a_check_that_fails_without_it() {
    each_method_has_a_failing_check(AUDIT);
}

#[test]
fn each_method_of_backups_has_a_check_that_fails_without_it() {
    each_method_has_a_failing_check(BACKUP);
}

#[test]
fn each_method_of_checkpoints_has_a_check_that_fails_without_it() {
    each_method_has_a_failing_check(CHECKPOINTS);
}

#[test]
fn each_method_of_health_has_a_check_that_fails_without_it() {
    each_method_has_a_failing_check(HEALTH);
}

#[test]
fn each_method_of_the_store_has_a_check_that_fails_without_it() {
    each_method_has_a_failing_check(STORE);
}
