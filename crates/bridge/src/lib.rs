//! Counts the tokens of AI coding sessions exactly, stores them in ClickHouse exactly once, and reads them back.
//!
//! [`EnhancedTokenDatabaseBridge`] is the handle of a store and of the transcripts on this machine: cheap to clone,
//! `Send` and `Sync`. `config::BridgeConfig` builds one from `bridge_config.yaml`,
//! [`builder`](EnhancedTokenDatabaseBridge::builder) from a store.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! use std::sync::Arc;
//!
//! use bridge::storage::InMemoryStore;
//! use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge};
//!
//! # let folder = tempfile::tempdir()?;
//! # let line = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{"id":"msg_01ABCDEFGHIJKLMNOPQRSTUV","stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":32}}}"#;
//! # std::fs::write(folder.path().join("s.jsonl"), format!("{line}\n{line}\n"))?;
//! // In production a `ClickHouseStore`.
//! let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
//!     .sources([folder.path()])
//!     .build();
//! let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
//! assert_eq!((result.total_tokens_stored, result.new_responses), (42, 1));
//!
//! // A second time: nothing is counted twice.
//! let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
//! assert_eq!((result.total_tokens_stored, result.new_responses), (42, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Operations
//!
//! | | |
//! |---|---|
//! | from transcripts to the store | [`backfill_historical_data`], [`sync_session_tokens`], [`sync_all_sessions`], [`keep_in_sync`]; for an embedder that reads them itself: [`JsonlProcessorBridge`] |
//! | without files | entries of a session: [`append`]; an asynchronous reader: [`read_stream`] |
//! | store an analysis | [`store_enhanced_analysis`], [`batch_store_analyses`] |
//! | read | [`get_stored_token_summaries`], [`get_analysis_with_fallback`], [`dashboard`], [`sessions()`](EnhancedTokenDatabaseBridge::sessions) |
//! | prove and repair | [`verify_data_integrity`] |
//! | go back | [`checkpoints`], [`rollback_bridge_integration`], [`export_store`], [`import_store`] |
//! | watch | [`health_check`], [`monitor`], [`stats`], [`audit_log`]; as streams: [`observer_stream`](observer_stream()); before the program ends: [`shutdown`] |
//!
//! Every write can be repeated, interrupted and run concurrently with others. Dropping the future of an operation
//! cancels it, and what it stored remains correct. Files are read on blocking threads; the runtime is the embedder's,
//! Tokio with timers.
//!
//! A [`BridgeError`] states whether a retry may succeed ([`BridgeError::is_retryable`]), and [`advice`] what an
//! operator can do. Unreadable files and invalid analyses are listed in the results and affect nothing else.
//!
//! Types that signatures name are at the root, except those of [`backup`], [`integrity`] results, [`metrics`] and
//! [`sessions`](mod@sessions). The layers are available to embedders that need one of them: [`analysis`], [`storage`],
//! [`cache`] and, with the feature `embedded`, `embedded`.
//!
//! # Features
//!
//! | feature | what it adds | crates |
//! |---|---|---|
//! | `clickhouse` (default) | [`storage::ClickHouseStore`]; without it the embedder brings a [`TokenStore`] | 46 |
//! | `cache` (default) | the cache of summaries and analyses; without it nothing is cached | 22 |
//! | `axum` | a router that serves the bridge over HTTP (`web`) | 8 |
//! | `page` | the page of that router, which shows people what the store holds | 4 |
//! | `config` | `bridge_config.yaml`, overridden by environment variables | 2 |
//! | `embedded` | the embedded ClickHouse engine | 1 |
//! | `tls` | `https://` URLs | 15 |
//! | `live` | events of the file system for [`keep_in_sync`]: [`live`](mod@live) | 7 |
//! | `conformance` | the checks that every store is held to, for tests: [`storage`] shows how | |
//!
//! The tree has 92 crates without any feature, and 154 by default; `benches/feature-costs` in the repository counts
//! them. `config`, `embedded` and `tls` turn on `clickhouse`; `page` turns on `axum`.
//!
//! [`backfill_historical_data`]: EnhancedTokenDatabaseBridge::backfill_historical_data
//! [`sync_session_tokens`]: EnhancedTokenDatabaseBridge::sync_session_tokens
//! [`sync_all_sessions`]: EnhancedTokenDatabaseBridge::sync_all_sessions
//! [`keep_in_sync`]: EnhancedTokenDatabaseBridge::keep_in_sync
//! [`append`]: EnhancedTokenDatabaseBridge::append
//! [`read_stream`]: EnhancedTokenDatabaseBridge::read_stream
//! [`store_enhanced_analysis`]: EnhancedTokenDatabaseBridge::store_enhanced_analysis
//! [`batch_store_analyses`]: EnhancedTokenDatabaseBridge::batch_store_analyses
//! [`get_stored_token_summaries`]: EnhancedTokenDatabaseBridge::get_stored_token_summaries
//! [`get_analysis_with_fallback`]: EnhancedTokenDatabaseBridge::get_analysis_with_fallback
//! [`dashboard`]: EnhancedTokenDatabaseBridge::dashboard
//! [`verify_data_integrity`]: EnhancedTokenDatabaseBridge::verify_data_integrity
//! [`checkpoints`]: EnhancedTokenDatabaseBridge::checkpoints
//! [`rollback_bridge_integration`]: EnhancedTokenDatabaseBridge::rollback_bridge_integration
//! [`export_store`]: EnhancedTokenDatabaseBridge::export_store
//! [`import_store`]: EnhancedTokenDatabaseBridge::import_store
//! [`health_check`]: EnhancedTokenDatabaseBridge::health_check
//! [`monitor`]: EnhancedTokenDatabaseBridge::monitor
//! [`stats`]: EnhancedTokenDatabaseBridge::stats
//! [`audit_log`]: EnhancedTokenDatabaseBridge::audit_log
//! [`shutdown`]: EnhancedTokenDatabaseBridge::shutdown
#![cfg_attr(docsrs, feature(doc_cfg))]

