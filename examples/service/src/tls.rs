//! Terminates TLS and forwards to a loopback port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

use crate::settings::Tls;
use crate::start::Failure;

/// Maximum number of connections at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// Maximum time of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Delay before accepting again after an error, such as too many open files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

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

/// Terminates TLS until it is dropped.
#[derive(Debug)]
pub struct Terminator(JoinHandle<()>);

impl Terminator {
    /// Accepts connections, and passes what they hold on to the inner address, whose server bounds size and time.
    #[must_use]
    pub fn start(outer: TcpListener, acceptor: TlsAcceptor, inner: SocketAddr) -> Self {
        Self(tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            loop {
                let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
                let Ok((stream, _)) = outer.accept().await else {
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    continue;
                };
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // An error concerns only its client.
                    let _ = pass_on(stream, &acceptor, inner).await;
                    drop(place);
                });
            }
        }))
    }
}

async fn pass_on(stream: TcpStream, acceptor: &TlsAcceptor, inner: SocketAddr) -> std::io::Result<()> {
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
    let mut outer = handshake.await.map_err(std::io::Error::other)??;
    let mut inner = TcpStream::connect(inner).await?;
    copy_bidirectional(&mut outer, &mut inner).await.map(drop)
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.0.abort();
    }
}
