//! The dashboard's side of the bridge.

mod adapter;
mod metrics;
mod query;
mod trend;

pub use adapter::DashboardBridgeAdapter;
pub use metrics::{Breakdown, Completeness, DashboardTokenMetrics, DashboardTrend, Freshness, TrendBucket};
pub use query::DashboardQuery;
pub use trend::TREND_BUCKETS_MAX;
