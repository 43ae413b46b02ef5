//! One id links the error, the log, the audit and the database's query log.

use std::sync::Arc;

use bridge::storage::{InMemoryStore, ResponseFilter};
use bridge::{
    Actor, AuditFilter, BackfillOptions, BatchOptions, CorrelationId, SessionId, StoreOptions, SyncOptions,
    TimeRange, Timestamp,
};
use bridge_testkit::fixtures::now;
use bridge_testkit::log::LogCollector;
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::observability::{analysis, behind_proxy, bridge};

/// The query log comments of the requests since then.
fn comments(proxy: &FaultProxy, since: usize) -> Vec<String> {
    let parameters = |request: &String| request.split(['?', '&', ' ']).map(str::to_owned).collect::<Vec<_>>();
    let comment = |request: &String| {
        let found = parameters(request)
            .into_iter()
            .find_map(|one| one.strip_prefix("log_comment=").map(str::to_owned));
        found.unwrap_or_default()
    };
    proxy.requests()[since..].iter().map(comment).collect()
}

#[tokio::test]
async fn one_correlation_id_links_error_log_audit_and_query_log() {
    let (proxy, database) = behind_proxy(|options| options.with_pool_size(2)).await;
    let log = LogCollector::of_this_process();
    let bridge = bridge(database.clone(), "none".as_ref()).build();
    let id: CorrelationId = "00f067aa0ba902b74bf92f3577b34da6".parse().unwrap();
    let mine = bridge.with_correlation_id(id);
    let session = SessionId::new("s").unwrap();

    let begin = proxy.requests().len();
    let _ = mine.store_enhanced_analysis(&analysis("s", 1, 2), StoreOptions::default()).await.unwrap();
    let sent = comments(&proxy, begin);
    assert!(sent.len() >= 2 && sent.iter().all(|comment| *comment == id.to_string()), "{sent:?}");

    proxy.set(Fault::Closed);
    let error =
        mine.store_enhanced_analysis(&analysis("s", 2, 2), StoreOptions::default()).await.unwrap_err();
    assert_eq!(error.context().correlation_id, Some(id));
    assert_eq!(error.context().session.as_ref(), Some(&session));
    assert_eq!(error.context().attempts, 4);
    proxy.set(Fault::None);

    let audit = bridge.audit_log(&AuditFilter::default().with_correlation_id(id)).await.unwrap();
    assert_eq!(audit.len(), 2);
    assert!(audit[0].error.contains("cannot be reached"), "{}", audit[0].error);
    let lines = log.lines();
    let logged = |level: &str, words: &[&str]| {
        let id = format!("correlation_id={id}");
        lines.iter().any(|line| {
            line.starts_with(level) && line.contains(&id) && words.iter().all(|word| line.contains(word))
        })
    };
    let fields = ["operation=store_enhanced_analysis", "session_id=s", "tokens_stored=2", "processing_time="];
    assert!(logged("INFO", &fields), "{lines:#?}");
    assert!(
        logged("ERROR", &["kind=unreachable", "advice=check that the database is running"]),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.contains("database") && line.contains("operation=store responses")));
}

/// Tasks spawned by an operation belong to it.
#[tokio::test]
async fn all_work_of_an_operation_carries_its_id() {
    let (proxy, database) = behind_proxy(|options| options).await;
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    std::fs::write(folder.path().join("s.jsonl"), line).unwrap();
    let bridge = bridge(database.clone(), folder.path()).build();
    let id = CorrelationId(u128::MAX);
    let mine = bridge.with_correlation_id(id);
    let begin = proxy.requests().len();
    let analyses: Vec<_> = (1..9).map(|key| analysis("b", key, 1)).collect();
    assert!(
        mine.batch_store_analyses(&analyses, BatchOptions::default().with_batch_size(1))
            .await
            .iter()
            .all(|result| result.success)
    );
    let _ = mine.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let _ = mine.sync_all_sessions(SyncOptions::default()).await.unwrap();
    let sent = comments(&proxy, begin);
    assert!(sent.len() > 20 && sent.iter().all(|comment| *comment == id.to_string()), "{sent:?}");

    // Concurrent operations have different ids.
    let begin = proxy.requests().len();
    let (a, b) = (CorrelationId(10), CorrelationId(11));
    let by = [bridge.with_correlation_id(a), bridge.with_correlation_id(b)];
    let (one, two) = (analysis("s", 20, 1), analysis("s", 21, 1));
    let (one, two) = tokio::join!(
        by[0].store_enhanced_analysis(&one, StoreOptions::default()),
        by[1].store_enhanced_analysis(&two, StoreOptions::default())
    );
    assert!(one.is_ok() && two.is_ok());
    let sent = comments(&proxy, begin);
    // One of them may have written both audit records in one insert.
    let of = |id: CorrelationId| sent.iter().filter(|comment| **comment == id.to_string()).count();
    assert!(of(a) >= 2 && of(b) >= 2 && of(a) + of(b) == sent.len(), "{sent:?}");

    // Outside of operations nothing is logged.
    let begin = proxy.requests().len();
    database.totals(&ResponseFilter::default()).await.unwrap();
    assert_eq!(comments(&proxy, begin), [""]);
}

