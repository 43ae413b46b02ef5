//! The service as a process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use bridge::Stopwatch;
use bridge::embedded::Endpoint;

/// Time within which the service ends.
const END: Duration = Duration::from_secs(20);

pub(crate) struct Service {
    process: Child,
    address: String,
}

impl Service {
    /// Starts the service on the database behind this address.
    pub(crate) fn start(folder: &Path, database: &str, endpoint: &Endpoint) -> Self {
        let config = format!(
            "enhanced_token_bridge:\n  clickhouse:\n    url: http://{database}\n    database: {}\n    user: {}\n  \
             sources:\n    paths: [{}]\n    host_name: soak\n  audit:\n    spool_dir: {}\n",
            endpoint.database,
            endpoint.writer.user,
            folder.join("projects").display(),
            folder.join("spool").display(),
        );
        fs::write(folder.join("bridge_config.yaml"), config).unwrap();
        fs::write(folder.join("reader"), &endpoint.reader.password).unwrap();
        let settings = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[reader]\nuser = \"{}\"\npassword_file = \"reader\"\n",
            endpoint.reader.user
        );
        fs::write(folder.join("service.toml"), settings).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_token-bridge"))
            .current_dir(folder)
            .env("ETB_CLICKHOUSE_PASSWORD", &endpoint.writer.password)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        let address = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("it starts: {}", log()));
        Self { process, address: address.to_owned() }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// The resident memory of the process.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// The metrics, summed over their labels.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let mut metrics = BTreeMap::new();
        for (series, value) in answer.lines().filter_map(|line| line.rsplit_once(' ')) {
            let name = series.split('{').next().unwrap_or(series);
            *metrics.entry(name.to_owned()).or_default() += value.parse().unwrap_or(0.0);
        }
        metrics
    }

    /// Ends the service as a service manager does.
    pub(crate) fn end(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let asked = Stopwatch::start();
        while self.is_running() {
            assert!(asked.elapsed() < END, "the service does not end");
            thread::sleep(Duration::from_millis(50));
        }
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Cleans up after a failed test; otherwise the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Kills a process that can do nothing about it.
pub(crate) fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
}
