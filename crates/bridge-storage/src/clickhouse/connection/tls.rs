//! TLS to the server, by rustls.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bridge_core::BridgeError;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::clickhouse::options::ClickHouseOptions;

/// The trusted certificates, and the sessions to resume.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings(Arc<ClientConfig>);

impl TlsSettings {
    pub(crate) fn new(options: &ClickHouseOptions) -> Result<Self, BridgeError> {
        let config = match &options.ca_file {
            Some(file) => roots(file).and_then(|roots| Ok(builder()?.with_root_certificates(roots))),
            None => builder().and_then(ConfigBuilderExt::with_native_roots),
        };
        let config = config.map_err(|error| options.misconfigured("use TLS", error.into()))?;
        Ok(Self(Arc::new(config.with_no_client_auth())))
    }

    pub(crate) fn connector(&self, mut http: HttpConnector) -> HttpsConnector<HttpConnector> {
        http.enforce_http(false);
        let config = ClientConfig::clone(&self.0);
        HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().wrap_connector(http)
    }
}

fn builder() -> io::Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    builder.with_safe_default_protocol_versions().map_err(io::Error::other)
}

/// Returns the certificates of the file and no others: a private CA replaces the public ones.
fn roots(file: &Path) -> io::Result<RootCertStore> {
    let unusable = |why: &dyn std::fmt::Display| io::Error::other(format!("{}: {why}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"it holds no certificate in PEM form")) } else { Ok(roots) }
}
