//! The relay in front of the service's server where others can reach it: terminates TLS, and refuses peers that are not
//! the proxy. The bytes are passed on to a port of this machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, sink, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::settings::Network;

/// Maximum number of connections at once; further ones wait in the kernel's queue. Each has three files: here, to the server
/// and in the server. Together they stay below the usual limit of open files.
const CONNECTIONS_MAX: usize = 256;
/// Maximum time of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum lifetime of a connection, also if its client reads nothing. Longer than that of the server's connections.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(130);
/// Time in which a client may read the end of an answer and close its side, after the server closed its own.
const LINGER: Duration = Duration::from_secs(1);
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
    /// Accepts connections, and passes what they hold on to the inner address. A connection ends when its server closes it.
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
                        tracing::warn!(%peer, "connection refused: not in listen.proxy_addresses (logged once)");
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

async fn pass_on(outer: impl AsyncRead + AsyncWrite, inner: SocketAddr) -> io::Result<()> {
    let inner = TcpStream::connect(inner).await?;
    tokio::time::timeout(CONNECTION_LIFETIME, copy_until_closed(outer, inner))
        .await
        .map_err(io::Error::other)?
}

/// Copies until the server closes its side. The client's side alone may stay open for as long as the client likes.
async fn copy_until_closed(outer: impl AsyncRead + AsyncWrite, mut inner: TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_client) = split(outer);
    let (mut from_server, mut to_server) = inner.split();
    let requests = async {
        // However it ends: the server closes its side when no further request can come.
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
        std::future::pending::<io::Result<()>>().await
    };
    let answers = async {
        copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::select! {
        closed = answers => closed?,
        closed = requests => closed?,
    }
    // Closing with unread data would reset the connection, and the client could lose the end of the answer.
    let _ = tokio::time::timeout(LINGER, copy(&mut from_client, &mut sink())).await;
    Ok(())
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    /// Starts a relay in front of a server that does this with each connection, and returns the relay's address.
    async fn relay_of<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> (Relay, SocketAddr) {
        let [outer, inner] = [0; 2].map(|port| TcpListener::bind(("127.0.0.1", port)));
        let (outer, inner) = (outer.await.unwrap(), inner.await.unwrap());
        let (address, inner_address) = (outer.local_addr().unwrap(), inner.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = inner.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        let entrance = Entrance { acceptor: None, proxy_addresses: Arc::default() };
        (Relay::start(outer, entrance, inner_address), address)
    }

    #[tokio::test]
    async fn connections_that_the_server_closed_make_room_although_their_clients_keep_them() {
        let (_relay, address) = relay_of(async |mut stream| stream.write_all(b"x").await.unwrap()).await;
        let mut kept = Vec::new();
        for number in 0..=CONNECTIONS_MAX {
            let mut client = TcpStream::connect(address).await.unwrap();
            let answer = tokio::time::timeout(DEADLINE, client.read_u8()).await;
            assert_eq!(answer.unwrap_or_else(|_| panic!("connection {number} waits")).unwrap(), b'x');
            kept.push(client);
        }
    }

    #[tokio::test]
    async fn a_client_that_ends_its_side_receives_the_whole_answer() {
        let (_relay, address) = relay_of(async |mut stream| {
            let mut request = Vec::new();
            stream.read_to_end(&mut request).await.unwrap();
            stream.write_all(&request.repeat(1_000_000)).await.unwrap();
        })
        .await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"abc").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(DEADLINE, client.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer.len(), 3_000_000);
    }

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
