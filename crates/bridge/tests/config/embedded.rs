//! The section `embedded`.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bridge::Stopwatch;
use bridge_embedded::{Engine, EngineOptions};

use crate::config::{full_text, given, responses, store_one};

#[tokio::test]
async fn embedded_data_dir() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(&[("embedded.data_dir", folder.path().to_str().unwrap())]);
    let bridge = config.build().await.unwrap();
    store_one(&bridge).await;
    assert!(bridge.stats().audit.spool_bytes > 0 && folder.path().join("audit-spool").exists());
    // The engine lives as long as the last handle.
    let handle = bridge.clone();
    drop(bridge);
    assert_eq!(responses(&handle).await, 1);
    drop(handle);
    assert_eq!(responses(&config.build().await.unwrap()).await, 1);
}

#[tokio::test]
async fn a_shutdown_closes_the_engine_and_the_next_call_starts_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(&[("embedded.data_dir", folder.path().to_str().unwrap())]);
    let bridge = config.build().await.unwrap();
    store_one(&bridge).await;
    let engine = || std::fs::read_to_string(folder.path().join("pids")).unwrap_or_default();
    let running = engine();
    let watch = Stopwatch::start();
    while let Err(incomplete) = bridge.shutdown().await {
        // A loaded machine needs longer.
        assert!(incomplete.running_engine && incomplete.unwritten_records == 0, "{incomplete}");
        assert!(watch.elapsed() < Duration::from_mins(2), "{incomplete}");
    }
    assert_ne!(engine(), running);
    assert_eq!(responses(&bridge).await, 1);
}

#[tokio::test]
async fn embedded_cache_dir() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no_folder");
    std::fs::write(&file, "").unwrap();
    let data = folder.path().join("data");
    let keys =
        [("embedded.data_dir", data.to_str().unwrap()), ("embedded.cache_dir", file.to_str().unwrap())];
    let error = full_text(&given(&keys).build().await.unwrap_err());
    assert!(error.contains("no_folder"), "{error}");
}

#[tokio::test]
async fn embedded_memory_mb() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [("embedded.data_dir", folder.path().to_str().unwrap()), ("embedded.memory_mb", "1500")];
    let _bridge = given(&keys).build().await.unwrap();
    // A second user of the same engine.
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

/// Kills the engine's supervisor and takes over its port.
fn take_the_port(folder: &Path) -> TcpListener {
    let file = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (port, pids) = (file("http_port"), file("pids"));
    let supervisor = pids.lines().next().unwrap();
    assert!(Command::new("kill").args(["-KILL", supervisor]).status().unwrap().success());
    let watch = Stopwatch::start();
    loop {
        match TcpListener::bind(format!("127.0.0.1:{}", port.trim())) {
            Ok(listener) => return listener,
            Err(error) => assert!(watch.elapsed() < Duration::from_secs(30), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Answers every request with a constant until stopped, and returns the bytes received.
fn impersonate(listener: &TcpListener, stop: &AtomicBool) -> Vec<u8> {
    listener.set_nonblocking(true).unwrap();
    let mut received = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok((mut stream, _)) = listener.accept() {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut bytes = [0; 4096];
            for _ in 0..3 {
                let count = stream.read(&mut bytes).unwrap_or(0);
                received.extend_from_slice(&bytes[..count]);
                let _ = std::io::Write::write_all(
                    &mut stream,
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1\n",
                );
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    received
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_follows_a_moved_engine_and_leaks_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(&[("embedded.data_dir", folder.path().to_str().unwrap())]);
    let bridge = config.build().await.unwrap();
    store_one(&bridge).await;
    let ports = || std::fs::read_to_string(folder.path().join("http_port")).unwrap();
    for _ in 0..2 {
        let before = ports();
        let impostor = take_the_port(folder.path());
        let stop = AtomicBool::new(false);
        let received = std::thread::scope(|scope| {
            let impersonation = scope.spawn(|| impersonate(&impostor, &stop));
            let stored = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current()
                    .block_on(tokio::time::timeout(Duration::from_mins(1), responses(&bridge)))
            });
            stop.store(true, Ordering::Relaxed);
            assert_eq!(stored.unwrap(), 1);
            impersonation.join().unwrap()
        });
        assert_ne!(ports(), before, "the engine reclaimed the impostor's port");
        let received = String::from_utf8_lossy(&received);
        assert!(received.contains("/bridge/proof") && !received.contains("ClickHouse"), "{received}");
    }
    // Another program may restart the engine as well.
    drop(take_the_port(folder.path()));
    let other = Engine::start(&EngineOptions::at(folder.path())).unwrap();
    assert_eq!(responses(&bridge).await, 1);
    drop(other);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_an_engine_that_others_use() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(&[("embedded.data_dir", folder.path().to_str().unwrap())]);
    let bridge = config.build().await.unwrap();
    let other = Engine::start(&EngineOptions::at(folder.path())).unwrap();
    bridge.shutdown().await.unwrap();
    drop(other);
}
