//! End-to-end tests: the service as a process with its configuration and transcripts, and a browser's requests.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Polls for up to 50 seconds, longer than any step takes.
const POLLS_MAX: u32 = 500;
const POLL_INTERVAL: Duration = Duration::from_millis(100);

const DASHBOARD: &str = "/api/v1/dashboard?zone=Europe/Berlin&step=month";

struct Service {
    process: Child,
    address: String,
}

impl Service {
    /// Starts the service in this folder, which contains its configuration and transcripts.
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    fn start_with(folder: &Path, options: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_embed"))
            .args(options)
            .arg("127.0.0.1:0")
            .current_dir(folder)
            .env("ETB_SOURCES_PATHS", folder.join("projects"))
            // The health of a service in a test does not depend on how full the machine's disk is.
            .env("ETB_MONITORING_DISK_FREE_MIN", "0%")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("the service prints its address").to_owned();
        Self { process, address }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = request(&self.address, path, "localhost");
        (status, body)
    }

    fn tokens(&self) -> u64 {
        let (status, body) = self.get(DASHBOARD);
        assert_eq!(status, 200, "{body}");
        let dashboard: Value = serde_json::from_str(&body).unwrap();
        dashboard["totals"]["tokens"]["total"].as_str().unwrap().parse().unwrap()
    }

