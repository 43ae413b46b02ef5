//! The service as a user runs it: a process, its configuration, its transcripts, and a browser's requests.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// 500 looks with a pause between them: longer than anything here takes.
const LOOKS_MAX: u32 = 500;
const PAUSE: Duration = Duration::from_millis(100);

struct Service {
    process: Child,
    address: String,
}

impl Service {
    /// In this folder, with the transcripts in it.
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_embed"))
            .arg("127.0.0.1:0")
            .current_dir(folder)
            .env("ETB_SOURCES_PATHS", folder.join("projects"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("it says where it listens").to_owned();
        Self { process, address }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = ask(&self.address, path, "localhost");
        (status, body)
    }

    fn tokens(&self) -> u64 {
        let (status, body) = self.get("/tokens?zone=Europe/Berlin&step=month");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["total_tokens"].as_u64().unwrap()
    }

    fn wait_for(&self, tokens: u64) {
        for _ in 0..LOOKS_MAX {
            if self.tokens() == tokens {
                return;
            }
            thread::sleep(PAUSE);
        }
        panic!("{} tokens in place of {tokens}", self.tokens());
    }

    /// As Ctrl-C does (`INT`), or a service manager (`TERM`).
    fn end_by(mut self, signal: &str) {
        kill(signal, &self.process.id().to_string());
        for _ in 0..LOOKS_MAX {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            thread::sleep(PAUSE);
        }
        panic!("it does not end");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind; one that has ended it does not need this.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(id: u32, output: u32) -> String {
    format!(
        r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_{id:024}","stop_reason":"end_turn","usage":{{"output_tokens":{output}}}}}}}"#
    ) + "\n"
}

fn kill(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([&format!("-{signal}"), pid]).status().unwrap().success());
}

/// Status, head and body of the answer.
fn ask(address: &str, path: &str, host: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}

/// A folder with the configuration and one transcript of 40 tokens.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = "bridge_config.yaml";
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(config), folder.path().join(config)).unwrap();
    let transcript = folder.path().join("projects/p/s.jsonl");
    fs::create_dir_all(transcript.parent().unwrap()).unwrap();
    fs::write(&transcript, line(1, 40)).unwrap();
    (folder, transcript)
}

#[test]
fn strangers_are_not_answered_and_browsers_are_told_what_they_may() {
    let (folder, _) = place();
    let service = Service::start(folder.path());
    for path in ["/", "/tokens", "/health", "/metrics", "/missing"] {
        let (status, head, body) = ask(&service.address, path, "evil.example:8080");
        assert!(status == 421 && !body.contains("40"), "{path}: {head} {body}");
        for (status, head) in [(status, head), {
            let own = ask(&service.address, path, "127.0.0.1");
            (own.0, own.1)
        }] {
            for header in [
                "content-security-policy: default-src 'none'",
                "frame-ancestors 'none'",
                "x-content-type-options: nosniff",
                "x-frame-options: deny",
                "referrer-policy: no-referrer",
                "cache-control: no-store",
            ] {
                assert!(head.contains(header), "{path} {status}: {header} in {head}");
            }
        }
    }
    // What the policy allows is all that the page needs.
    let (_, _, page) = ask(&service.address, "/", "localhost");
    assert!(!page.contains("<style") && !page.contains("<script>") && page.contains("/page.js"), "{page}");
    let (status, head, _) = ask(&service.address, "/page.js", "localhost");
    assert!(status == 200 && head.contains("content-type: text/javascript"), "{head}");
    service.end_by("TERM");
}

#[test]
fn slow_clients_hold_up_nobody_and_many_are_answered_at_once() {
    let (folder, _) = place();
    let service = Service::start(folder.path());
    service.wait_for(40);
    let slow: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(&service.address).unwrap();
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: local");
            stream
        })
        .collect();
    // Five hundred questions, and each is answered while the slow ones hang on.
    let clients: Vec<_> = (0..500)
        .map(|_| {
            let address = service.address.clone();
            thread::spawn(move || ask(&address, "/tokens?zone=Europe/Berlin&step=month", "localhost"))
        })
        .collect();
    for client in clients {
        let (status, _, body) = client.join().unwrap();
        assert!(status == 200 && body.contains("\"total_tokens\":40"), "{status}: {body}");
    }
    let (_, metrics) = service.get("/metrics");
    let asked =
        metrics.lines().filter(|line| line.starts_with("bridge_") && line.contains("dashboard")).count();
    assert!(asked < 500, "{metrics}");
    // None stays for ever.
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Closed, or told that it was too slow; not silence.
        if let Err(error) = stream.read(&mut [0; 64]) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "a slow connection stays open");
        }
    }
    service.end_by("INT");
}

/// The supervisor and its engine are killed, so nothing brings the database back.
#[test]
fn with_its_database_gone_it_still_ends_within_seconds() {
    for signal in ["INT", "TERM"] {
        let (folder, transcript) = place();
        let service = Service::start(folder.path());
        service.wait_for(40);
        let pids = fs::read_to_string(folder.path().join("tokens.clickhouse/pids")).unwrap();
        pids.lines().for_each(|pid| kill("KILL", pid));
        // It tries to store this, and cannot.
        File::options().append(true).open(&transcript).unwrap().write_all(line(2, 2).as_bytes()).unwrap();
        thread::sleep(Duration::from_secs(6));
        let pid = service.process.id().to_string();
        let ended = thread::spawn(move || service.end_by(signal));
        for _ in 0..100 {
            if ended.is_finished() {
                break;
            }
            thread::sleep(PAUSE);
        }
        assert!(ended.is_finished(), "{pid} does not end within 10 s of {signal}");
        ended.join().unwrap();
    }
}

#[test]
fn it_serves_what_stands_in_the_transcripts_and_keeps_it_over_a_restart() {
    let (folder, transcript) = place();
    let service = Service::start(folder.path());
    service.wait_for(40);
    let (status, page) = service.get("/");
    assert!(status == 200 && page.contains("<title>Tokens"), "{status}: {page}");
    assert_eq!(service.get("/tokens?zone=Europe/Atlantis").0, 400);

    // The session goes on while it runs.
    File::options().append(true).open(&transcript).unwrap().write_all(line(2, 2).as_bytes()).unwrap();
    service.wait_for(42);
    let (status, health) = service.get("/health");
    assert!(status == 200 && health.contains(r#""overall":"healthy""#), "{status}: {health}");
    let (_, metrics) = service.get("/metrics");
    assert!(metrics.lines().any(|line| line == "bridge_tokens_stored_total 42"), "{metrics}");
    service.end_by("INT");

    // The client deletes its transcripts; the store has them.
    fs::remove_file(&transcript).unwrap();
    let service = Service::start(folder.path());
    assert_eq!(service.tokens(), 42);
    service.end_by("TERM");
}
