//! The conformance suite detects a decorator that answers a method itself instead of delegating it.
//!
//! The compiler detects a *missing* method: no trait method has a default body.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use bridge_core::{
    AuditFilter, AuditRecord, BridgeError, Checkpoint, CheckpointComparison, CheckpointName, Epoch, HostName,
    PriceRow, ProjectName, ProjectRecord, ResponseKey, ResponseUsage, ResponseVersion, StorageKind,
    StoreState, SupersededKey, Timestamp, TokenSummaryRecord,
};
use bridge_storage::conformance::{CHECKS, assert_offers};
use bridge_storage::{
    AuditStore, BackupStore, BreakdownRow, CheckpointStore, CostRow, DashboardData, DashboardFilter,
    Dimension, DiskSpace, HealthProbes, HostActivity, HostStore, InMemoryStore, IntegrityStore, NewestSource,
    PoolStatus, PriceList, PriceStore, ProjectStore, ReplacedRow, ResponseFilter, SourceFilter, SourceRecord,
    SourcesDigest, StoreCapabilities, StoreStats, StoreTotals, StoredResponse, StoredScope, SummaryFilter,
    TokenStore, UpsertOptions, UpsertOutcome,
};

/// A decorator that delegates every method except one.
#[derive(Debug, Default)]
struct Misrouting {
    store: InMemoryStore,
    method: &'static str,
}

/// Implements a trait by delegation. The expression after `=` is the method's answer when it is not delegated.
macro_rules! delegate {
    ($name:ident, $methods:ident {
        $(plain fn $plain:ident() -> $plain_answer:ty = $plain_wrong:expr;)*
        $(fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty = $wrong:expr;)*
    }) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl $name for Misrouting {
            $(fn $plain(&self) -> $plain_answer {
                if self.method == stringify!($plain) { $plain_wrong } else { self.store.$plain() }
            })*

            $(async fn $method(&self, $($argument: $type),*) -> Result<$answer, BridgeError> {
                if self.method == stringify!($method) { $wrong } else { self.store.$method($($argument),*).await }
            })*
        }

        const $methods: &[&str] = &[$(stringify!($plain),)* $(stringify!($method),)*];
    };
}

/// A method whose answer is the same on every healthy store is misrouted to an unhealthy one.
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
    let mut stats = StoreStats::default();
    stats.pool = Some(PoolStatus { in_use: 1, idle: 0, waiting: 0, size: 1 });
    stats
}

delegate! { AuditStore, AUDIT {
    fn put_audit(records: &[AuditRecord]) -> () = Ok(());
    fn audit_records(filter: &AuditFilter) -> Vec<AuditRecord> = Ok(Vec::new());
} }

delegate! { CheckpointStore, CHECKPOINTS {
    fn state() -> StoreState = Ok(StoreState::first());
    fn create_checkpoint(name: &CheckpointName, now: Timestamp) -> Checkpoint = broken();
    fn list_checkpoints() -> Vec<Checkpoint> = Ok(Vec::new());
    fn drop_checkpoint(name: &CheckpointName) -> () = Ok(());
    fn compare_with_checkpoint(name: &CheckpointName) -> CheckpointComparison = broken();
    fn roll_back(name: &CheckpointName, now: Timestamp) -> CheckpointName = Ok(CheckpointName::before_rollback(Epoch(1)));
    fn resume() -> StoreState = Ok(StoreState::first());
} }

delegate! { HostStore, HOSTS {
    fn sources_digest(host: &HostName) -> SourcesDigest = Ok(SourcesDigest::default());
    fn host_activity(since: Timestamp) -> Vec<HostActivity> = Ok(Vec::new());
} }

delegate! { IntegrityStore, INTEGRITY {
    fn stored(scope: &StoredScope) -> Vec<StoredResponse> = Ok(Vec::new());
    fn retention_cutoff(now: Timestamp) -> Option<Timestamp> = Ok(Some(now));
    fn remove(versions: &[(ResponseKey, ResponseVersion)]) -> () = Ok(());
} }

delegate! { ProjectStore, PROJECTS {
    fn recorded_projects(filter: &ResponseFilter) -> Vec<ProjectName> = Ok(Vec::new());
    fn project_records() -> Vec<ProjectRecord> = Ok(Vec::new());
    fn put_project_records(records: &[ProjectRecord]) -> () = Ok(());
} }

delegate! { HealthProbes, HEALTH {
    plain fn stats() -> StoreStats = used_up();
    fn probe_connection() -> () = broken();
    fn probe_write() -> () = broken();
    fn newest_source(host: &HostName, until: Timestamp) -> Option<NewestSource> = Ok(None);
    fn disks() -> Vec<DiskSpace> = Ok(vec![full_disk()]);
} }

