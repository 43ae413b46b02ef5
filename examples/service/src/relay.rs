//! The relay in front of the service's server where others can reach it: terminates TLS, and refuses peers that are not the
//! proxy. The bytes are passed on to a port of this machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::settings::Network;

/// Maximum number of connections at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// Maximum time of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Delay before accepting again after an error, such as too many open files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Who is admitted, and how.
#[derive(Clone)]
pub struct Entrance {
    /// Ends TLS, if there is a certificate.
    pub acceptor: Option<TlsAcceptor>,
    /// The addresses of the proxy; all are admitted if there are none.
    pub proxy_addresses: Arc<[Network]>,
}

impl Entrance {
    /// Returns whether the server can be reached directly: nothing is to be ended or refused.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.acceptor.is_none() && self.proxy_addresses.is_empty()
    }

    fn admits(&self, peer: IpAddr) -> bool {
        let proxies = &self.proxy_addresses;
        proxies.is_empty()
            || peer.to_canonical().is_loopback()
            || proxies.iter().any(|network| network.contains(peer))
    }
}

/// Relays connections until it is dropped.
#[derive(Debug)]
pub struct Relay(JoinHandle<()>);

impl Relay {
    /// Accepts connections, and passes what they hold on to the inner address, whose server bounds size and time.
    #[must_use]
    pub fn start(outer: TcpListener, entrance: Entrance, inner: SocketAddr) -> Self {
        Self(tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            let mut has_refused = false;
            loop {
                let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
                let Ok((stream, peer)) = outer.accept().await else {
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    continue;
                };
                if !entrance.admits(peer.ip()) {
                    // Once: others must not be able to fill the log.
                    if !std::mem::replace(&mut has_refused, true) {
                        let peer = peer.ip().to_canonical();
                        tracing::warn!(%peer, "refused, as it is not in listen.proxy_addresses; further ones are not logged");
                    }
                    continue;
                }
                let acceptor = entrance.acceptor.clone();
                tokio::spawn(async move {
                    // An error concerns only its client.
                    let _ = admit(stream, acceptor, inner).await;
                    drop(place);
                });
            }
        }))
    }
}

async fn admit(stream: TcpStream, acceptor: Option<TlsAcceptor>, inner: SocketAddr) -> io::Result<()> {
    let Some(acceptor) = acceptor else { return pass_on(stream, inner).await };
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
    pass_on(handshake.await.map_err(io::Error::other)??, inner).await
}

async fn pass_on(mut outer: impl AsyncRead + AsyncWrite + Unpin, inner: SocketAddr) -> io::Result<()> {
    let mut inner = TcpStream::connect(inner).await?;
    copy_bidirectional(&mut outer, &mut inner).await.map(drop)
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proxy_and_this_machine_are_admitted() {
        let addresses = ["10.1.0.0/24", "192.0.2.7", "2001:db8::/32"];
        let addresses = addresses.map(|text| Network::try_from(text.to_owned()).unwrap());
        let entrance = Entrance { acceptor: None, proxy_addresses: addresses.into() };
        let admitted = ["10.1.0.9", "192.0.2.7", "::ffff:10.1.0.1", "2001:db8::1", "127.0.0.1", "::1"];
        let refused = ["10.1.1.9", "192.0.2.8", "::ffff:10.2.0.1", "2001:db9::1"];
        let admits = |peer: &&str| entrance.admits(peer.parse().unwrap());
        assert_eq!(admitted.iter().find(|peer| !admits(peer)), None);
        assert_eq!(refused.iter().find(|peer| admits(peer)), None);
        assert!(!entrance.is_open());
    }
}
