//! Dashboard queries.

mod adapter;
mod blocks;
pub(crate) mod budgets;
pub(crate) mod hosts;
mod metrics;
pub(crate) mod priced_tokens;
mod query;
mod trend;

pub use adapter::DashboardBridgeAdapter;
pub use metrics::{
    Breakdown, Completeness, DashboardTokenMetrics, DashboardTrend, DataAge, PreviousPeriod, TrendBucket,
    TrendSeries,
};
pub use query::DashboardQuery;
pub use trend::{TREND_BUCKETS_MAX, TREND_SERIES_MAX};
