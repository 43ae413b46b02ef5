//! The section `embedded`.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bridge::Stopwatch;
use bridge_embedded::{Engine, EngineOptions};

use crate::config::{given, responses, store_one, told};

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

/// Kills the engine's supervisor, and binds its port as soon as that is free.
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

/// Answers everything with something until it is told to stop, and gives back what it heard.
fn impersonate(listener: &TcpListener, stop: &AtomicBool) -> Vec<u8> {
    listener.set_nonblocking(true).unwrap();
    let mut heard = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok((mut stream, _)) = listener.accept() {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut bytes = [0; 4096];
            for _ in 0..3 {
                let count = stream.read(&mut bytes).unwrap_or(0);
                heard.extend_from_slice(&bytes[..count]);
                let _ = std::io::Write::write_all(
                    &mut stream,
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1\n",
                );
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_bridge_finds_an_engine_that_comes_back_elsewhere_and_tells_nobody_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let config = given(&[("embedded.data_dir", folder.path().to_str().unwrap())]);
    let bridge = config.build().await.unwrap();
    store_one(&bridge).await;
    let ports = || std::fs::read_to_string(folder.path().join("http_port")).unwrap();
    for _ in 0..2 {
        let before = ports();
        let impostor = take_the_port(folder.path());
        let stop = AtomicBool::new(false);
        let heard = std::thread::scope(|scope| {
            let hearing = scope.spawn(|| impersonate(&impostor, &stop));
            let asked = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current()
                    .block_on(tokio::time::timeout(Duration::from_mins(1), responses(&bridge)))
            });
            stop.store(true, Ordering::Relaxed);
            assert_eq!(asked.unwrap(), 1);
            hearing.join().unwrap()
        });
        assert_ne!(ports(), before, "the impostor has the port");
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.contains("/bridge/proof") && !heard.contains("ClickHouse"), "{heard}");
    }
    // Also where another program has started it again.
    drop(take_the_port(folder.path()));
    let other = Engine::start(&EngineOptions::at(folder.path())).unwrap();
    assert_eq!(responses(&bridge).await, 1);
    drop(other);
}
