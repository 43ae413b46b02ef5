//! Runs the example programs, built once, each with its own home folder and a deadline.
//!
//! All functions panic on errors.
#![allow(clippy::unwrap_used, reason = "tests panic on errors")]

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use bridge_core::Stopwatch;
use cargo_metadata::Message;
use serde_json::Value;
use tempfile::TempDir;

use crate::workspace;

/// Exceeds the duration of every run, also on slow machines.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);
const BUILD_TIMEOUT: Duration = Duration::from_secs(1800);

/// A program to run.
#[derive(Debug)]
pub struct Run {
    command: Command,
    _home: TempDir,
}

/// The result of a run.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` if a signal ended the process.
    pub code: Option<i32>,
    /// Content of stdout.
    pub stdout: String,
    /// Content of stderr.
    pub stderr: String,
    /// Observed peak memory; 0 if the system does not report it.
    pub peak_memory_bytes: u64,
}

/// Prepares a run of `backfill` with these arguments.
pub fn backfill<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    example("backfill", arguments)
}

/// Prepares a run of this example with these arguments.
pub fn example<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Run {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(executable(name));
    command.args(arguments).env("HOME", home.path()).current_dir(home.path());
    for name in [
        "CLAUDE_CONFIG_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "USERPROFILE",
        "ETB_CLICKHOUSE_PASSWORD",
    ] {
        command.env_remove(name);
    }
    // Shares the downloaded engine, although the home folder is new.
    command.env("BRIDGE_ENGINE_CACHE", engine_cache());
    Run { command, _home: home }
}

fn engine_cache() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("BRIDGE_ENGINE_CACHE").unwrap_or_else(|| {
        let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        caches.expect("HOME is set").join("enhanced-token-bridge")
    })
}

impl Run {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Returns the run's home folder.
    pub fn home(&self) -> &Path {
        self._home.path()
    }

    /// Runs the program and waits until it exits.
    pub fn run(mut self) -> Finished {
        run_within(&mut self.command, RUN_TIMEOUT)
    }

    /// Starts the program.
    pub fn spawn(mut self) -> Running {
        let Self { command, _home } = &mut self;
        let (child, stdout, stderr) = start(command);
        Running { child, stdout, stderr, _run: self }
    }
}

/// A running program.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub child: Child,
    stdout: File,
    stderr: File,
    _run: Run,
}

impl Running {
    /// Sends this signal (`TERM`, `INT`) to the process.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success(), "the process has already exited");
    }

    /// Waits until the program exits.
    pub fn finish(mut self) -> Finished {
        finish(&mut self.child, self.stdout, self.stderr, RUN_TIMEOUT)
    }
}

impl Finished {
    /// Parses stdout as one JSON object.
    pub fn json(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert!(value.is_object(), "{self:?}");
        value
    }

    /// Returns stdout and stderr.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Examples that the tests run.
const EXAMPLES: [&str; 3] = ["backfill", "backup", "tour"];

/// Builds the examples once, with this test's profile, and returns the path of one. Builds the whole workspace, as
/// `cargo test --workspace` does, so that nothing is compiled twice.
pub fn executable(example: &str) -> &'static PathBuf {
    static EXECUTABLES: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(|| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--workspace", "--message-format", "json-render-diagnostics"]);
        command.args(EXAMPLES.map(|name| ["--example", name]).as_flattened());
        command.args(if cfg!(debug_assertions) { &[][..] } else { &["--release"][..] });
        command.arg("--target-dir").arg(workspace::target_dir()).current_dir(workspace::root());
        let built = run_within(&mut command, BUILD_TIMEOUT);
        assert_eq!(built.code, Some(0), "{}", built.stderr);
        let messages = Message::parse_stream(built.stdout.as_bytes()).map(Result::unwrap);
        let executables = messages.filter_map(|message| match message {
            Message::CompilerArtifact(artifact) => Some((artifact.target.name, artifact.executable?.into())),
            _ => None,
        });
        executables.collect()
    });
    EXECUTABLES.get(example).expect("cargo reports the built examples")
}

/// Runs a program. Kills it and panics if it exceeds the time limit.
pub fn run_within(command: &mut Command, limit: Duration) -> Finished {
    let (mut child, stdout, stderr) = start(command);
    finish(&mut child, stdout, stderr, limit)
}

fn start(command: &mut Command) -> (Child, File, File) {
    let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command.stdin(Stdio::null()).stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
    (command.spawn().unwrap(), stdout, stderr)
}

fn finish(child: &mut Child, stdout: File, stderr: File, limit: Duration) -> Finished {
    let (status, peak_memory_bytes) = wait(child, limit);
    let text = |mut file: File| {
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    let Some(status) = status else { panic!("timed out after {limit:?}\n{stdout}\n{stderr}") };
    Finished { code: status.code(), stdout, stderr, peak_memory_bytes }
}

/// Returns the exit status, `None` if the process had to be killed, and its peak memory.
fn wait(child: &mut Child, limit: Duration) -> (Option<ExitStatus>, u64) {
    let (stopwatch, mut peak) = (Stopwatch::start(), 0);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (Some(status), peak);
        }
        if stopwatch.elapsed() > limit {
            child.kill().and_then(|()| child.wait()).unwrap();
            return (None, peak);
        }
        peak = peak.max(peak_memory_bytes(child.id()).unwrap_or(0));
        thread::sleep(Duration::from_millis(2));
    }
}

fn peak_memory_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
