//! The service is killed again and again under load, and nothing is lost or counted twice.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bridge::embedded::{Engine, EngineOptions};
use bridge::storage::InMemoryStore;
use bridge::{EnhancedTokenDatabaseBridge, Stopwatch};
use serde_json::Value;

const KILLS: u64 = 20;
const DEADLINE: Duration = Duration::from_secs(60);

/// A running service. It ends with this value, and with the test, which holds the other end of its standard input.
struct Service {
    process: Child,
    address: SocketAddr,
}

impl Service {
    fn start(engine: &Engine, sources: &Path) -> Self {
        let endpoint = engine.endpoint();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tenant"))
            .env("TENANT_DATA_DIR", engine.data_dir())
            .env("TENANT_CLICKHOUSE_URL", &endpoint.url)
            .env("TENANT_CLICKHOUSE_USER", &endpoint.writer.user)
            .env("TENANT_CLICKHOUSE_PASSWORD", &endpoint.writer.password)
            .env("TENANT_CLICKHOUSE_DATABASE", &endpoint.database)
            .env("TENANT_SOURCES", sources)
            .env("TENANT_LISTEN", "127.0.0.1:0")
            .env("TENANT_TOKEN", "secret")
            .env("TENANT_NAME", "acme")
            .env("TENANT_STOP_WITH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = lines.next().expect("the service listens").expect("readable");
        let address = line.strip_prefix("listening on ").expect("an address").parse().expect("an address");
        Self { process, address }
    }

    fn terminate(&mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let status = poll("the service ends", || self.process.try_wait().expect("a child"));
        assert!(status.success(), "after SIGTERM the service ended with {status}");
    }
}

impl Service {
    fn kill(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a request; `None` where the service does not answer.
fn ask(address: SocketAddr, method: &str, path: &str, token: &str, body: &[u8]) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    let kind = match path.contains("/entries") {
        true => "application/x-ndjson\r\nx-environment: ci",
        false => "application/json",
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length =
        head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    // What was cut off is no answer.
    if length.is_some_and(|length: usize| length != body.len()) {
        return None;
    }
    Some((status, serde_json::from_str(body).unwrap_or_default()))
}

/// Asks until there is an answer.
fn poll<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let waited = Stopwatch::start();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(waited.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A record of a response, as a client writes it.
fn record(session: &str, number: u64) -> String {
    let tokens = number % 97 + 1;
    format!(
        r#"{{"type":"assistant","sessionId":"{session}","timestamp":"2026-01-31T12:00:00Z","requestId":"req_{number}","message":{{"id":"msg_01{number:022}","model":"claude-opus-4-8","stop_reason":"end_turn","usage":{{"input_tokens":{tokens},"output_tokens":7}}}}}}"#
    ) + "\n"
}

/// Appends responses to transcripts, now and then half a line at a time, until the flag is set.
fn write_transcripts(folder: &Path, done: &AtomicBool) {
    let mut number = 0;
    while !done.load(Ordering::Relaxed) {
        let session = format!("written-{}", number % 5);
        let path = folder.join(format!("{session}.jsonl"));
        let mut file = File::options().append(true).create(true).open(path).expect("a transcript");
        let line = record(&session, number);
        let (begin, end) = line.split_at(line.len() / 2);
        file.write_all(begin.as_bytes()).expect("written");
        thread::sleep(Duration::from_millis(5));
        file.write_all(end.as_bytes()).expect("written");
        number += 1;
    }
}

/// Pushes responses and keeps them in a transcript that the service does not see. What is not acknowledged is pushed
/// again.
fn push_entries(kept: &Path, address: &Mutex<SocketAddr>, acknowledged: &AtomicU64, done: &AtomicBool) {
    let mut file = File::create(kept).expect("a transcript");
    let mut next = 0;
    while !done.load(Ordering::Relaxed) {
        let entries: String = (next..next + 3).map(|number| record("pushed", 1_000_000 + number)).collect();
        file.write_all(entries.as_bytes()).expect("written");
        let path = format!("/usage/api/v1/sessions/pushed/entries?first={next}");
        poll("a push is acknowledged", || {
            let address = *address.lock().expect("not poisoned");
            let (status, answer) = ask(address, "POST", &path, "secret", entries.as_bytes())?;
            assert!(status == 200 || status >= 500, "{status}: {answer}");
            (status == 200).then(|| assert_eq!(answer["expected"], (next + 3).to_string()))
        });
        next += 3;
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts the transcripts anew, without any database.
fn counted(folders: &[&Path]) -> u64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let bridge =
            EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).sources(folders).build();
        let history = bridge.analyze_historical_data(Default::default()).await.expect("analyzed");
        history.counts().expect("in range").total()
    })
}

#[test]
fn killed_twenty_times_under_load_it_loses_nothing() {
    let engine = Engine::start(&EngineOptions::ephemeral()).expect("an engine");
    // In the engine's folder, so that it is removed with it.
    let (sources, pushed) = (engine.data_dir().join("sources"), engine.data_dir().join("pushed"));
    for folder in [&sources, &pushed] {
        fs::create_dir(folder).expect("a folder");
    }
    let mut service = Service::start(&engine, &sources);
    let address = Mutex::new(service.address);
    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));

