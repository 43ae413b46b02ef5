//! The section `clickhouse`.

use std::error::Error;
use std::time::Duration;

use bridge::config::{BridgeConfig, BuildError};
use bridge::storage::ResponseFilter;
use bridge::{BridgeError, ConnectionKind, EnhancedTokenDatabaseBridge, Stopwatch};
use bridge_testkit::engine::{TestDatabase, engine};
use bridge_testkit::gateway::Gateway;
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::config::{full_text, on_engine, on_server, responses, store_one};

/// Queries the engine directly.
async fn query_engine(query: &str) -> Vec<String> {
    let writer = &engine().endpoint().writer;
    let client = clickhouse::Client::default()
        .with_url(format!("http://{}", TestDatabase::of_this_test().host()))
        .with_user(&writer.user)
        .with_password(&writer.password);
    client.query(query).fetch_all::<String>().await.unwrap()
}

/// A user without any right but to read.
#[tokio::test]
async fn a_user_who_may_only_read() {
    store_one(&on_engine(&[]).build().await.unwrap()).await;
    let reader = &engine().endpoint().reader;
    let keys = [
        ("clickhouse.user", reader.user.as_str()),
        ("clickhouse.password", reader.password.as_str()),
        ("audit.operations", "nothing"),
    ];
    let bridge = on_engine(&keys).build().await.unwrap();
    assert_eq!(responses(&bridge).await, 1);
    let summaries = bridge.get_stored_token_summaries(bridge::SummaryQuery::last_days(3650)).await.unwrap();
    assert_eq!(summaries.len(), 1);

    // Of tables that are missing the error holds the statements.
    let prefixed = [&keys[..], &[("clickhouse.table_prefix", "other_")]].concat();
    let error = full_text(&on_engine(&prefixed).build().await.unwrap_err());
    assert!(error.contains("CREATE TABLE IF NOT EXISTS other_token_usage ("), "{error}");
}

#[tokio::test]
async fn the_shipped_prices_are_in_use() {
    store_one(&on_engine(&[]).build().await.unwrap()).await;
    let database = TestDatabase::of_this_test().name;
    let digests =
        query_engine(&format!("SELECT DISTINCT assumeNotNull(price_digest) FROM {database}.token_costs"))
            .await;
    assert_eq!(digests, [bridge::pricing::Catalog::shipped().digest().to_string()]);
}

/// From the configuration one gets the store with all that is its own.
#[tokio::test]
async fn the_store_of_a_configuration() {
    let config = on_engine(&[("clickhouse.connection_pool_size", "3"), ("clickhouse.table_prefix", "etb_")]);
    let schema = config.store_options().unwrap().schema();
    assert!(schema.role_statements().iter().any(|sql| sql.contains(".etb_token_usage TO bridge_writer")));
    let store = std::sync::Arc::new(config.store().await.unwrap());
    assert_eq!((store.pool().status().size, store.options().schema()), (3, schema));
    assert!(!store.pending_schema().await.unwrap().is_empty());
    let bridge = config.builder_with(store.clone()).unwrap().build();
    bridge.token_store().migrate().await.unwrap();
    assert!(store.pending_schema().await.unwrap().is_empty());
}

async fn tables(database: &str) -> Vec<String> {
    query_engine(&format!("SELECT name FROM system.tables WHERE database = '{database}' ORDER BY name")).await
}

async fn refused(keys: &[(&str, &str)]) -> String {
    let error = on_engine(keys).build().await.unwrap_err();
    let refused = ConnectionKind::Refused;
    assert!(
        matches!(&error, BuildError::Store(BridgeError::Connection { kind, .. }) if *kind == refused),
        "{error}"
    );
    full_text(&error)
}

