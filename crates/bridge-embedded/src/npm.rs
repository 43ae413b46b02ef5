//! Installs the pinned package with npm, with progress and a timeout.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lock::Deadline;
use crate::version::ENGINE_PACKAGE;
use crate::{EngineError, EngineEvent, EngineOptions};

const MANIFEST: &str = include_str!("../npm/package.json");
const LOCK: &str = include_str!("../npm/package-lock.json");
const LINES_KEPT: usize = 12;
const LINE_BYTES_MAX: u64 = 4096;

/// Installs the pinned package into the new folder `folder`. npm verifies the pinned hash.
pub(crate) fn install(
    folder: &Path,
    options: &EngineOptions,
    observer: &mut dyn FnMut(EngineEvent),
) -> Result<(), EngineError> {
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(folder.join("package.json"), MANIFEST))
        .and_then(|()| fs::write(folder.join("package-lock.json"), LOCK))
        .map_err(EngineError::io("write", folder))?;
    let mut npm = Command::new(&options.npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--prefer-offline"])
        .args(["--no-update-notifier", "--loglevel=error"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => EngineError::NpmMissing { program: options.npm.clone() },
            _ => EngineError::io("run", &options.npm)(error),
        })?;
    let errors = npm.stderr.take().map(read_last_lines);
    let status = watch(&mut npm, folder, options, observer);
    let last_lines = match (&status, errors) {
        // A killed npm may have children that hold its standard error open, so it is not joined then.
        (Ok(_), Some(errors)) => errors.join().unwrap_or_default(),
        _ => String::new(),
    };
    let status = status?;
    if status.success() {
        return Ok(());
    }
    if last_lines.contains("ENOSPC") {
        return Err(EngineError::DiskFull { path: folder.to_owned() });
    }
    Err(EngineError::NpmFailed { status, last_lines })
}

/// Waits for npm, reporting progress once a second.
fn watch(
    npm: &mut Child,
    folder: &Path,
    options: &EngineOptions,
    observer: &mut dyn FnMut(EngineEvent),
) -> Result<ExitStatus, EngineError> {
    let deadline = Deadline::after(options.fetch_timeout);
    let mut next_report = Duration::from_secs(1);
    loop {
        if let Some(status) = npm.try_wait().map_err(EngineError::io("wait for", &options.npm))? {
            return Ok(status);
        }
        if deadline.elapsed() >= next_report {
            next_report += Duration::from_secs(1);
            let bytes = unpacked_bytes(folder);
            observer(EngineEvent::FetchProgress { bytes, elapsed: deadline.elapsed() });
        }
        if !deadline.pause() {
            // It may have exited just now; it is reaped either way.
            let _ = npm.kill();
            let _ = npm.wait();
            return Err(EngineError::NpmTimedOut { after: deadline.limit() });
        }
    }
}

/// Returns the number of bytes that npm has unpacked, into a folder with a random name next to the final one.
fn unpacked_bytes(folder: &Path) -> u64 {
    let scope = ENGINE_PACKAGE.split('/').next().unwrap_or_default();
    let packages = fs::read_dir(folder.join("node_modules").join(scope)).into_iter().flatten().flatten();
    packages
        .flat_map(|package| fs::read_dir(package.path()).into_iter().flatten().flatten())
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len())
        .sum()
}

/// Collects the last lines of a stream on a thread.
fn read_last_lines(stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut lines = VecDeque::new();
        let mut line = Vec::new();
        while reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            if lines.len() > LINES_KEPT {
                lines.pop_front();
            }
            line.clear();
        }
        Vec::from(lines).join("\n")
    })
}
