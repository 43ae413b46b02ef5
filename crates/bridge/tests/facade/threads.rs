//! Public types are `Send` and `Sync`, and every future is `Send`, as checked by the compiler.

use std::error::Error;

use bridge::storage::{
    CheckpointStore, ClickHouseOptions, ClickHouseStore, InMemoryStore, MockTokenStore, TokenStore,
};
use bridge::{
    AuditFilter, BackfillOptions, BackfillResult, BatchOptions, BridgeBuilder, BridgeError, BridgeResult,
    CheckpointName, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics, EnhancedTokenAnalysis,
    EnhancedTokenDatabaseBridge, HealthStatus, IntegrityOptions, IntegrityResult, JsonlProcessorBridge,
    Monitor, RollbackMode, RollbackResult, SessionId, StoreOptions, SummaryQuery, SyncMode, SyncOptions,
    SyncTask, TimeRange, TokenSummaryRecord,
    backup::{BackupPlace, ExportOptions},
};

fn shared<T: Send + Sync + 'static>() {}

fn sent<T: Send>(_: T) {}

#[test]
fn public_types_are_send_and_sync() {
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
fn futures_are_send() {
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
