//! What is handed out can be shared between threads, and every call can be awaited in a task of its own. It is the
//! compiler that tests this.

use std::error::Error;

use bridge::storage::{
    CheckpointStore, ClickHouseOptions, ClickHouseStore, InMemoryStore, MockTokenStore, TokenStore,
};
use bridge::{
    AuditFilter, BackfillOptions, BackfillResult, BackupPlace, BatchOptions, BridgeBuilder, BridgeError,
    BridgeResult, CheckpointName, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics,
    EnhancedTokenAnalysis, EnhancedTokenDatabaseBridge, ExportOptions, HealthStatus, IntegrityOptions,
    IntegrityResult, JsonlProcessorBridge, Monitor, RollbackMode, RollbackResult, SessionId, StoreOptions,
    SummaryQuery, SyncMode, SyncOptions, SyncTask, TimeRange, TokenSummaryRecord,
};

fn shared<T: Send + Sync + 'static>() {}

fn sent<T: Send>(_: T) {}

#[test]
fn types_are_shared_between_threads() {
    shared::<EnhancedTokenDatabaseBridge>();
    shared::<BridgeBuilder>();
    shared::<DashboardBridgeAdapter>();
    shared::<JsonlProcessorBridge>();
    shared::<(Monitor, SyncTask)>();
    shared::<(Box<dyn TokenStore>, Box<dyn CheckpointStore>)>();
    shared::<(ClickHouseStore, ClickHouseOptions, InMemoryStore, MockTokenStore)>();
    shared::<(BackfillOptions, StoreOptions, IntegrityOptions, RollbackMode, ExportOptions, DashboardQuery)>(
    );
    shared::<(BridgeResult, BackfillResult, IntegrityResult, RollbackResult, HealthStatus)>();
    shared::<(EnhancedTokenAnalysis, TokenSummaryRecord, DashboardTokenMetrics)>();
    shared::<bridge::config::BridgeConfig>();
    shared::<bridge::embedded::Engine>();
    fn error<E: Error + Send + Sync + 'static>() {}
    error::<BridgeError>();
    error::<bridge::config::BuildError>();
    error::<bridge::embedded::EngineError>();
}

#[test]
fn calls_are_awaited_in_tasks_of_their_own() {
    let _never_run = |bridge: &EnhancedTokenDatabaseBridge, analysis: &EnhancedTokenAnalysis| {
        let (session, name) = (SessionId::new("s").unwrap(), CheckpointName::new("c").unwrap());
        sent(bridge.store_enhanced_analysis(analysis, StoreOptions::default()));
        sent(bridge.batch_store_analyses(&[], BatchOptions::default()));
        sent(bridge.backfill_historical_data(BackfillOptions::default()));
        sent(bridge.sync_session_tokens(&session, SyncMode::Incremental));
        sent(bridge.sync_all_sessions(SyncOptions::default()));
        sent(bridge.get_stored_token_summaries(SummaryQuery::last_days(30)));
        sent(bridge.get_analysis_with_fallback(&session));
        sent(bridge.verify_data_integrity(IntegrityOptions::default()));
        sent(bridge.checkpoints().create(&name));
        sent(bridge.rollback_bridge_integration(&name, RollbackMode::DryRun));
        sent(bridge.export_store(ExportOptions::to_folder("backup")));
        sent(bridge.import_store(BackupPlace::Folder("backup".into())));
        sent(bridge.audit_log(&AuditFilter::default()));
        sent(bridge.health_check());
        sent(bridge.dashboard().get_dashboard_token_metrics(TimeRange::ALL));
    };
}
