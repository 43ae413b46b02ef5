//! How often the database is asked: what a round trip costs is paid for each.

use bridge::StoreOptions;

use crate::{analysis, behind_proxy, bridge};

#[tokio::test]
async fn storing_an_analysis_asks_the_database_twice() {
    let (proxy, store) = behind_proxy(|options| options).await;
    let bridge = bridge(store, "none".as_ref()).build();
    // The first one also asks for the tables' columns and where the store stands.
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 1), &StoreOptions::default()).await.unwrap();
    let before = proxy.requests().len();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 2, 2), &StoreOptions::default()).await.unwrap();
    let requests = proxy.requests().split_off(before);
    assert_eq!(requests.len(), 2, "a look-up and an insert: {requests:#?}");
    assert!(requests[1].contains("INSERT"), "{requests:#?}");
}
