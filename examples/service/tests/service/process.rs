//! The service as a process, and requests to it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Polls for up to 50 seconds, longer than any step takes.
pub(crate) const POLLS_MAX: u32 = 500;
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(100);
pub(crate) const TOKEN: &str = "0123456789abcdef";

pub(crate) struct Service {
    pub(crate) process: Child,
    pub(crate) url: String,
}

impl Service {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::of(&mut command(folder))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http"), "the service prints its address: {line:?}");
        Self { process, url: line.trim().to_owned() }
    }

    pub(crate) fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    pub(crate) fn get(&self, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        request(&mut stream, path, headers)
    }

    pub(crate) fn wait_for(&self, tokens: u64, headers: &str) {
        for _ in 0..POLLS_MAX {
            if total(&self.get("/api/v1/totals", headers)) == Some(tokens) {
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        panic!("not {tokens} tokens: {}", self.get("/api/v1/totals", headers).body);
    }

    /// Ends the service as Ctrl-C (`INT`) or a service manager (`TERM`) does.
    pub(crate) fn end_with(self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        self.wait_for_end();
    }

    pub(crate) fn wait_for_end(mut self) {
        for _ in 0..POLLS_MAX {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        panic!("the service does not end");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Cleans up after a failed test; otherwise the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn request(stream: &mut (impl Read + Write), path: &str, headers: &str) -> Answer {
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    write!(stream, "GET {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n").unwrap();
    let mut response = Vec::new();
    // A TLS connection may end without a goodbye.
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

pub(crate) fn total(answer: &Answer) -> Option<u64> {
    let totals: Value = serde_json::from_str(&answer.body).ok()?;
    let text = totals.pointer("/tokens/total").or_else(|| totals.pointer("/totals/tokens/total"))?;
    text.as_str()?.parse().ok()
}

pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_token-bridge"));
    command
        .current_dir(folder)
        .env("ETB_SOURCES_PATHS", folder.join("projects"))
        // The health of a service in a test does not depend on how full the machine's disk is.
        .env("ETB_MONITORING_DISK_FREE_MIN", "0%");
    command
}

pub(crate) fn line(id: u32, output: u32) -> String {
    format!(
        r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_{id:024}","stop_reason":"end_turn","usage":{{"output_tokens":{output}}}}}}}"#
    ) + "\n"
}

/// Creates a folder with the settings, and one transcript of 40 tokens.
pub(crate) fn prepare(settings: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = "bridge_config.yaml";
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(config), folder.path().join(config)).unwrap();
    fs::write(folder.path().join("service.toml"), settings).unwrap();
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    let transcript = folder.path().join("projects/p/s.jsonl");
    fs::create_dir_all(transcript.parent().unwrap()).unwrap();
    fs::write(&transcript, line(1, 40)).unwrap();
    (folder, transcript)
}

pub(crate) const ANY_PORT: &str = "[listen]\naddress = \"127.0.0.1:0\"\n";
