//! Queries carry the id of the operation that makes them.

use bridge_core::CorrelationId;
use bridge_storage::{ClickHouseStore, ResponseFilter, TokenStore, with_correlation_id};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::FaultProxy;

use crate::{fresh, options};

#[tokio::test]
async fn queries_carry_the_id_of_their_operation_only() {
    let _migrated = fresh().await;
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let store = ClickHouseStore::new(options(&database.writer_url_by(proxy.host()))).unwrap();
    let (id, all) = (CorrelationId(0xabc), ResponseFilter::default());
    let comment = format!("log_comment={id}");

    let _ = with_correlation_id(id, store.totals(&all)).await.unwrap();
    let sent = proxy.requests();
    assert!(!sent.is_empty() && sent.iter().all(|request| request.contains(&comment)), "{sent:?}");

    let _ = store.totals(&all).await.unwrap();
    let later = &proxy.requests()[sent.len()..];
    assert!(!later.is_empty() && !later.iter().any(|request| request.contains("log_comment=0")), "{later:?}");
}
