//! The database, the network in front of it, and the configuration of the connection.

use std::fs;
use std::path::Path;

use bridge::config::BridgeConfig;
use bridge_embedded::{Endpoint, Engine, EngineOptions, Shutdown};
use bridge_testkit::proxy::{Fault, FaultProxy};
use tempfile::TempDir;

use crate::day::DEADLINE;

/// A dedicated engine, because losing its network may make it restart.
pub(crate) struct Server {
    engine: Engine,
    network: FaultProxy,
    /// The operator's files.
    folder: TempDir,
}

impl Server {
    pub(crate) async fn started() -> Self {
        let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
        let upstream = engine.endpoint().url.strip_prefix("http://").unwrap();
        let network = FaultProxy::before(upstream).await.unwrap();
        Self { engine, network, folder: tempfile::tempdir().unwrap() }
    }

    /// Writes `bridge_config.yaml` and the password file, and loads the configuration.
    pub(crate) fn configuration(&self, transcripts: &Path) -> BridgeConfig {
        let Endpoint { writer, .. } = self.engine.endpoint();
        let (config, password) =
            (self.folder.path().join("bridge_config.yaml"), self.folder.path().join("password"));
        fs::write(&password, format!("{}\n", writer.password)).unwrap();
        let yaml = format!(
            r#"
enhanced_token_bridge:
  clickhouse:
    url: "http://{host}"
    database: test_operators_day
    table_prefix: etb_
    user: "{user}"
    password_file: "{password}"
    connection_timeout: 5s
    retry_attempts: 1
    circuit_failures: 2
    circuit_open_for: 2s
    circuit_open_for_max: 2s
  sources:
    paths: ["{transcripts}"]
    host_name: workstation
  processing:
    strict: true
  monitoring:
    sync_lag_max: 30m
    error_rate_max: 5%
    error_rate_window: 10m
    disk_free_min: 0%
  audit:
    spool_dir: "{spool}"
"#,
            host = self.network.host(),
            user = writer.user,
            password = password.display(),
            transcripts = transcripts.display(),
            spool = self.folder.path().join("audit").display(),
        );
        fs::write(&config, yaml).unwrap();
        BridgeConfig::from_yaml_file(&config).unwrap()
    }

    pub(crate) fn goes_away(&self) {
        self.network.set(Fault::Closed);
    }

    pub(crate) fn comes_back(&self) {
        self.network.set(Fault::None);
    }

    pub(crate) fn ends(self) {
        assert_eq!(self.engine.close(DEADLINE), Shutdown::Stopped);
    }
}