mod advice;
pub mod blocks;
pub mod budgets;
mod builder;
#[cfg(feature = "config")]
pub mod config;
mod counted;
mod dashboard;
#[cfg(feature = "embedded")]
mod embedded_database;
mod entries;
mod handle;
mod ingest;
mod invalidating_store;
mod layered_store;
pub mod live;
mod observer_stream;
mod operations;
mod processor;
pub mod sessions;
mod telemetry;
#[cfg(feature = "axum")]
pub mod web;

pub use bridge_analysis as analysis;
pub use bridge_cache as cache;
#[cfg(feature = "embedded")]
pub use bridge_embedded as embedded;
pub use bridge_pricing as pricing;
pub use bridge_storage as storage;

pub use bridge_analysis::{AnalyzerOptions, History, ProjectKey, ProjectNames};
pub use bridge_cache::{CacheOptions, CacheStats, SummaryQuery};
pub use bridge_core::{
    Actor, AnalysisId, AnalysisSource, AnalysisSummary, AnalysisWithSource, AuditFilter, AuditId,
    AuditOutcome, AuditRecord, BackfillResult, BridgeError, BridgeResult, CalendarUnit, Checkpoint,
    CheckpointName, CheckpointTotals, Clock, ConnectionKind, ContentCategory, CorrelationId, DamageCounts,
    EnhancedTokenAnalysis, Epoch, ErrorContext, Escaped, HealthState, HealthStatus, HostName,
    IntegrityResult, InvalidValue, ManualClock, ModelName, OperationName, Origin, Probe, ProbeResult,
    ProjectName, Receipt, ReceiptLine, ResponseKey, ResponseUsage, ResponseVersion, RollbackResult,
    RuleRevision, SessionDifference, SessionId, Stopwatch, StorageKind, StoreMode, StoreReceipt, StoreState,
    SummaryMetadata, SupersededKey, SyncResult, SyncStatus, SystemClock, TimeRange, TimeZone, Timestamp,
    TokenChanges, TokenCounts, TokenSummaryRecord, ValidationResult, ValidatorOptions, Violation,
};
pub use bridge_storage::{
    CircuitState, Dimension, Direction, GroupOrder, GroupPage, GroupSums, PoolStatus, ReceiptScope,
    ResponseFilter, StoreStats, StoreTotals, TokenStore, UsageSums,
};