#[tokio::test]
async fn clickhouse_url() {
    let bridge = on_engine(&[]).build().await.unwrap();
    store_one(&bridge).await;
    // A second bridge uses the same store.
    let again = on_engine(&[]).build().await.unwrap();
    assert_eq!(responses(&again).await, 1);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unreachable = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = on_server(&unreachable, &[("clickhouse.retry_attempts", "0")]).build().await.unwrap_err();
    assert!(error.to_string().contains(&unreachable["http://".len()..]), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("; check that the database is running, and check host, port and firewall")
    );
    assert!(!error.source().unwrap().to_string().contains("check that"), "the advice is given once");
}

#[tokio::test]
async fn clickhouse_database() {
    let bridge = on_engine(&[("clickhouse.database", "test_usage-of_all")]).build().await.unwrap();
    store_one(&bridge).await;
    assert!(tables("test_usage-of_all").await.contains(&"token_usage".to_owned()));
    assert!(tables(&TestDatabase::of_this_test().name).await.is_empty());
}

#[tokio::test]
async fn clickhouse_table_prefix() {
    let bridge = on_engine(&[("clickhouse.table_prefix", "etb_")]).build().await.unwrap();
    store_one(&bridge).await;
    let tables = tables(&TestDatabase::of_this_test().name).await;
    assert!(tables.len() >= 4 && tables.iter().all(|name| name.starts_with("etb_")), "{tables:?}");
    assert_eq!(responses(&on_engine(&[]).build().await.unwrap()).await, 0);
}

#[tokio::test]
async fn clickhouse_user() {
    let reader = &engine().endpoint().reader;
    let keys = [("clickhouse.user", &*reader.user), ("clickhouse.password", &reader.password)];
    // A read-only user cannot create tables, but can use existing ones.
    assert!(on_engine(&keys).build().await.is_err());
    on_engine(&[]).build().await.unwrap();
    assert_eq!(responses(&on_engine(&keys).build().await.unwrap()).await, 0);
    // The engine rejects unknown users.
    assert!(on_engine(&[("clickhouse.user", "stranger")]).build().await.is_err());
}

#[tokio::test]
async fn clickhouse_password() {
    let error = refused(&[("clickhouse.password", "hunter2")]).await;
    assert!(!error.contains("hunter2"), "{error}");
    on_engine(&[]).build().await.unwrap();
}

#[tokio::test]
async fn clickhouse_password_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let path = file.to_str().unwrap();
    std::fs::write(&file, format!("{}\n", engine().endpoint().writer.password)).unwrap();
    let keys = [("clickhouse.password_file", path)];
    let mut config = on_engine(&keys);
    assert_eq!(config.clickhouse.password_file.as_deref(), Some(file.as_path()));
    config =
        config.with_env(|name| (name == "ETB_CLICKHOUSE_PASSWORD_FILE").then(|| path.to_owned())).unwrap();
    config.build().await.unwrap();
    std::fs::write(&file, "hunter2").unwrap();
    let error = full_text(&config.build().await.unwrap_err());
    assert!(error.contains("rejected the credentials") && !error.contains("hunter2"), "{error}");
}

/// The top-level test `tls` covers successful connections; this one covers the error messages.
/// A gateway before the engine that demands this header.
async fn gateway(header: &str) -> Gateway {
    let writer = &engine().endpoint().writer;
    Gateway::before(TestDatabase::of_this_test().host(), &writer.user, &writer.password, header)
        .await
        .unwrap()
}

/// The configuration for the engine behind the gateway, without user and password.
fn behind(gateway: &Gateway, more: &str) -> BridgeConfig {
    let (host, database) = (gateway.host(), TestDatabase::of_this_test().name);
    let text = format!(
        "enhanced_token_bridge: {{clickhouse: {{url: \"http://{host}\", database: {database}, {more}}}}}"
    );
    BridgeConfig::from_yaml_str(&text).unwrap()
}

