//! Temporary data folders, other programs that use them, and queries over HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bridge_core::Stopwatch;
use bridge_embedded::{Credentials, Endpoint, Engine, EngineOptions, Shutdown};
use tempfile::TempDir;

/// No wait of these tests takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

const OTHER_PROGRAM_FOLDER: &str = "BRIDGE_TEST_OTHER_PROGRAM_FOLDER";

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn start(folder: &TempDir) -> Engine {
    Engine::start(&EngineOptions::at(folder.path())).unwrap()
}

/// Ends a test: the engine must stop with this handle.
pub(crate) fn leave(engine: Engine) {
    assert_eq!(engine.close(LIMIT), Shutdown::Stopped);
}

pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while !condition() {
        assert!(watch.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns whether the process runs. A zombie does not, even if it is never reaped.
pub(crate) fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

pub(crate) fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// Sends a query with these headers; returns the status and the body.
pub(crate) fn ask(
    endpoint: &Endpoint,
    headers: &[(&str, &str)],
    sql: &str,
) -> std::io::Result<(u16, String)> {
    let address = endpoint.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "POST / HTTP/1.0\r\n{headers}Content-Length: {}\r\n\r\n{sql}", sql.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()))
}

pub(crate) fn ask_as(endpoint: &Endpoint, user: &Credentials, sql: &str) -> std::io::Result<(u16, String)> {
    ask(endpoint, &[("X-ClickHouse-User", &user.user), ("X-ClickHouse-Key", &user.password)], sql)
}

/// Returns the response to a query of the writer that must succeed.
pub(crate) fn query(engine: &Engine, sql: &str) -> String {
    let endpoint = engine.endpoint();
    let (status, body) = ask_as(endpoint, &endpoint.writer, sql).unwrap();
    assert_eq!(status, 200, "{sql}: {body}");
    body.trim_end().to_owned()
}

/// Another program that uses the engine of a folder until it is stopped or killed.
pub(crate) struct OtherProgram {
    pub(crate) child: Child,
    /// The supervisor and the engine that it uses.
    pub(crate) supervisor: u32,
    pub(crate) engine: u32,
}

impl OtherProgram {
    pub(crate) fn spawn(folder: &Path) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "support::subprocess_using_the_engine", "--ignored", "--nocapture"])
            .env(OTHER_PROGRAM_FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until the program uses an engine.
    pub(crate) fn ready(mut child: Child) -> Self {
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let line = lines.map(Result::unwrap).find(|line| line.contains("USES ")).unwrap();
        let pids: Vec<u32> =
            line.split_once("USES ").unwrap().1.split(' ').map(|pid| pid.parse().unwrap()).collect();
        Self { child, supervisor: pids[0], engine: pids[1] }
    }

    pub(crate) fn leave(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Uses an engine until its standard input ends.
#[test]
#[ignore = "not a test: the entry point of `OtherProgram`, which names a folder"]
fn subprocess_using_the_engine() {
    let Some(folder) = std::env::var_os(OTHER_PROGRAM_FOLDER) else { return };
    let engine = Engine::start(&EngineOptions::at(Path::new(&folder))).unwrap();
    let (supervisor, pid) = (engine.supervisor_pid().unwrap(), engine.engine_pid().unwrap());
    writeln!(std::io::stdout(), "USES {supervisor} {pid}").unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
