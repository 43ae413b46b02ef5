//! The connections: few at a time, none for long, and gone soon after the service is asked to end.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use bridge::Stopwatch;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Fewer than a process may have files open. A connection has one request at a time, so this bounds those, too.
const CONNECTIONS_MAX: usize = 512;
/// So many more wait with the system; it resets some of those beyond.
const BACKLOG: u32 = 4096;
/// A connection that has waited so long for a request gives way to a new one where all are taken.
const PATIENCE: Duration = Duration::from_secs(3);
/// So often it is seen whether one has.
const LOOK: Duration = Duration::from_millis(50);
/// So long a client may take for the head of a request, and be idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// So long a connection lives, whatever is done on it: who reads an answer slowly does not keep it for ever.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(120);
/// The head of a request, and what is buffered of one.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// So long requests under way may take when the service ends.
const GRACE: Duration = Duration::from_secs(2);
/// A pause where the system has no more connections to give.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Listens at an address, of which a host's name may stand for several.
pub(crate) async fn listen(address: &str) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host(address).await? {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart does not wait for connections of the last run to be forgotten.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `ended`, and then for as long as requests under way take, up to a limit.
pub(crate) async fn serve(listener: TcpListener, router: Router, ended: impl Future<Output = ()>) {
    let mut connections = Connections::default();
    let (closing, closed) = watch::channel(());
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => break,
            accepted = connections.accept(&listener) => match accepted {
                Ok(stream) => connections.admit(stream, router.clone(), closed.clone()),
                Err(_) => tokio::time::sleep(EXHAUSTED_PAUSE).await,
            }
        }
    }
    drop((listener, closed));
    // Idle connections close at this, busy ones after their answer.
    let _ = closing.send(());
    let _ = tokio::time::timeout(GRACE, connections.ended()).await;
}

/// The open connections, the oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: VecDeque<Open>,
}

struct Open {
    task: tokio::task::AbortHandle,
    waiting: Waiting,
}

/// Since when a connection has waited for a request; for nothing while one is answered.
#[derive(Clone)]
struct Waiting(Arc<Mutex<Option<Stopwatch>>>);

impl Waiting {
    fn begin() -> Self {
        Self(Arc::new(Mutex::new(Some(Stopwatch::start()))))
    }

    fn set(&self, waiting: Option<Stopwatch>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    fn is_long(&self) -> bool {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_some_and(|since| since.elapsed() > PATIENCE)
    }
}

impl Connections {
    /// Accepts the next connection as soon as there is room for it; until then it waits with the system.
    async fn accept(&mut self, listener: &TcpListener) -> io::Result<TcpStream> {
        while !self.has_room() {
            // Whichever comes first: one ends by itself, or has waited long enough.
            let _ = tokio::time::timeout(LOOK, self.tasks.join_next()).await;
        }
        listener.accept().await.map(|(stream, _)| stream)
    }

    /// Where all are taken, the oldest one that only waits gives way: slow clients hold up nobody.
    fn has_room(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        if self.open.len() < CONNECTIONS_MAX {
            return true;
        }
        self.open.retain(|open| !open.task.is_finished());
        if self.open.len() >= CONNECTIONS_MAX
            && let Some(oldest) = self.open.iter().position(|open| open.waiting.is_long())
            && let Some(open) = self.open.remove(oldest)
        {
            open.task.abort();
        }
        self.open.len() < CONNECTIONS_MAX
    }

    fn admit(&mut self, stream: TcpStream, router: Router, closed: watch::Receiver<()>) {
        let waiting = Waiting::begin();
        let connection = serve_connection(stream, router, waiting.clone(), closed);
        let task = self.tasks.spawn(async move {
            // Whatever ends a connection, nobody is there to hear of it.
            let _ = tokio::time::timeout(CONNECTION_LIFETIME, connection).await;
        });
        self.open.push_back(Open { task, waiting });
    }

    async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    waiting: Waiting,
    mut closed: watch::Receiver<()>,
) -> Result<(), hyper::Error> {
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let (service, waiting) = (service.clone(), waiting.clone());
        async move {
            waiting.set(None);
            let answer = hyper::service::Service::call(&service, request).await;
            waiting.set(Some(Stopwatch::start()));
            answer
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
        _ = closed.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Ends on Ctrl-C, and on SIGTERM where there is one.
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        // Without a handler there is no signal to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
