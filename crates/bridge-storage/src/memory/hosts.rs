//! Activity of each host in the memory store.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bridge_core::{BridgeError, HostName, Timestamp};

use super::InMemoryStore;
use crate::capabilities::{HostActivity, HostStore, SourcesDigest};

#[async_trait]
impl HostStore for InMemoryStore {
    async fn sources_digest(&self, host: &HostName) -> Result<SourcesDigest, BridgeError> {
        let mut digest = SourcesDigest::default();
        let content = self.content();
        content
            .tables
            .sources
            .values()
            .filter(|record| record.host == *host)
            .for_each(|record| digest.add(record));
        Ok(digest)
    }

    async fn host_activity(&self, since: Timestamp) -> Result<Vec<HostActivity>, BridgeError> {
        let mut hosts = BTreeMap::<HostName, HostActivity>::new();
        let mut paths = BTreeSet::new();
        for record in self.content().tables.sources.values() {
            let known = of_host(&mut hosts, &record.host);
            known.last_read = known.last_read.max(Some(record.read_at));
            known.sources += u64::from(paths.insert((record.host.clone(), record.path.clone())));
        }
        for record in self.audit_table().values().filter(|record| record.time >= since) {
            let Some(host) = &record.host else { continue };
            let known = of_host(&mut hosts, host);
            known.last_operation = known.last_operation.max(Some(record.time));
        }
        Ok(hosts.into_values().collect())
    }
}

fn of_host<'a>(hosts: &'a mut BTreeMap<HostName, HostActivity>, host: &HostName) -> &'a mut HostActivity {
    hosts.entry(host.clone()).or_insert_with(|| HostActivity {
        host: host.clone(),
        sources: 0,
        last_read: None,
        last_operation: None,
    })
}
