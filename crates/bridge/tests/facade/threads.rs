//! What is handed out can be shared between threads, and every call can be awaited in a task of its own. It is the
//! compiler that tests this.

use std::error::Error;

use bridge::core::{AuditFilter, CheckpointName, SessionId, TimeRange};
use bridge::storage::{
    CheckpointStore, ClickHouseOptions, ClickHouseStore, InMemoryStore, MockTokenStore, TokenStore,
};
use bridge::{
    BackfillOptions, BackfillResult, BackupPlace, BridgeBuilder, BridgeError, BridgeResult,
    DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics, EnhancedTokenAnalysis,
    EnhancedTokenDatabaseBridge, ExportOptions, HealthStatus, IntegrityOptions, IntegrityResult,
    JsonlProcessorBridge, MetricsRecorder, Monitor, RollbackOptions, RollbackResult, StoreOptions, SyncTask,
    TokenSummaryRecord,
};

fn shared<T: Send + Sync + 'static>() {}

fn sent<T: Send>(_: T) {}

#[test]
fn types_are_shared_between_threads() {
    shared::<EnhancedTokenDatabaseBridge>();
    shared::<BridgeBuilder>();
    shared::<DashboardBridgeAdapter>();
    shared::<JsonlProcessorBridge>();
    shared::<MetricsRecorder>();
    shared::<(Monitor, SyncTask)>();
    shared::<(Box<dyn TokenStore>, Box<dyn CheckpointStore>)>();
    shared::<(ClickHouseStore, ClickHouseOptions, InMemoryStore, MockTokenStore)>();
    shared::<(BackfillOptions, StoreOptions, IntegrityOptions, RollbackOptions, ExportOptions, DashboardQuery)>(
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
        sent(bridge.store_enhanced_analysis(analysis, &StoreOptions::default()));
        sent(bridge.store_analyses(&[]));
        sent(bridge.backfill_historical_data(BackfillOptions::default()));
        sent(bridge.sync_session_tokens(&session, true));
        sent(bridge.sync_all_sessions(None, 5));
        sent(bridge.get_stored_token_summaries(None, 30, false));
        sent(bridge.get_analysis_with_fallback(&session));
        sent(bridge.verify_data_integrity(&IntegrityOptions::default()));
        sent(bridge.create_checkpoint(&name));
        sent(bridge.rollback_bridge_integration(&name, RollbackOptions::DryRun));
        sent(bridge.export_store(&ExportOptions::to_folder("backup")));
        sent(bridge.import_store(&BackupPlace::Folder("backup".into())));
        sent(bridge.audit_log(&AuditFilter::default()));
        sent(bridge.health_check());
        sent(bridge.dashboard().get_dashboard_token_metrics(TimeRange::ALL));
    };
}