/// The source knows the trace of the task that runs the operation; outside of a trace the id is random.
#[tokio::test]
async fn the_current_trace_is_the_correlation_id() {
    use opentelemetry::Context;
    use opentelemetry::trace::{
        FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    };

    let current = || {
        let trace = Context::current().span().span_context().trace_id();
        CorrelationId(u128::from_be_bytes(trace.to_bytes()))
    };
    let bridge = crate::builder(Arc::new(InMemoryStore::default()), &["none".as_ref()])
        .correlation_ids(current)
        .build();
    let trace = CorrelationId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    let remote = SpanContext::new(
        TraceId::from(trace.0),
        SpanId::from(7),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let context = Context::new().with_remote_span_context(remote);
    for mode in ["traced", "alone", "alone"] {
        let analysis = analysis(mode, 1, 2);
        let store = bridge.store_enhanced_analysis(&analysis, StoreOptions::default());
        let _ = match mode {
            "traced" => store.with_context(context.clone()).await.unwrap(),
            _ => store.await.unwrap(),
        };
    }
    let own = CorrelationId(5);
    let _ = bridge
        .with_correlation_id(own)
        .store_enhanced_analysis(&analysis("own", 1, 2), StoreOptions::default())
        .with_context(context)
        .await
        .unwrap();

    let audit = bridge.audit_log(&AuditFilter::default()).await.unwrap();
    let ids: Vec<_> = audit.iter().rev().map(|record| record.correlation_id).collect();
    assert!(ids.len() == 4 && ids[0] == trace && ids[3] == own, "{ids:?}");
    assert!(ids[1] != ids[2] && ids[1..3].iter().all(|id| *id != trace && id.0 != 0), "{ids:?}");
}

/// The span of an operation bears its name, and the log says who asked.
#[tokio::test]
async fn the_actor_stands_in_log_and_audit() {
    let log = LogCollector::of_this_process();
    let bridge = crate::builder(Arc::new(InMemoryStore::default()), &["none".as_ref()]).build();
    let eve = Actor::new("eve\nINFO forged").unwrap();
    let id = CorrelationId(0xac70_4000_0000_0000_0000_0000_0000_0001);
    let inverted = TimeRange { start: Some(now()), end: Some(Timestamp::MIN) };
    let asked = bridge.with_actor(eve.clone()).with_correlation_id(id);
    let _ = asked.store_enhanced_analysis(&analysis("s", 1, 2), StoreOptions::default()).await.unwrap();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 2, 2), StoreOptions::default()).await.unwrap();
    let error = asked.dashboard().get_dashboard_token_metrics(inverted).await.unwrap_err();
    assert_eq!(error.kind(), "inverted_range");

    let hers = bridge.audit_log(&AuditFilter::default().with_actor(eve.clone())).await.unwrap();
    assert_eq!(hers.len(), 2);
    assert!(hers.iter().all(|record| record.correlation_id == id && record.actor == Some(eve.clone())));
    assert_eq!(bridge.audit_log(&AuditFilter::default()).await.unwrap().len(), 3);
    let lines = log.lines();
    let logged: Vec<_> = lines.iter().filter(|line| line.contains(&id.to_string())).collect();
    // A span and an event for each.
    assert_eq!(logged.len(), 4, "{lines:#?}");
    assert!(logged.iter().all(|line| line.contains(r"actor=eve\nINFO forged")), "{logged:#?}");
    for operation in ["store_enhanced_analysis", "get_dashboard_token_metrics"] {
        let span = format!("INFO bridge::telemetry::operation {operation} ");
        assert!(logged.iter().any(|line| line.starts_with(&span)), "{logged:#?}");
    }
}