delegate! { PriceStore, PRICES {
    fn use_prices(digest: &str, rows: &[PriceRow], now: Timestamp) -> bool = Ok(true);
    fn prices_in_use() -> Option<String> = Ok(None);
    fn price_list(digest: &str) -> Arc<PriceList> = Ok(Arc::default());
    fn costs(filter: &ResponseFilter) -> Vec<CostRow> = Ok(Vec::new());
} }

delegate! { TokenStore, STORE {
    fn migrate() -> () = broken();
    fn upsert(rows: &[ResponseUsage], options: &UpsertOptions) -> Vec<UpsertOutcome> = Ok(vec![UpsertOutcome::New; rows.len()]);
    fn cover(keys: &[SupersededKey], options: &UpsertOptions) -> Vec<ReplacedRow> = Ok(Vec::new());
    fn put_sources(records: &[SourceRecord]) -> () = Ok(());
    fn sources(filter: &SourceFilter) -> Vec<SourceRecord> = Ok(Vec::new());
    fn totals(filter: &ResponseFilter) -> StoreTotals = Ok(StoreTotals::default());
    fn breakdown(dimension: Dimension, filter: &ResponseFilter, limit: Option<u32>) -> Vec<BreakdownRow> = Ok(Vec::new());
    fn summaries(filter: &SummaryFilter) -> Vec<TokenSummaryRecord> = Ok(Vec::new());
    fn dashboard(filter: &DashboardFilter) -> DashboardData = Ok(DashboardData::default());
    fn responses(filter: &ResponseFilter) -> Vec<ResponseUsage> = Ok(Vec::new());
} }

impl StoreCapabilities for Misrouting {
    fn audit(&self) -> Option<&dyn AuditStore> {
        (self.method != "audit").then_some(self)
    }

    fn checkpoints(&self) -> Option<&dyn CheckpointStore> {
        (self.method != "checkpoints").then_some(self)
    }

    fn backup(&self) -> Option<&dyn BackupStore> {
        self.store.backup()
    }

    fn probes(&self) -> Option<&dyn HealthProbes> {
        (self.method != "probes").then_some(self)
    }

    fn hosts(&self) -> Option<&dyn HostStore> {
        (self.method != "hosts").then_some(self)
    }

    fn projects(&self) -> Option<&dyn ProjectStore> {
        (self.method != "projects").then_some(self)
    }

    fn integrity(&self) -> Option<&dyn IntegrityStore> {
        (self.method != "integrity").then_some(self)
    }

    fn prices(&self) -> Option<&dyn PriceStore> {
        (self.method != "prices").then_some(self)
    }
}

/// The first check that fails if this method is not delegated.
fn failing_check(method: &'static str) -> Option<&'static str> {
    let failed = CHECKS.iter().flat_map(|(_, checks)| *checks).find(|(_, check)| {
        let store = Misrouting { store: InMemoryStore::default(), method };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(check(&store)))).is_err()
    });
    failed.map(|(name, _)| *name)
}

#[track_caller]
fn assert_each_method_is_checked(methods: &[&'static str]) {
    let uncovered: Vec<_> = methods.iter().filter(|method| failing_check(method).is_none()).collect();
    assert!(uncovered.is_empty(), "no check covers {uncovered:?}");
}

#[test]
fn a_decorator_that_delegates_every_method_passes() {
    assert_eq!(failing_check("none"), None);
}

#[test]
fn every_audit_method_has_a_check_that_fails_without_it() {
    assert_each_method_is_checked(AUDIT);
}

#[test]
fn every_checkpoint_method_has_a_check_that_fails_without_it() {
    assert_each_method_is_checked(CHECKPOINTS);
}

#[test]
fn every_probe_method_has_a_check_that_fails_without_it() {
    assert_each_method_is_checked(HEALTH);
}

#[test]
fn every_store_method_has_a_check_that_fails_without_it() {
    assert_each_method_is_checked(STORE);
}

#[test]
fn every_method_about_hosts_has_a_check_that_fails_without_it() {
    assert_each_method_is_checked(HOSTS);
}

#[test]
fn every_price_method_has_a_check_that_fails_without_it() {
    assert_each_method_is_checked(PRICES);
}

#[test]
fn every_integrity_method_has_a_check_that_fails_without_it() {
    assert_each_method_is_checked(INTEGRITY);
}

#[test]
fn every_project_method_has_a_check_that_fails_without_it() {
    assert_each_method_is_checked(PROJECTS);
}

#[test]
fn a_capability_lost_by_a_decorator_is_detected() {
    let offered = ["audit", "checkpoints", "hosts", "integrity", "prices", "probes", "projects"];
    assert_offers(&InMemoryStore::default(), &offered);
    for method in offered {
        let store = Misrouting { store: InMemoryStore::default(), method };
        assert!(catch_unwind(AssertUnwindSafe(|| assert_offers(&store, &offered))).is_err(), "{method}");
        assert!(failing_check(method).is_some(), "{method}");
    }
}
