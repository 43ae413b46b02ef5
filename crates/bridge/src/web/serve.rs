//! An HTTP server that bounds the number and the lifetime of its connections, and shuts down gracefully.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use bridge_analysis::platform::REUSES_ADDRESS;
use bridge_core::Stopwatch;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Maximum number of open connections, below the usual limit of open files. Each serves one request at a time, so this
/// also bounds the concurrent requests.
const CONNECTIONS_MAX: usize = 512;
/// Connections that wait in the kernel's accept queue; the kernel drops or resets further ones.
const BACKLOG: u32 = 4096;
/// Idle time after which a connection may be closed to make room for a new one.
const IDLE_MIN: Duration = Duration::from_secs(3);
/// Interval at which a full server searches for an idle connection to close.
const EVICTION_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum time for receiving a request's head, including the idle time before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum lifetime of a connection, so that a slow reader cannot hold it indefinitely.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(120);
/// Size of a connection's read buffer, which limits a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Grace period for active requests at shutdown.
const GRACE_PERIOD: Duration = Duration::from_secs(2);
/// Delay before accepting again after an error, such as too many open files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Listens on the first usable address that the name (`localhost:8080`, `[::]:80`) resolves to, with a longer queue of
/// connections that wait to be accepted than Tokio's: when [`serve`] is full, new ones wait there.
///
/// # Errors
///
/// The name resolves to no address, or no address can be bound.
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host name resolves to no address");
    for address in tokio::net::lookup_host(address).await? {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Allows a restart while connections of the previous run are in TIME_WAIT.
    socket.set_reuseaddr(REUSES_ADDRESS)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` completes, then closes idle connections and lets active requests finish within two seconds.
///
/// At most 512 connections are open at once. When there are more, the oldest that has been idle for three seconds is
/// closed, so that slow clients do not keep others out; without an idle one, further connections wait. A request's head
/// may have 16 KiB and take ten seconds, and a connection ends after two minutes. A service that wants other limits,
/// HTTP/2 or TLS uses `axum::serve` or hyper, or a proxy in front.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let mut connections = Connections::default();
    let (close, closing) = watch::channel(());
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = connections.accept(&listener) => match accepted {
                Ok(stream) => connections.spawn(stream, router.clone(), closing.clone()),
                Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
            }
        }
    }
    drop((listener, closing));
    // Closes idle connections now, and active ones after their response.
    let _ = close.send(());
    let _ = tokio::time::timeout(GRACE_PERIOD, connections.join_all()).await;
}

/// The open connections, oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: VecDeque<Connection>,
}

struct Connection {
    task: tokio::task::AbortHandle,
    idle: IdleTimer,
}

/// Measures how long a connection has been waiting for a request; `None` while it serves one.
#[derive(Clone)]
struct IdleTimer(Arc<Mutex<Option<Stopwatch>>>);

impl IdleTimer {
    fn start() -> Self {
        Self(Arc::new(Mutex::new(Some(Stopwatch::start()))))
    }

    fn set(&self, idle: Option<Stopwatch>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = idle;
    }

    fn is_expired(&self) -> bool {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.is_some_and(|since| since.elapsed() > IDLE_MIN)
    }
}

impl Connections {
    /// Accepts the next connection once there is room for it; until then it stays in the kernel's queue.
    async fn accept(&mut self, listener: &TcpListener) -> io::Result<TcpStream> {
        while !self.make_room() {
            // Wakes when a connection ends, or when another one may have become idle for long enough.
            let _ = tokio::time::timeout(EVICTION_INTERVAL, self.tasks.join_next()).await;
        }
        listener.accept().await.map(|(stream, _)| stream)
    }

    /// Closes the oldest idle connection if the limit is reached, so that slow clients cannot block others. Returns
    /// `true` if there is room for another connection.
    fn make_room(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        if self.open.len() < CONNECTIONS_MAX {
            return true;
        }
        self.open.retain(|open| !open.task.is_finished());
        if self.open.len() >= CONNECTIONS_MAX
            && let Some(oldest) = self.open.iter().position(|open| open.idle.is_expired())
            && let Some(open) = self.open.remove(oldest)
        {
            open.task.abort();
        }
        self.open.len() < CONNECTIONS_MAX
    }

    fn spawn(&mut self, stream: TcpStream, router: Router, closing: watch::Receiver<()>) {
        let idle = IdleTimer::start();
        let connection = serve_connection(stream, router, idle.clone(), closing);
        let task = self.tasks.spawn(async move {
            // A connection's error concerns only its client, which has gone.
            let _ = tokio::time::timeout(CONNECTION_LIFETIME, connection).await;
        });
        self.open.push_back(Connection { task, idle });
    }

    async fn join_all(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    idle: IdleTimer,
    mut closing: watch::Receiver<()>,
) -> Result<(), hyper::Error> {
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let (service, idle) = (service.clone(), idle.clone());
        async move {
            idle.set(None);
            let response = hyper::service::Service::call(&service, request).await;
            idle.set(Some(Stopwatch::start()));
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        outcome = connection.as_mut() => return outcome,
        _ = closing.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
