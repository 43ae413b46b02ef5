//! The certificate of the service.

use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

use crate::settings::Tls;
use crate::start::Failure;

/// Reads a certificate and its key.
///
/// # Errors
///
/// A file cannot be read, or the two do not go together.
pub fn acceptor(settings: &Tls) -> Result<TlsAcceptor, Failure> {
    let wrong = |file: &std::path::Path, why: &dyn std::fmt::Display| {
        Failure::settings(format!("listen.tls {}: {why}", file.display()))
    };
    let chain = CertificateDer::pem_file_iter(&settings.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&settings.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|error| wrong(&settings.key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&settings.certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&settings.certificate, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
