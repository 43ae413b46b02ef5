//! The section `monitoring`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bridge::Observation;

use crate::in_memory;

/// How often health and figures were told within half a second.
async fn told(keys: &[(&str, &str)]) -> (u32, u32) {
    let bridge = in_memory(keys);
    let counts = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let seen = Arc::clone(&counts);
    let monitor = bridge.monitor(move |observation| match observation {
        Observation::Health { error, .. } => {
            assert!(error.is_none());
            seen.0.fetch_add(1, Ordering::SeqCst);
        }
        Observation::Metrics(_) => drop(seen.1.fetch_add(1, Ordering::SeqCst)),
        _ => {}
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(monitor);
    let now = || (counts.0.load(Ordering::SeqCst), counts.1.load(Ordering::SeqCst));
    let at_end = now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(now(), at_end, "it goes on when nobody listens");
    at_end
}

#[tokio::test]
async fn monitoring_health_check_interval() {
    let (health, figures) = told(&[("monitoring.health_check_interval", "20ms")]).await;
    assert!(health > 5 && figures == 1, "{health} {figures}");
}

#[tokio::test]
async fn monitoring_metrics_export_interval() {
    let (health, figures) = told(&[("monitoring.metrics_export_interval", "20ms")]).await;
    assert!(figures > 5 && health == 1, "{health} {figures}");
}
