//! Clients, headers, settings and access tokens of the embedder.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bridge_core::BridgeError;
use bridge_storage::{
    AccessToken, AccessTokens, ClickHouseOptions, ClickHouseStore, GuardedConnector, HookFuture,
    ResponseFilter, TokenStore, UpsertOptions,
};
use bridge_testkit::engine::{TestDatabase, engine};
use bridge_testkit::gateway::Gateway;
use bridge_testkit::proxy::{Fault, FaultProxy};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::{client, hasty, response};

async fn gateway(header: &str) -> Gateway {
    let (host, writer) = (TestDatabase::of_this_test().host(), &engine().endpoint().writer);
    Gateway::before(host, &writer.user, &writer.password, header).await.unwrap()
}

/// Options of the test's database behind the gateway.
fn behind(gateway: &Gateway) -> ClickHouseOptions {
    hasty(&format!("http://{}/{}", gateway.host(), TestDatabase::of_this_test().name))
}

fn token(text: &str) -> AccessToken {
    AccessToken::new(text).unwrap()
}

async fn store_and_count(store: &ClickHouseStore, key: u128) -> Result<u64, BridgeError> {
    store.upsert(&[response(key, 2)], &UpsertOptions::default()).await?;
    Ok(store.totals(&ResponseFilter::default()).await?.responses)
}

#[tokio::test]
async fn a_client_of_ones_own_stores() {
    let database = TestDatabase::of_this_test();
    let store = ClickHouseStore::from_client(client(&database)).unwrap();
    assert_eq!(store.options().database(), database.name);
    store.migrate().await.unwrap();
    assert_eq!(store_and_count(&store, 1).await.unwrap(), 1);
}

/// A connector of one's own is guarded like the store's: another server's answer is none.
#[tokio::test]
async fn a_guarded_connector_takes_no_foreign_answer() {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .build(GuardedConnector::new(HttpConnector::new()));
    let writer = &engine().endpoint().writer;
    let own = clickhouse::Client::with_http_client(http)
        .with_url(format!("http://{}", proxy.host()))
        .with_user(&writer.user)
        .with_password(&writer.password)
        .with_database(&database.name);
    let store =
        ClickHouseStore::new(ClickHouseOptions::from_client(own).with_host_name("db.example")).unwrap();
    store.migrate().await.unwrap();
    proxy.set(Fault::AnswerInstead(0, "HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n"));
    let error = store_and_count(&store, 1).await.unwrap_err();
    assert_eq!(error.kind(), "misconfigured");
    assert!(error.to_string().contains("db.example"), "{error}");
    proxy.set(Fault::None);
    assert_eq!(store_and_count(&store, 1).await.unwrap(), 1);
}

#[tokio::test]
async fn headers_and_settings_are_sent_with_every_request() {
    let gateway = gateway("x-team: a-secret").await;
    let options = behind(&gateway).with_header("X-Team", "a-secret").unwrap();
    let options = options.with_setting("max_block_size", "65000").unwrap();
    let shown = format!("{options:?}");
    let store = ClickHouseStore::new(options).unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store_and_count(&store, 1).await.unwrap(), 1);
    let heads = gateway.heads();
    let without = heads.iter().find(|head| !head.contains("max_block_size=65000"));
    assert_eq!(without, None);
    assert!(!shown.contains("a-secret") && !format!("{store:?}").contains("a-secret"), "{shown}");
}

#[tokio::test]
async fn a_token_takes_the_place_of_user_and_password() {
    let gateway = gateway("authorization: Bearer a.b.c").await;
    let store = ClickHouseStore::new(behind(&gateway).with_access_token(token("a.b.c"))).unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store_and_count(&store, 1).await.unwrap(), 1);
    let refused = ClickHouseStore::new(behind(&gateway).with_access_token(token("s3cret"))).unwrap();
    let error = store_and_count(&refused, 2).await.unwrap_err();
    assert!(!format!("{error} {error:?} {refused:?}").contains("s3cret"), "{error:?}");
}

#[derive(Debug)]
struct Issuer {
    current: Mutex<AccessToken>,
    issued: AtomicU32,
}

impl AccessTokens for Issuer {
    fn current(&self) -> AccessToken {
        self.current.lock().unwrap().clone()
    }

    fn renew(&self) -> HookFuture<'_> {
        Box::pin(async {
            let number = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
            *self.current.lock().unwrap() = token(&format!("token-{number}"));
            Ok(())
        })
    }
}

/// The call that finds the token expired succeeds with the next one, which all connections share.
#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    let gateway = gateway("authorization: Bearer token-0").await;
    let issuer = Arc::new(Issuer { current: Mutex::new(token("token-0")), issued: AtomicU32::new(0) });
    let store = ClickHouseStore::new(behind(&gateway).with_access_tokens(issuer.clone())).unwrap();
    store.migrate().await.unwrap();
    gateway.demand("authorization: Bearer token-1");
    let all = ResponseFilter::default();
    let (a, b, c) = tokio::join!(store.totals(&all), store_and_count(&store, 1), store.totals(&all));
    assert_eq!(b.unwrap(), 1);
    a.and(c).unwrap();
    assert_eq!(issuer.issued.load(Ordering::Relaxed), 1);
    assert_eq!(store_and_count(&store, 2).await.unwrap(), 2);
}

#[tokio::test]
async fn a_token_file_is_read_again_when_its_token_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    assert!(hasty("http://db").with_access_token_file(&file).is_err());
    std::fs::write(&file, "first\n").unwrap();
    let gateway = gateway("authorization: Bearer first").await;
    let store = ClickHouseStore::new(behind(&gateway).with_access_token_file(&file).unwrap()).unwrap();
    store.migrate().await.unwrap();
    gateway.demand("authorization: Bearer second");
    std::fs::write(&file, "second\n").unwrap();
    assert_eq!(store_and_count(&store, 1).await.unwrap(), 1);
}
