//! Analyses while the database is up, slow, unavailable and recovered.

use std::sync::Arc;
use std::time::Duration;

use bridge::storage::TokenStore;
use bridge::{
    AnalysisSource, BackfillOptions, BridgeError, ConnectionKind, EnhancedTokenDatabaseBridge, Probe,
    SessionId,
};
use bridge_embedded::{Endpoint, Engine, EngineOptions, Shutdown};
use bridge_testkit::proxy::{Fault, FaultProxy};

/// Needs its own engine because some cuts make it abort and restart.
#[tokio::test]
async fn analyses_survive_slow_and_unavailable_databases() {
    let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
    let Endpoint { url, writer, .. } = engine.endpoint();
    let upstream = url.strip_prefix("http://").unwrap();
    let url = |host: &str| format!("http://{}:{}@{host}/test_fallback", writer.user, writer.password);
    let direct = crate::engine::store(&url(upstream));
    direct.migrate().await.unwrap();
    let (history, folder) = crate::engine::history(31);
    let direct = crate::engine::bridge(Arc::new(direct), folder.path()).build();
    let _ = direct.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let proxy = FaultProxy::before(upstream).await.unwrap();
    let store: Arc<dyn TokenStore> = Arc::new(crate::engine::hasty_store(&url(proxy.host())));
    let patient =
        crate::engine::bridge(store.clone(), folder.path()).store_deadline(Duration::from_mins(1)).build();
    let hasty = crate::engine::bridge(store, folder.path()).store_deadline(Duration::from_millis(50)).build();
    let name =
        history.truth.sessions.keys().find(|name| !history.truth.open_sessions.contains(*name)).unwrap();
    let session = SessionId::new(name).unwrap();
    let expected = history.truth.sessions[name].counters.total();
    let source = |bridge: &EnhancedTokenDatabaseBridge| {
        let (bridge, session) = (bridge.clone(), session.clone());
        async move {
            let answer = bridge.get_analysis_with_fallback(&session).await.unwrap();
            assert_eq!(answer.analysis.calculated_total_tokens, expected, "{:?}", answer.source);
            (answer.source, answer.fallback_reasons)
        }
    };

    // Up.
    assert_eq!(source(&patient).await, (AnalysisSource::Stored, Vec::new()));
    // Slow.
    proxy.set(Fault::Silent);
    let (answered, fallback_reasons) = source(&hasty).await;
    assert_eq!(answered, AnalysisSource::Live);
    assert!(fallback_reasons[0].contains("does not answer in time"), "{fallback_reasons:?}");
    // Unavailable.
    proxy.set(Fault::Closed);
    let (answered, fallback_reasons) = source(&patient).await;
    assert_eq!(answered, AnalysisSource::Live);
    assert!(fallback_reasons[0].contains("cannot be reached"), "{fallback_reasons:?}");
    // Recovered.
    recover(&proxy, &direct, &patient).await;
    assert_eq!(source(&patient).await.0, AnalysisSource::Stored);
    // The database and the sources are unavailable.
    proxy.set(Fault::CutAnswer);
    folder.close().unwrap();
    let (answered, fallback_reasons) = source(&patient).await;
    assert_eq!(answered, AnalysisSource::Cached);
    assert!(fallback_reasons.len() > 1, "{fallback_reasons:?}");
    let unknown = SessionId::new("unknown").unwrap();
    let error = patient.get_analysis_with_fallback(&unknown).await.unwrap_err();
    assert!(
        matches!(
            error,
            BridgeError::Connection { kind: ConnectionKind::Unreachable | ConnectionKind::CircuitOpen, .. }
        ),
        "not the store's error: {error}"
    );
    // Recovered, but without the sources.
    recover(&proxy, &direct, &patient).await;
    assert_eq!(source(&patient).await.0, AnalysisSource::Stored);
    assert_eq!(engine.close(Duration::from_secs(30)), Shutdown::Stopped);
}

/// Removes the fault and waits until the engine accepts connections again.
async fn recover(
    proxy: &FaultProxy,
    direct: &EnhancedTokenDatabaseBridge,
    bridge: &EnhancedTokenDatabaseBridge,
) {
    proxy.set(Fault::None);
    direct.token_store().probes().unwrap().probe_connection().await.unwrap();
    // A health check closes the circuit without waiting for its next probe.
    bridge.health_check().await.probe(Probe::Connectivity).unwrap();
}
