//! Two hosts with copies of the same history write to one store.

use std::sync::Arc;

use bridge::analysis::AnalyzerOptions;
use bridge::storage::{ResponseFilter, StoredScope, TokenStore};
use bridge::{EnhancedTokenDatabaseBridge, HostName, SessionId, SyncMode, SyncOptions};
use bridge_testkit::engine::TestDatabase;

use crate::engine::{history, store};

#[tokio::test]
async fn concurrent_syncs_of_copies_store_each_response_once() {
    let database = TestDatabase::of_this_test();
    let (truth, folder) = history(71);
    let (_, copy) = history(71);
    let first: Arc<dyn TokenStore> = Arc::new(store(&database.writer_url()));
    first.migrate().await.unwrap();
    let host = |name: &str, sources: &std::path::Path| {
        let mut analyzer = AnalyzerOptions::default();
        analyzer.host = Some(HostName::new(name).unwrap());
        let store: Arc<dyn TokenStore> = Arc::new(store(&database.writer_url()));
        EnhancedTokenDatabaseBridge::builder(store).sources([sources]).analyzer(analyzer).build()
    };
    let (a, b) = (host("a", folder.path()), host("b", copy.path()));
    for _ in 0..2 {
        let (of_a, of_b) = tokio::join!(
            a.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)),
            b.sync_all_sessions(SyncOptions::default().with_parallel_limit(2))
        );
        assert!(of_a.unwrap().iter().chain(&of_b.unwrap()).all(|result| result.errors.is_empty()));
        let totals = first.totals(&ResponseFilter::default()).await.unwrap();
        assert_eq!((totals.responses, totals.counts.total()), (truth.truth.responses, truth.truth.total()));
    }
    let mut rows = first.integrity().unwrap().stored(&StoredScope::all()).await.unwrap();
    rows.retain(|row| row.usage.as_ref().is_some_and(|usage| usage.origin.is_counted()));
    let keys: std::collections::BTreeSet<_> = rows.iter().map(|row| row.key).collect();
    assert_eq!(keys.len() as u64, truth.truth.responses);
    assert_eq!(rows.len(), keys.len());
    let session = SessionId::new("unknown").unwrap();
    let error = a.sync_session_tokens(&session, SyncMode::Incremental).await.unwrap_err();
    assert_eq!(error.kind(), "unknown_session");
    // Each host's sync returns a result for every stored session.
    let names = |results: Vec<bridge::SyncResult>| -> Vec<_> {
        results.into_iter().map(|result| result.session_id.to_string()).collect()
    };
    let mut stored: Vec<_> = first.summaries(&Default::default()).await.unwrap();
    stored.retain(|summary| summary.responses > 0);
    let stored: Vec<_> = stored.iter().map(|summary| summary.session_id.to_string()).collect();
    for bridge in [a, b] {
        let synchronized =
            names(bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap());
        assert!(stored.iter().all(|session| synchronized.contains(session)), "{stored:?} {synchronized:?}");
    }
}
