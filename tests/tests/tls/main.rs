//! TLS to the database: which certificates the bridge trusts. A proxy with a generated certificate terminates TLS,
//! because the embedded engine does not support it.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "tests panic on errors")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use bridge::config::{BridgeConfig, BuildError};
use bridge::storage::{ResponseFilter, UpsertOptions};
use bridge::{ResponseKey, ResponseUsage, SessionId, Timestamp};
use bridge_testkit::engine::{TestDatabase, engine};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate authority, with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns the server side of TLS with a certificate for `localhost`.
    fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Starts a TLS proxy for the engine and returns its port.
    async fn proxy(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = self.acceptor();
        let upstream = TestDatabase::of_this_test().host();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    let mut server = TcpStream::connect(upstream).await.unwrap();
                    // Either side may close the connection at any time.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        port
    }
}

fn config(url: &str, ca_file: Option<PathBuf>) -> BridgeConfig {
    let mut config = BridgeConfig::default();
    let writer = &engine().endpoint().writer;
    config.clickhouse.url = Some(url.to_owned());
    config.clickhouse.database = TestDatabase::of_this_test().name;
    config.clickhouse.user.clone_from(&writer.user);
    config.clickhouse.password = Some(bridge::config::Secret::new(&writer.password));
    config.clickhouse.tls_ca_file = ca_file;
    config.clickhouse.limits.retry.max_retries = 0;
    // Without files in the user's folder of state.
    config.audit.spool_bytes_max = 0;
    config
}

/// Builds a bridge that must fail, and returns the error with its causes.
async fn build_error(config: BridgeConfig) -> String {
    let error: BuildError = config.build().await.unwrap_err();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_custom_ca_is_trusted() {
    let authority = Authority::new();
    let url = format!("https://localhost:{}", authority.proxy().await);
    let bridge = config(&url, Some(authority.file())).build().await.unwrap();
    let row = ResponseUsage::new(ResponseKey(1), SessionId::new("s").unwrap(), Timestamp::MIN);
    bridge.token_store().upsert(&[row], &UpsertOptions::default()).await.unwrap();
    assert_eq!(bridge.token_store().totals(&ResponseFilter::default()).await.unwrap().responses, 1);
}

#[tokio::test]
async fn other_authorities_and_host_names_are_rejected() {
    let authority = Authority::new();
    let port = authority.proxy().await;
    let url = format!("https://localhost:{port}");
    // Neither the system's authorities nor another one issued the certificate.
    let other = Authority::new();
    for ca_file in [None, Some(other.file())] {
        let error = build_error(config(&url, ca_file)).await;
        assert!(error.contains("certificate"), "{error}");
    }
    // The certificate does not cover this name.
    let error = build_error(config(&format!("https://127.0.0.1:{port}"), Some(authority.file()))).await;
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_reported_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let error = build_error(config("https://localhost:1", Some(file))).await;
    assert!(error.contains("ca.pem: it holds no certificate in PEM form"), "{error}");
}
