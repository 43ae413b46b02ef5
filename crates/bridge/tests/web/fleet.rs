//! The hosts of the store over HTTP.

use std::time::Duration;

use bridge::MonitoringOptions;

use super::{fresh, get, router};

#[tokio::test]
async fn each_host_is_listed_with_the_time_at_which_it_was_heard_of() {
    let (_, folder) = crate::history(5);
    let mut monitoring = MonitoringOptions::default();
    monitoring.limits = monitoring.limits.with_host_silent_max(Duration::from_hours(1));
    let store = std::sync::Arc::new(bridge::storage::InMemoryStore::default());
    let bridge = crate::builder(store, &[folder.path()]).monitoring(monitoring).build();
    drop(bridge.sync_all_sessions(Default::default()).await.unwrap());
    let service = router(bridge, fresh());
    let answer = get(&service, "/api/v1/hosts").await.of("Hosts", 200);
    assert_eq!((&answer["hosts"][0]["host"], &answer["hosts"][0]["silent"]), (&"host".into(), &false.into()));
    assert_eq!(answer["silent_after_seconds"], 3600.0);
    assert_eq!(get(&service, "/api/v1/hosts?name=z").await.of("Problem", 400)["status"], 400);
}