pub use advice::advice;
pub use builder::BridgeBuilder;
pub use dashboard::{
    Breakdown, Completeness, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics, DashboardTrend,
    DataAge, TrendBucket,
};
#[cfg(feature = "embedded")]
pub use embedded_database::EmbeddedDatabase;
pub use handle::EnhancedTokenDatabaseBridge;
pub use ingest::feed::BatchProcessingResult;
pub use ingest::plan::SyncMode;
pub use ingest::progress::{BackfillPhase, BackfillProgress, ProgressCallback};
pub use observer_stream::{ObserverStream, StreamItem, observer_stream};
pub use operations::backfill::BackfillOptions;
pub use operations::batch::BatchOptions;
pub use operations::checkpoints::{Checkpoints, RollbackMode};
pub use operations::health::HealthLimits;
pub use operations::integrity::{IntegrityOptions, Repair};
pub use operations::monitor::{Monitor, MonitoringOptions, Observation};
pub use operations::shutdown::{IncompleteShutdown, ShutdownRequest};
pub use operations::store::StoreOptions;
pub use operations::sync::SyncOptions;
pub use operations::watch::SyncTask;
pub use processor::JsonlProcessorBridge;
pub use telemetry::audit::{AuditOptions, AuditStats, AuditedOperations};
pub use telemetry::operation::Operation;
pub use telemetry::stats::BridgeStats;

/// Export and import of the whole store.
pub mod backup {
    pub use bridge_storage::{BackupFormat, ExportSummary, ServerPlace};

    pub use crate::operations::backup::{BackupPlace, ExportOptions, ExportResult, ImportResult};
}

/// The parts of queries and of their answers.
pub mod query {
    pub use bridge_core::ExtraCounts;
    pub use bridge_storage::AdmittedValues;

    pub use crate::dashboard::hosts::HostFreshness;
    pub use crate::dashboard::{PreviousPeriod, TrendSeries};
}

/// Developers, teams and labels of stored responses.
pub mod assignment {
    pub use bridge_analysis::{AssignmentRule, AssignmentRules, InvalidPattern, PathPattern};
    pub use bridge_core::{Assignment, AttributionValue, LabelName, Labels};
}

/// The details of an integrity check's result.
pub mod integrity {
    pub use bridge_core::{DifferenceKind, IntegrityDifference, IntegrityTally, RepairAction, RepairReport};
}

/// The metrics of a bridge: their values, and the names under which the `metrics` facade knows them.
pub mod metrics {
    pub use crate::telemetry::metrics::{BridgeMetrics, DurationStats, METRICS, Metric, MetricKind};
}

/// One name for a model, whichever way its requests took.
pub mod models {
    pub use bridge_core::{CanonicalModel, ModelProvider, ModelRoute};
}

/// What recorded projects count for: current names, groups, and repositories of worktrees.
pub mod projects {
    pub use bridge_analysis::{GitEntry, GitFolders, ProjectCatalog, ProjectGroupRule, ProjectNameRule};
    pub use bridge_core::{LinkedWorktree, ProjectRecord};
}

/// Sources without files: pushed entries and asynchronous readers.
pub mod stream {
    pub use bridge_core::{PositionUnit, StreamPosition, StreamResult};

    pub use crate::entries::{InvalidEntries, SessionEntries};
    pub use crate::operations::read_stream::TranscriptStream;
}

#[doc(hidden)]
pub use bridge_analysis::platform::peak_memory_mib;
#[doc(hidden)]
pub use dashboard::{TREND_BUCKETS_MAX, TREND_SERIES_MAX};

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "config"))]
#[doc = include_str!("../../../README.md")]
struct ReadmeExample;
