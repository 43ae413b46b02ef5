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
    /// The cache of summaries.
    pub summaries: CacheStats,
    /// The cache of analyses, the last resort of
    /// [`get_analysis_with_fallback`](crate::EnhancedTokenDatabaseBridge::get_analysis_with_fallback).
    pub analyses: CacheStats,
    /// The audit.
    pub audit: AuditStats,
    /// The store.
    pub store: StoreStats,
}
