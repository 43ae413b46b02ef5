//! The metrics of hosts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bridge_core::HostName;
use metrics::Gauge;

use super::names as name;
use super::register::named_gauge;
use crate::dashboard::hosts::HostFreshness;

/// The gauge of each host, by its name.
#[derive(Default)]
pub(super) struct HostGauges(Mutex<BTreeMap<HostName, Gauge>>);

impl HostGauges {
    /// Registers the gauge of a bridge's own host; those of others when they are first seen.
    pub(super) fn of(own: &HostName) -> Self {
        Self(Mutex::new(BTreeMap::from([(own.clone(), of_host(own))])))
    }

    pub(super) fn set(&self, hosts: &[HostFreshness]) {
        let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for host in hosts {
            let gauge = gauges.entry(host.host.clone()).or_insert_with(|| of_host(&host.host));
            gauge.set(host.silent_for.as_secs_f64());
        }
    }
}

fn of_host(host: &HostName) -> Gauge {
    let gauge = named_gauge(&name::HOST_SILENT, host.as_str());
    gauge.set(f64::NAN);
    gauge
}
