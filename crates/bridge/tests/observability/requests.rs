//! The number of requests to the database, each of which costs a round trip.

use bridge::StoreOptions;

use crate::observability::{analysis, behind_proxy, bridge};

#[tokio::test]
async fn storing_an_analysis_takes_two_requests_besides_the_audit() {
    let (proxy, store) = behind_proxy(|options| options).await;
    let bridge = bridge(store, "none".as_ref()).build();
    // The first operation also reads the tables' columns and the store's state.
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 1), StoreOptions::default()).await.unwrap();
    let before = proxy.requests().len();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 2, 2), StoreOptions::default()).await.unwrap();
    // A new connection reads the columns once.
    let reads_columns = |request: &String| request.contains("describe_include_subcolumns");
    let mut requests = proxy.requests().split_off(before);
    requests.retain(|request| !reads_columns(request));
    let is_audit = |request: &String| request.contains("bridge_audit");
    let (audit, rows): (Vec<_>, Vec<_>) = requests.into_iter().partition(is_audit);
    assert_eq!(rows.len(), 2, "not a look-up and an insert: {rows:#?}");
    assert!(rows[1].contains("INSERT"), "{rows:#?}");
    assert_eq!(audit.len(), 1, "not one audit insert: {audit:#?}");
}
