//! The service as a user runs it: a process, its configuration, its transcripts, and a browser's requests.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
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
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn tokens(&self) -> u64 {
        let (status, body) = self.get("/tokens?zone=Europe/Berlin&step=Month");
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

    /// As Ctrl-C does.
    fn interrupt(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
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

#[test]
fn it_serves_what_stands_in_the_transcripts_and_keeps_it_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("bridge_config.yaml"),
        folder.path().join("bridge_config.yaml"),
    )
    .unwrap();
    let transcript = folder.path().join("projects/p/s.jsonl");
    fs::create_dir_all(transcript.parent().unwrap()).unwrap();
    fs::write(&transcript, line(1, 40)).unwrap();

    let service = Service::start(folder.path());
    service.wait_for(40);
    let (status, page) = service.get("/");
    assert!(status == 200 && page.contains("/tokens?zone="), "{status}: {page}");
    assert_eq!(service.get("/tokens?zone=Europe/Atlantis").0, 400);

    // The session goes on while it runs.
    File::options().append(true).open(&transcript).unwrap().write_all(line(2, 2).as_bytes()).unwrap();
    service.wait_for(42);
    let (status, health) = service.get("/health");
    assert!(status == 200 && health.contains(r#""overall":"healthy""#), "{status}: {health}");
    let (_, metrics) = service.get("/metrics");
    assert!(metrics.lines().any(|line| line == "bridge_tokens_stored_total 42"), "{metrics}");
    service.interrupt();

    // The client deletes its transcripts; the store has them.
    fs::remove_file(&transcript).unwrap();
    let service = Service::start(folder.path());
    assert_eq!(service.tokens(), 42);
    service.interrupt();
}
