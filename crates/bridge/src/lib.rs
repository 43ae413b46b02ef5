//! Counts the tokens of AI coding sessions exactly, stores them in ClickHouse exactly once, and reads them
//! back: the facade that composes analysis, storage and cache.
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
//! // A `ClickHouseStore` in earnest.
//! let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
//!     .sources([folder.path()])
//!     .build();
//! let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
//! assert_eq!((result.total_tokens_stored, result.new_responses), (42, 1));
//!
//! // Again: the store is a join, so nothing is counted twice.
//! let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
//! assert_eq!((result.total_tokens_stored, result.new_responses), (42, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The layers are there for those who need one of them: [`core`], [`analysis`], [`storage`], [`cache`] and,
//! with the feature `embedded`, `embedded`.

mod advice;
mod builder;
#[cfg(feature = "config")]
pub mod config;
mod dashboard;
#[cfg(feature = "embedded")]
mod embedded_database;
mod handle;
mod ingest;
mod invalidating_store;
mod layered_store;
mod operations;
mod processor;
mod telemetry;

pub use bridge_analysis as analysis;
pub use bridge_cache as cache;
pub use bridge_core as core;
#[cfg(feature = "embedded")]
pub use bridge_embedded as embedded;
pub use bridge_storage as storage;

pub use advice::advice;
pub use bridge_core::{
    AnalysisSource, AnalysisWithSource, BackfillResult, BridgeError, BridgeResult, EnhancedTokenAnalysis,
    HealthStatus, IntegrityResult, RollbackResult, TokenSummaryRecord,
};
pub use builder::BridgeBuilder;
pub use dashboard::{
    Breakdown, Completeness, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics, DashboardTrend,
    Freshness, TREND_BUCKETS_MAX, TrendBucket,
};
#[cfg(feature = "embedded")]
pub use embedded_database::EmbeddedDatabase;
pub use handle::EnhancedTokenDatabaseBridge;
pub use ingest::feed::BatchProcessingResult;
pub use ingest::progress::{BackfillPhase, BackfillProgress, ProgressCallback};
pub use operations::backfill::BackfillOptions;
pub use operations::backup::{BackupPlace, ExportOptions, ExportResult, ImportResult};
pub use operations::checkpoints::RollbackOptions;
pub use operations::health::HealthLimits;
pub use operations::integrity::{IntegrityOptions, Repair};
pub use operations::monitor::{Monitor, MonitoringOptions, Observation};
pub use operations::store::StoreOptions;
pub use operations::watch::SyncTask;
pub use processor::JsonlProcessorBridge;
pub use telemetry::audit::{AuditOptions, AuditStats, AuditedOperations};
pub use telemetry::metrics::{BridgeMetrics, DurationStats, METRICS, Metric, MetricKind, MetricsRecorder};
pub use telemetry::operation::Operation;
pub use telemetry::process_memory::peak_memory_mib;
pub use telemetry::stats::BridgeStats;

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "config"))]
#[doc = include_str!("../../../README.md")]
struct ReadmeExample;
