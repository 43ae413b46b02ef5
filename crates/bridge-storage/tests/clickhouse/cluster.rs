//! Statements for a cluster. Executing them needs servers with Keeper; the engine parses them here.

use bridge_storage::conformance::cluster_statements;
use bridge_testkit::engine::TestDatabase;

use crate::client;

#[tokio::test]
async fn cluster_statements_reach_all_servers_and_parse() {
    let client = client(&TestDatabase::of_this_test()).with_database("default");
    for sql in cluster_statements("main", "etb_") {
        assert!(sql.contains(" ON CLUSTER `main`"), "{sql}");
        let mut local = sql.split_whitespace().filter(|word| word.ends_with("_local"));
        assert!(local.all(|name| name.starts_with("etb_")), "{sql}");
        let tree = client.query_raw(&format!("EXPLAIN AST {sql}")).fetch_all::<String>().await.unwrap();
        assert!(tree.len() > 1, "{sql}");
    }
}
