//! Statistics of a bridge.

use bridge_cache::CacheStats;
use bridge_storage::StoreStats;

use crate::telemetry::audit::AuditStats;
use crate::telemetry::metrics::readings::BridgeMetrics;

/// Statistics of a bridge's parts, since it was built.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BridgeStats {
    /// The specification's metrics.
    pub metrics: BridgeMetrics,
    /// Of the cache of summaries.
    pub summaries: CacheStats,
    /// Of the cache of analyses, the last resort of
    /// [`get_analysis_with_fallback`](crate::EnhancedTokenDatabaseBridge::get_analysis_with_fallback).
    pub analyses: CacheStats,
    /// Of the audit.
    pub audit: AuditStats,
    /// Of the store.
    pub store: StoreStats,
}