    fn wait_for(&self, tokens: u64) {
        for _ in 0..POLLS_MAX {
            if self.tokens() == tokens {
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        panic!("{} tokens instead of {tokens}", self.tokens());
    }

    /// Stops the service as Ctrl-C (`INT`) or a service manager (`TERM`) does.
    fn stop_with(mut self, signal: &str) {
        kill(signal, &self.process.id().to_string());
        for _ in 0..POLLS_MAX {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        panic!("the service does not stop");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Cleans up after a failed test; otherwise the process has already exited.
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

/// Sends a request and returns the response's status, head and body.
fn request(address: &str, path: &str, host: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}

/// Creates a folder with the configuration and one transcript of 40 tokens.
fn prepare_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = "bridge_config.yaml";
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(config), folder.path().join(config)).unwrap();
    let transcript = folder.path().join("projects/p/s.jsonl");
    fs::create_dir_all(transcript.parent().unwrap()).unwrap();
    fs::write(&transcript, line(1, 40)).unwrap();
    (folder, transcript)
}

#[test]
fn unknown_hosts_are_rejected_and_every_response_has_security_headers() {
    let (folder, _) = prepare_folder();
    let service = Service::start(folder.path());
    for path in ["/", "/api/v1/dashboard", "/health/ready", "/metrics", "/missing"] {
        let (status, head, body) = request(&service.address, path, "evil.example:8080");
        assert!(status == 421 && !body.contains("40"), "{path}: {head} {body}");
        for (status, head) in [(status, head), {
            let own = request(&service.address, path, "127.0.0.1");
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
    // The page works under its own policy, which forbids inline scripts and styles.
    let (_, _, page) = request(&service.address, "/", "localhost");
    assert!(
        !page.contains("<style") && !page.contains("<script>") && page.contains("/assets/page.js"),
        "{page}"
    );
    let (status, head, _) = request(&service.address, "/assets/page.js", "localhost");
    assert!(status == 200 && head.contains("content-type: text/javascript"), "{head}");
    service.stop_with("TERM");
}

#[test]
fn costs_are_on_the_page_unless_they_are_hidden() {
    let (folder, transcript) = prepare_folder();
    // A million tokens of output at $15.
    let priced =
        line(2, 1_000_000).replace(r#""stop_reason""#, r#""model":"claude-sonnet-4-5","stop_reason""#);
    File::options().append(true).open(&transcript).unwrap().write_all(priced.as_bytes()).unwrap();
    for (options, shows_cost) in [(&[][..], true), (&["--no-cost"], false)] {
        let service = Service::start_with(folder.path(), options);
        service.wait_for(1_000_040);
        for path in ["/?range=all", "/sessions?range=all", "/sessions/s"] {
            let (status, page) = service.get(path);
            assert!(status == 200 && page.contains("1,000,040"), "{status}: {page}");
            assert_eq!(page.contains("$15.00"), shows_cost, "{options:?} {path}: {page}");
            assert_eq!(page.contains("Cost"), shows_cost, "{options:?} {path}: {page}");
        }
        service.stop_with("TERM");
    }
}

#[test]
fn an_unknown_option_is_a_wrong_command_line() {
    let (folder, _) = prepare_folder();
    let program = env!("CARGO_BIN_EXE_embed");
    let ended = Command::new(program).arg("--no-costs").current_dir(folder.path()).output().unwrap();
    let message = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{message}");
    assert!(message.contains("unknown option --no-costs"), "{message}");
}

#[test]
fn slow_clients_do_not_block_500_concurrent_requests() {
    let (folder, _) = prepare_folder();
    let service = Service::start(folder.path());
    service.wait_for(40);
    let slow: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(&service.address).unwrap();
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: local");
            stream
        })
        .collect();
    // All 500 requests are served while the slow clients stay connected.
    let clients: Vec<_> = (0..500)
        .map(|_| {
            let address = service.address.clone();
            thread::spawn(move || request(&address, DASHBOARD, "localhost"))
        })
        .collect();
    for client in clients {
        let (status, _, body) = client.join().unwrap();
        assert!(status == 200 && body.contains(r#""totals":{"tokens":{"total":"40""#), "{status}: {body}");
    }
    let (_, metrics) = service.get("/metrics");
    let queries =
        metrics.lines().filter(|line| line.starts_with("bridge_") && line.contains("dashboard")).count();
    assert!(queries < 500, "{metrics}");
    // No slow connection stays open indefinitely.
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The server closes the connection or responds with a timeout error.
        if let Err(error) = stream.read(&mut [0; 64]) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "a slow connection stays open");
        }
    }
    service.stop_with("INT");
}

/// Kills the supervisor as well as the engine, so that the database stays down.
#[test]
fn shutdown_takes_seconds_even_when_the_database_is_down() {
    for signal in ["INT", "TERM"] {
        let (folder, transcript) = prepare_folder();
        let service = Service::start(folder.path());
        service.wait_for(40);
        let pids = fs::read_to_string(folder.path().join("tokens.clickhouse/pids")).unwrap();
        pids.lines().for_each(|pid| kill("KILL", pid));
        // The service fails to store this line.
        File::options().append(true).open(&transcript).unwrap().write_all(line(2, 2).as_bytes()).unwrap();
        thread::sleep(Duration::from_secs(6));
        let pid = service.process.id().to_string();
        let stopped = thread::spawn(move || service.stop_with(signal));
        for _ in 0..100 {
            if stopped.is_finished() {
                break;
            }
            thread::sleep(POLL_INTERVAL);
        }
        assert!(stopped.is_finished(), "{pid} does not stop within 10 s of {signal}");
        stopped.join().unwrap();
    }
}

#[test]
fn serves_the_transcripts_total_and_keeps_it_across_restarts() {
    let (folder, transcript) = prepare_folder();
    let service = Service::start(folder.path());
    service.wait_for(40);
    let (status, page) = service.get("/");
    assert!(status == 200 && page.contains("<title>Overview"), "{status}: {page}");
    assert_eq!(service.get("/api/v1/dashboard?zone=Europe/Atlantis").0, 400);

    // The session continues while the service runs.
    File::options().append(true).open(&transcript).unwrap().write_all(line(2, 2).as_bytes()).unwrap();
    service.wait_for(42);
    let (status, health) = service.get("/api/v1/health");
    // Not the overall state: the disk of the machine may be nearly full.
    let answers = r#"{"probe":"connectivity","state":"healthy""#;
    assert!(status == 200 && health.contains(answers), "{status}: {health}");
    let (_, metrics) = service.get("/metrics");
    assert!(metrics.lines().any(|line| line == "bridge_tokens_stored_total 42"), "{metrics}");
    service.stop_with("INT");

    // The client deletes its transcripts; the store keeps their counts.
    fs::remove_file(&transcript).unwrap();
    let service = Service::start(folder.path());
    assert_eq!(service.tokens(), 42);
    service.stop_with("TERM");
}
