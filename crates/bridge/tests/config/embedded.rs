//! The section `embedded`.

use bridge_embedded::{Engine, EngineOptions};

use crate::{given, responses, store_one, told};

#[tokio::test]
async fn embedded_data_dir() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(&[("embedded.data_dir", folder.path().to_str().unwrap())]);
    let bridge = config.build().await.unwrap();
    store_one(&bridge).await;
    // The engine lives as long as the last handle.
    let handle = bridge.clone();
    drop(bridge);
    assert_eq!(responses(&handle).await, 1);
    drop(handle);
    assert_eq!(responses(&config.build().await.unwrap()).await, 1);
}

#[tokio::test]
async fn embedded_cache_dir() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no_folder");
    std::fs::write(&file, "").unwrap();
    let data = folder.path().join("data");
    let keys =
        [("embedded.data_dir", data.to_str().unwrap()), ("embedded.cache_dir", file.to_str().unwrap())];
    let error = told(&given(&keys).build().await.unwrap_err());
    assert!(error.contains("no_folder"), "{error}");
}

#[tokio::test]
async fn embedded_memory_mb() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [("embedded.data_dir", folder.path().to_str().unwrap()), ("embedded.memory_mb", "1500")];
    let _bridge = given(&keys).build().await.unwrap();
    // Another user of the same engine.
    let engine = Engine::start(&EngineOptions::at(folder.path())).unwrap();
    let endpoint = engine.endpoint();
    let client = clickhouse::Client::default()
        .with_url(&endpoint.url)
        .with_user(&endpoint.writer.user)
        .with_password(&endpoint.writer.password);
    let query = "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'";
    let limit = client.query(query).fetch_one::<String>().await.unwrap();
    assert_eq!(limit, (1500_u64 << 20).to_string());
}
