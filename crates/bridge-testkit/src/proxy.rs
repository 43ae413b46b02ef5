//! A TCP proxy between a client and its server that injects network faults.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The fault that the proxy injects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Forwards everything.
    None,
    /// Closes open connections, and new ones immediately.
    Closed,
    /// Accepts connections but forwards nothing in either direction.
    Silent,
    /// Cuts a connection after forwarding this many bytes of its requests.
    CutRequestAfter(u64),
    /// Forwards requests, and cuts the connection at the first byte of an answer.
    CutAnswer,
    /// Forwards this many requests over all connections, then cuts every connection that sends another one.
    CutAfterRequests(u64),
    /// Like `CutAfterRequests`, and also cuts the answer to the last forwarded request.
    CutLastAnswerOf(u64),
    /// Sends this answer instead of forwarding the request with this number, counted from 0.
    AnswerInstead(u64, &'static str),
}

/// A proxy on 127.0.0.1 with a port chosen by the system. Stops when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    host: String,
    fault: watch::Sender<Fault>,
    cuts: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
    request_lines: Arc<Mutex<Vec<String>>>,
    accept_task: AbortHandle,
}

impl FaultProxy {
    /// Starts a proxy for this `HOST:PORT` on the current runtime, initially without a fault.
    ///
    /// # Errors
    /// Fails if no port is available.
    pub async fn before(upstream: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let host = listener.local_addr()?.to_string();
        let (fault, faults) = watch::channel(Fault::None);
        let cuts = Arc::new(AtomicU64::new(0));
        let requests = Arc::new(AtomicU64::new(0));
        let request_lines = Arc::default();
        let network = Network {
            upstream: upstream.to_owned(),
            faults,
            requests: Arc::clone(&requests),
            request_lines: Arc::clone(&request_lines),
        };
        let accept_task = tokio::spawn(accept(listener, network, Arc::clone(&cuts)));
        let accept_task = accept_task.abort_handle();
        Ok(Self { host, fault, cuts, requests, request_lines, accept_task })
    }

    /// Returns the proxy's `HOST:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sets the fault, also for open connections, and restarts the count of requests.
    pub fn set(&self, fault: Fault) {
        self.requests.store(0, Ordering::Relaxed);
        self.fault.send_replace(fault);
    }

    /// Returns the request lines of all HTTP requests so far, which contain the queries' settings.
    pub fn requests(&self) -> Vec<String> {
        self.request_lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the number of connections that were cut or closed by a fault.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accept_task.abort();
    }
}

/// State shared by all connections.
#[derive(Clone)]
struct Network {
    upstream: String,
    faults: watch::Receiver<Fault>,
    /// Number of requests since the fault was set.
    requests: Arc<AtomicU64>,
    request_lines: Arc<Mutex<Vec<String>>>,
}

impl Network {
    /// Records the request line if the content begins a request. Clients do not pipeline requests, so a request always
    /// begins a read.
    fn record_request(&self, content: &[u8]) {
        if content.starts_with(b"POST ") || content.starts_with(b"GET ") {
            let first = content.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let first = String::from_utf8_lossy(first).into_owned();
            self.request_lines.lock().unwrap_or_else(PoisonError::into_inner).push(first);
        }
    }
}

async fn accept(listener: TcpListener, network: Network, cuts: Arc<AtomicU64>) {
    // Dropping the set with the proxy aborts all connections.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (network, cuts) = (network.clone(), Arc::clone(&cuts));
        connections.spawn(async move {
            if matches!(forward(client, network).await, Ok(End::Cut)) {
                cuts.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// The reason why a connection ended.
enum End {
    ByPeer,
    Cut,
}

async fn forward(mut client: TcpStream, network: Network) -> io::Result<End> {
    let mut faults = network.faults.clone();
    // Cuts the client before connecting to the server.
    if *faults.borrow() == Fault::Closed {
        return Ok(End::Cut);
    }
    let mut server = TcpStream::connect(&network.upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut forwarded_bytes = 0;
    // Number of the request that is being forwarded or answered.
    let mut current = None;
    loop {
        let fault = *faults.borrow_and_update();
        if fault == Fault::Closed {
            return Ok(End::Cut);
        }
        let forwarding = fault != Fault::Silent;
        tokio::select! {
            // Checks for a new fault first, so that nothing is forwarded after it was set.
            biased;
            changed = faults.changed() => if changed.is_err() {
                return Ok(End::ByPeer);
            },
            read = client.read(&mut request), if forwarding => {
                let mut length = read?;
                if length == 0 {
                    return Ok(End::ByPeer);
                }
                let request_number =
                    *current.get_or_insert_with(|| network.requests.fetch_add(1, Ordering::Relaxed));
                if matches!(
                    fault,
                    Fault::CutAfterRequests(limit) | Fault::CutLastAnswerOf(limit) if request_number >= limit
                ) {
                    return Ok(End::Cut);
                }
                network.record_request(&request[..length]);
                if let Fault::AnswerInstead(number, answer) = fault && request_number == number {
                    client.write_all(answer.as_bytes()).await?;
                    client.shutdown().await?;
                    // Closing a connection with unread bytes would reset it and discard the answer.
                    while client.read(&mut request).await? > 0 {}
                    return Ok(End::Cut);
                }
                if let Fault::CutRequestAfter(limit) = fault {
                    length = length.min(usize::try_from(limit.saturating_sub(forwarded_bytes)).unwrap_or(length));
                }
                server.write_all(&request[..length]).await?;
                forwarded_bytes += length as u64;
                if matches!(fault, Fault::CutRequestAfter(limit) if forwarded_bytes >= limit) {
                    return Ok(End::Cut);
                }
            }
            read = server.read(&mut answer), if forwarding => {
                let length = read?;
                if length == 0 {
                    return Ok(End::ByPeer);
                }
                let answered = current.take();
                let is_last = |limit: u64| answered.is_some_and(|number| number + 1 == limit);
                if fault == Fault::CutAnswer || matches!(fault, Fault::CutLastAnswerOf(limit) if is_last(limit)) {
                    return Ok(End::Cut);
                }
                client.write_all(&answer[..length]).await?;
            }
        }
    }
}
