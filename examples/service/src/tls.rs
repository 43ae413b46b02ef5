//! The certificate of the service.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

use crate::failure::Failure;
use crate::settings::Tls;

/// Reads a certificate and its key.
///
/// # Errors
///
/// A file cannot be read, or the two do not go together.
pub fn acceptor(settings: &Tls) -> Result<TlsAcceptor, Failure> {
    let about = |file: &Path| format!("listen.tls {}", file.display());
    let wrong_certificate =
        |error: tokio_rustls::rustls::Error| Failure::settings(error).about(about(&settings.certificate));
    let chain = CertificateDer::pem_file_iter(&settings.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| Failure::settings(error).about(about(&settings.certificate)))?;
    let key = PrivateKeyDer::from_pem_file(&settings.key)
        .map_err(|error| Failure::settings(error).about(about(&settings.key)))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(wrong_certificate)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(wrong_certificate)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