    thread::scope(|scope| {
        // Set in any case, so that a failure ends the other threads as well.
        let _done = Done(&done);
        scope.spawn(|| write_transcripts(&sources, &done));
        scope.spawn(|| push_entries(&pushed.join("pushed.jsonl"), &address, &acknowledged, &done));
        for kill in 0..KILLS {
            let before = acknowledged.load(Ordering::Relaxed);
            poll("pushes go on", || (acknowledged.load(Ordering::Relaxed) >= before + 2).then_some(()));
            if kill % 2 == 0 {
                service.terminate();
            } else {
                service.kill();
            }
            service = Service::start(&engine, &sources);
            *address.lock().expect("not poisoned") = service.address;
        }
    });

    // Nothing is stored while the tenant is suspended, and all of it afterwards.
    let entry = record("refused", 2_000_000);
    fs::write(pushed.join("refused.jsonl"), &entry).expect("written");
    for (suspended, status) in [("true", 403), ("false", 200)] {
        let switched = ask(service.address, "PUT", "/suspended", "secret", suspended.as_bytes());
        assert_eq!(switched.expect("answers").0, 204);
        let session = format!("while-suspended-{suspended}");
        let number = 3_000_000 + u64::from(status);
        fs::write(sources.join(format!("{session}.jsonl")), record(&session, number)).expect("written");
        let push = ask(service.address, "POST", "/sessions/refused/entries", "secret", entry.as_bytes());
        assert_eq!(push.expect("answers").0, status);
    }

    let expected = counted(&[&sources, &pushed]);
    assert!(expected > 0);
    let path = "/usage/api/v1/totals";
    poll("the database has what was written", || {
        let (_, answer) = ask(service.address, "GET", path, "secret", b"")?;
        let stored: u64 = answer["totals"]["tokens"]["total"].as_str()?.parse().ok()?;
        assert!(stored <= expected, "{stored} of {expected} tokens are stored");
        (stored == expected).then_some(())
    });

    // Each response is of the environment that it came from, whoever was killed meanwhile.
    for (environment, folder) in [("production", &sources), ("ci", &pushed)] {
        let (status, answer) =
            ask(service.address, "GET", &format!("/environments/{environment}"), "secret", b"")
                .expect("answers");
        assert_eq!((status, &answer["tokens"]), (200, &Value::from(counted(&[folder]).to_string())));
    }
    let path = "/usage/api/v1/totals?label:tenant=acme&label:environment=ci";
    let (_, answer) = ask(service.address, "GET", path, "secret", b"").expect("answers");
    assert_eq!(answer["totals"]["tokens"]["total"], counted(&[&pushed]).to_string());

    // Every acknowledged push is on record, those of killed services too.
    let pushes = usize::try_from(acknowledged.load(Ordering::Relaxed)).expect("few");
    poll("the audit is complete", || {
        let path = "/usage/api/v1/audit?operation=append&actor=acme&outcome=succeeded&limit=1000";
        let (_, answer) = ask(service.address, "GET", path, "secret", b"")?;
        (answer["records"].as_array()?.len() >= pushes.min(1000)).then_some(())
    });

    let path = "/usage/api/v1/totals";
    assert_eq!(ask(service.address, "GET", path, "wrong", b"").expect("answers").0, 401);
    service.terminate();
}

/// Sets the flag when it is dropped.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