#[tokio::test]
async fn clickhouse_access_token() {
    let gateway = gateway("authorization: Bearer a.b.c").await;
    let config = behind(&gateway, "access_token: a.b.c");
    assert!(!format!("{config:?}").contains("a.b.c"));
    store_one(&config.build().await.unwrap()).await;
    let both = behind(&gateway, "access_token: a.b.c, password: d").build().await.unwrap_err();
    assert!(both.to_string().contains("clickhouse.access_token"), "{both}");
    assert!(!full_text(&both).contains("a.b.c"));
}

#[tokio::test]
async fn clickhouse_access_token_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let gateway = gateway("authorization: Bearer first").await;
    let bridge = behind(&gateway, &format!("access_token_file: {}", file.display())).build().await.unwrap();
    std::fs::write(&file, "second\n").unwrap();
    gateway.demand("authorization: Bearer second");
    store_one(&bridge).await;
}

#[tokio::test]
async fn clickhouse_headers() {
    let gateway = gateway("x-team: s3cret").await;
    let config = behind(&gateway, "headers: {X-Team: s3cret}");
    assert!(!format!("{config:?}").contains("s3cret"));
    store_one(&config.build().await.unwrap()).await;
    let variable = |name: &str| (name == "ETB_CLICKHOUSE_HEADERS").then(|| "X-Team=s3cret,X-B=2".to_owned());
    let by_variable = behind(&gateway, "").with_env(variable).unwrap();
    assert_eq!(by_variable.clickhouse.headers.len(), 2);
    store_one(&by_variable.build().await.unwrap()).await;
    let refused = |headers: &str| {
        let text = format!("enhanced_token_bridge: {{clickhouse: {{headers: {headers}}}}}");
        BridgeConfig::from_yaml_str(&text).unwrap_err().to_string()
    };
    for headers in ["{Authorization: s3cret}", "{X-A: {b: s3cret}}", "[s3cret]", "s3cret"] {
        let error = refused(headers);
        assert!(error.contains("clickhouse.headers") && !error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn clickhouse_settings() {
    let gateway = gateway("x-team: a").await;
    let config = behind(&gateway, "headers: {X-Team: a}, settings: {max_block_size: 65000}");
    store_one(&config.build().await.unwrap()).await;
    assert!(gateway.heads().iter().all(|head| head.contains("max_block_size=65000")));
}

#[tokio::test]
async fn clickhouse_tls_ca_file() {
    let keys = [("clickhouse.tls_ca_file", "missing/ca.pem"), ("clickhouse.retry_attempts", "0")];
    let error = full_text(&on_server("https://localhost:1", &keys).build().await.unwrap_err());
    let wanted = if cfg!(feature = "tls") {
        "clickhouse.tls_ca_file: missing/ca.pem: "
    } else {
        "clickhouse.url: from_url: the database's URL is invalid: for https://localhost:1 build with the feature `tls`"
    };
    assert!(error.contains(wanted), "{error}");
}

#[tokio::test]
async fn clickhouse_cluster() {
    on_engine(&[]).build().await.unwrap();
    let error = on_engine(&[("clickhouse.cluster", "main")]).build().await.unwrap_err().to_string();
    assert!(error.contains("made without a cluster, and one is asked for"), "{error}");
    // With an empty database the statements go to the cluster, which this engine does not have.
    let keys = [("clickhouse.cluster", "main"), ("clickhouse.database", "test_nothing_yet")];
    let error = on_engine(&keys).build().await.unwrap_err().to_string();
    assert!(error.starts_with("migrate: "), "{error}");
    assert!(tables("test_nothing_yet").await.is_empty());
}

/// Asserts that `400d` sets the table's retention, the default keeps it, and `off` removes it.
async fn retention_takes_effect(key: &str, table: &str) {
    let database = TestDatabase::of_this_test().name;
    let has_ttl = async |keys: &[(&str, &str)]| {
        on_engine(keys).build().await.unwrap();
        let query = format!(
            "SELECT engine_full FROM system.tables WHERE database = '{database}' AND name = '{table}'"
        );
        query_engine(&query).await[0].contains("TTL time + toIntervalSecond(34560000)")
    };
    assert!(has_ttl(&[(key, "400d")]).await);
    assert!(has_ttl(&[]).await);
    assert!(!has_ttl(&[(key, "off")]).await);
}

#[tokio::test]
async fn clickhouse_retention() {
    retention_takes_effect("clickhouse.retention", "token_usage").await;
}

#[tokio::test]
async fn clickhouse_audit_retention() {
    retention_takes_effect("clickhouse.audit_retention", "bridge_audit").await;
}

/// A bridge behind a fault-injecting proxy.
async fn behind_proxy(keys: &[(&str, &str)]) -> (FaultProxy, EnhancedTokenDatabaseBridge) {
    let proxy = FaultProxy::before(TestDatabase::of_this_test().host()).await.unwrap();
    // Without the limits, which creating the tables may exceed on a busy machine.
    let _tables = on_engine(&[]).build().await.unwrap();
    let bridge = on_server(&format!("http://{}", proxy.host()), keys).build().await.unwrap();
    (proxy, bridge)
}

fn kind(error: &BridgeError) -> ConnectionKind {
    match error {
        BridgeError::Connection { kind, .. } => *kind,
        error => panic!("{error}"),
    }
}

/// The error of a second call while the first one holds a connection and waits for an answer, and the time until it.
async fn second_call(keys: &[(&str, &str)]) -> (ConnectionKind, Duration) {
    let mut all = vec![("clickhouse.retry_attempts", "0"), ("clickhouse.operation_timeout", "2s")];
    all.extend(keys);
    let (proxy, bridge) = behind_proxy(&all).await;
    proxy.set(Fault::Silent);
    let first = bridge.clone();
    let first = tokio::spawn(async move { first.token_store().totals(&ResponseFilter::default()).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = Stopwatch::start();
    let error = bridge.token_store().totals(&ResponseFilter::default()).await.unwrap_err();
    first.abort();
    (kind(&error), start.elapsed())
}

#[tokio::test]
async fn clickhouse_connection_pool_size() {
    let patience = ("clickhouse.connection_timeout", "100ms");
    let (one, _) = second_call(&[("clickhouse.connection_pool_size", "1"), patience]).await;
    assert_eq!(one, ConnectionKind::PoolExhausted);
    let (two, _) = second_call(&[("clickhouse.connection_pool_size", "2"), patience]).await;
    assert_eq!(two, ConnectionKind::TimedOut);
}

#[tokio::test]
async fn clickhouse_connection_timeout() {
    let one = ("clickhouse.connection_pool_size", "1");
    let (kind, waited) = second_call(&[one, ("clickhouse.connection_timeout", "300ms")]).await;
    assert_eq!(kind, ConnectionKind::PoolExhausted);
    assert!((300..1500).contains(&waited.as_millis()), "{waited:?}");
    // The first call times out after two seconds and releases the connection to the second.
    let (kind, waited) = second_call(&[one, ("clickhouse.connection_timeout", "10s")]).await;
    assert_eq!(kind, ConnectionKind::TimedOut);
    assert!(waited.as_millis() > 1900, "{waited:?}");
}

#[tokio::test]
async fn clickhouse_operation_timeout() {
    let (proxy, bridge) =
        behind_proxy(&[("clickhouse.retry_attempts", "0"), ("clickhouse.operation_timeout", "1s")]).await;
    proxy.set(Fault::Silent);
    let start = Stopwatch::start();
    let error = bridge.token_store().totals(&ResponseFilter::default()).await.unwrap_err();
    assert_eq!(kind(&error), ConnectionKind::TimedOut);
    assert!((1000..5000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

/// The error message of a call to a closed port, which states the attempts.
async fn attempts(keys: &[(&str, &str)]) -> String {
    let (proxy, bridge) = behind_proxy(keys).await;
    proxy.set(Fault::Closed);
    bridge.token_store().totals(&ResponseFilter::default()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn clickhouse_retry_attempts() {
    let none = attempts(&[("clickhouse.retry_attempts", "0")]).await;
    assert!(!none.contains("attempts"), "{none}");
    let one = attempts(&[("clickhouse.retry_attempts", "1")]).await;
    assert!(one.contains("(2 attempts in"), "{one}");
}

#[tokio::test]
async fn clickhouse_retry_budget() {
    let short = attempts(&[("clickhouse.retry_attempts", "3"), ("clickhouse.retry_budget", "100ms")]).await;
    assert!(!short.contains("attempts"), "{short}");
}

/// The error kinds of consecutive calls to a closed port.
async fn kinds_when_unreachable(keys: &[(&str, &str)], calls: usize, wait: Duration) -> Vec<&'static str> {
    let mut all = vec![("clickhouse.retry_attempts", "0")];
    all.extend(keys);
    let (proxy, bridge) = behind_proxy(&all).await;
    proxy.set(Fault::Closed);
    let mut kinds = Vec::new();
    for _ in 0..calls {
        kinds.push(bridge.token_store().totals(&ResponseFilter::default()).await.unwrap_err().kind());
        tokio::time::sleep(wait).await;
    }
    kinds
}

#[tokio::test]
async fn clickhouse_circuit_failures() {
    let two = kinds_when_unreachable(&[("clickhouse.circuit_failures", "2")], 3, Duration::ZERO).await;
    assert_eq!(two, ["unreachable", "unreachable", "circuit_open"]);
    let never = kinds_when_unreachable(&[("clickhouse.circuit_failures", "0")], 9, Duration::ZERO).await;
    assert_eq!(never, ["unreachable"; 9]);
}

#[tokio::test]
async fn clickhouse_circuit_open_for() {
    let wait = Duration::from_millis(100);
    let one = ("clickhouse.circuit_failures", "1");
    let short = kinds_when_unreachable(&[one, ("clickhouse.circuit_open_for", "50ms")], 2, wait).await;
    assert_eq!(short, ["unreachable", "unreachable"]);
    let long = kinds_when_unreachable(&[one, ("clickhouse.circuit_open_for", "10s")], 2, wait).await;
    assert_eq!(long, ["unreachable", "circuit_open"]);
}

#[tokio::test]
async fn clickhouse_circuit_open_for_max() {
    let wait = Duration::from_millis(150);
    let one = [("clickhouse.circuit_failures", "1"), ("clickhouse.circuit_open_for", "100ms")];
    let bounded = [one[0], one[1], ("clickhouse.circuit_open_for_max", "100ms")];
    assert_eq!(kinds_when_unreachable(&bounded, 4, wait).await, ["unreachable"; 4]);
    assert!(kinds_when_unreachable(&one, 4, wait).await.contains(&"circuit_open"));
}

#[tokio::test]
async fn clickhouse_disk_reserve_mb() {
    let name = bridge::CheckpointName::new("before").unwrap();
    let bridge = on_engine(&[]).build().await.unwrap();
    bridge.checkpoints().create(&name).await.unwrap();
    // More than any test machine's disk.
    let reserved = on_engine(&[("clickhouse.disk_reserve_mb", "1048576")]).build().await.unwrap();
    let other = bridge::CheckpointName::new("after").unwrap();
    for refused in [
        reserved.checkpoints().create(&other).await.unwrap_err(),
        reserved.rollback_bridge_integration(&name, bridge::RollbackMode::default()).await.unwrap_err(),
    ] {
        let text = format!("{refused}");
        assert!(text.contains("less than the reserve of 1048576.0 MiB"), "{text}");
    }
    let health = reserved.health_check().await;
    let disk = health.probes.iter().find(|probe| probe.probe == bridge::Probe::Disk).unwrap();
    assert_eq!(disk.state, bridge::HealthState::Unhealthy);
    assert!(disk.detail.contains("rollbacks and migrations are refused"), "{}", disk.detail);
    assert_eq!(bridge.checkpoints().list().await.unwrap().len(), 1);
}
