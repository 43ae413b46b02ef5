//! The limits of health.

use std::time::Duration;

/// Limits within which a bridge is healthy.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct HealthLimits {
    /// A probe that takes longer has failed.
    pub probe_timeout: Duration,
    /// Maximum time that a changed transcript may wait to be stored.
    pub sync_lag_max: Duration,
    /// Share of storage operations that may fail, from 0 to 1. An analysis that is rejected as invalid is a failure.
    pub error_rate_max: f64,
    /// Time window over which they are counted.
    pub error_rate_window: Duration,
    /// Minimum free share of each of the database's disks, from 0 to 1. Below it, the disk is degraded; below a tenth
    /// of it, unhealthy.
    pub disk_free_min: f64,
    /// Time after which an unseen host is silent; `None` disables the check. A host is seen whenever it reads or
    /// records something, at least every five minutes. After 30 days it is dropped, because the client has deleted what
    /// it had not stored.
    pub host_silent_max: Option<Duration>,
    /// Share of the tokens of the last 7 days that may have no price, from 0 to 1; `None` for any share.
    pub unpriced_share_max: Option<f64>,
}

impl Default for HealthLimits {
    /// 5 s; 15 minutes; 0.1 % in 10 minutes, the specification's criterion; a tenth of the disk; no limit of hosts and
    /// of tokens without a price.
    fn default() -> Self {
        Self {
            probe_timeout: Duration::from_secs(5),
            sync_lag_max: Duration::from_mins(15),
            error_rate_max: 0.001,
            error_rate_window: Duration::from_mins(10),
            disk_free_min: 0.1,
            host_silent_max: None,
            unpriced_share_max: None,
        }
    }
}

impl HealthLimits {
    /// Returns the limits with this time after which a probe has failed.
    #[must_use]
    pub fn with_probe_timeout(mut self, timeout: Duration) -> Self {
        self.probe_timeout = timeout;
        self
    }

    /// Returns the limits with this maximum time that changes may wait to be stored.
    #[must_use]
    pub fn with_sync_lag_max(mut self, age: Duration) -> Self {
        self.sync_lag_max = age;
        self
    }

    /// Returns the limits with this share of storage operations that may fail, within this time.
    #[must_use]
    pub fn with_error_rate(mut self, max: f64, window: Duration) -> Self {
        (self.error_rate_max, self.error_rate_window) = (max, window);
        self
    }

    /// Returns the limits with this time after which a host has fallen silent.
    #[must_use]
    pub fn with_host_silent_max(mut self, time: Duration) -> Self {
        self.host_silent_max = Some(time);
        self
    }

    /// Returns the limits with this share of recent tokens that may have no price.
    #[must_use]
    pub fn with_unpriced_share_max(mut self, share: f64) -> Self {
        self.unpriced_share_max = Some(share);
        self
    }

    /// Returns the limits with this share of each disk that is free.
    #[must_use]
    pub fn with_disk_free_min(mut self, share: f64) -> Self {
        self.disk_free_min = share;
        self
    }
}
