//! How often the database is asked: what a round trip costs is paid for each.

use bridge::StoreOptions;

use crate::observability::{analysis, behind_proxy, bridge};

#[tokio::test]
async fn storing_an_analysis_asks_the_database_twice_and_puts_it_on_record_meanwhile() {
    let (proxy, store) = behind_proxy(|options| options).await;
    let bridge = bridge(store, "none".as_ref()).build();
    // The first one also asks for the tables' columns and where the store stands.
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 1), StoreOptions::default()).await.unwrap();
    let before = proxy.requests().len();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 2, 2), StoreOptions::default()).await.unwrap();
    // A connection that is used for the first time asks for the columns.
    let asks_for_columns = |request: &String| request.contains("describe_include_subcolumns");
    let mut requests = proxy.requests().split_off(before);
    requests.retain(|request| !asks_for_columns(request));
    let is_audit = |request: &String| request.contains("bridge_audit");
    let (audit, rows): (Vec<_>, Vec<_>) = requests.into_iter().partition(is_audit);
    assert_eq!(rows.len(), 2, "a look-up and an insert: {rows:#?}");
    assert!(rows[1].contains("INSERT"), "{rows:#?}");
    assert_eq!(audit.len(), 1, "one record, beside the others: {audit:#?}");
}
