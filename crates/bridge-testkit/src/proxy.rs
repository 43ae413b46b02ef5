//! A network that fails on command: a TCP proxy between a client and its server.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Everything passes.
    None,
    /// Connections are closed as soon as they are made, those that stand too.
    Closed,
    /// Connections are taken and nothing passes in either direction.
    Silent,
    /// A connection is cut when this many bytes of requests have passed on it.
    CutRequestAfter(u64),
    /// Requests pass; a connection is cut when the first byte of an answer comes.
    CutAnswer,
    /// So many requests pass from now on, whatever the connection; then everything is cut.
    CutAfterRequests(u64),
    /// The same, and of the last of them the answer is cut off.
    CutLastAnswerOf(u64),
    /// The request of this number, from 0 on, does not reach the server: it gets this answer instead.
    AnswerInstead(u64, &'static str),
}

/// A proxy on 127.0.0.1 with a port chosen by the system. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    host: String,
    fault: watch::Sender<Fault>,
    cuts: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
    noted: Arc<Mutex<Vec<String>>>,
    accepting: AbortHandle,
}

impl FaultProxy {
    /// A proxy before this `HOST:PORT`, with no fault yet. Runs on the current runtime.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn before(upstream: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let host = listener.local_addr()?.to_string();
        let (fault, faults) = watch::channel(Fault::None);
        let cuts = Arc::new(AtomicU64::new(0));
        let requests = Arc::new(AtomicU64::new(0));
        let noted = Arc::default();
        let network = Network {
            upstream: upstream.to_owned(),
            faults,
            requests: Arc::clone(&requests),
            noted: Arc::clone(&noted),
        };
        let accepting = tokio::spawn(accept(listener, network, Arc::clone(&cuts)));
        Ok(Self { host, fault, cuts, requests, noted, accepting: accepting.abort_handle() })
    }

    /// `HOST:PORT` of the proxy.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// From now on the network does this, on connections that stand too.
    pub fn set(&self, fault: Fault) {
        self.requests.store(0, Ordering::Relaxed);
        self.fault.send_replace(fault);
    }

    /// The first lines of the HTTP requests that came so far, with the queries' settings.
    pub fn requests(&self) -> Vec<String> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were cut or closed by a fault so far.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What all connections share.
#[derive(Clone)]
struct Network {
    upstream: String,
    faults: watch::Receiver<Fault>,
    /// Since the fault was set.
    requests: Arc<AtomicU64>,
    /// The first line of each.
    noted: Arc<Mutex<Vec<String>>>,
}

impl Network {
    /// Notes a request where one begins: a client waits for an answer before it sends the next.
    fn note(&self, content: &[u8]) {
        if content.starts_with(b"POST ") || content.starts_with(b"GET ") {
            let first = content.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let first = String::from_utf8_lossy(first).into_owned();
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(first);
        }
    }
}

async fn accept(listener: TcpListener, network: Network, cuts: Arc<AtomicU64>) {
    // Connections end with the proxy: the set aborts them when it is dropped.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (network, cuts) = (network.clone(), Arc::clone(&cuts));
        connections.spawn(async move {
            if matches!(pass(client, network).await, Ok(End::Cut)) {
                cuts.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// How a connection ended.
enum End {
    ByItself,
    Cut,
}

async fn pass(mut client: TcpStream, network: Network) -> io::Result<End> {
    let mut faults = network.faults.clone();
    // A client of a closed network is not even connected to the server.
    if *faults.borrow() == Fault::Closed {
        return Ok(End::Cut);
    }
    let mut server = TcpStream::connect(&network.upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut requested = 0;
    // The number of the request that is answered next.
    let mut turn = None;
    loop {
        let fault = *faults.borrow_and_update();
        if fault == Fault::Closed {
            return Ok(End::Cut);
        }
        let passing = fault != Fault::Silent;
        tokio::select! {
            // A fault goes before what has come meanwhile: nothing passes after it was set.
            biased;
            changed = faults.changed() => if changed.is_err() {
                return Ok(End::ByItself);
            },
            read = client.read(&mut request), if passing => {
                let mut length = read?;
                if length == 0 {
                    return Ok(End::ByItself);
                }
                let turn = *turn.get_or_insert_with(|| network.requests.fetch_add(1, Ordering::Relaxed));
                if matches!(fault, Fault::CutAfterRequests(limit) | Fault::CutLastAnswerOf(limit) if turn >= limit) {
                    return Ok(End::Cut);
                }
                network.note(&request[..length]);
                if let Fault::AnswerInstead(number, answer) = fault && turn == number {
                    client.write_all(answer.as_bytes()).await?;
                    client.shutdown().await?;
                    // Closing with bytes unread would reset the connection and take the answer back.
                    while client.read(&mut request).await? > 0 {}
                    return Ok(End::Cut);
                }
                if let Fault::CutRequestAfter(limit) = fault {
                    length = length.min(usize::try_from(limit.saturating_sub(requested)).unwrap_or(length));
                }
                server.write_all(&request[..length]).await?;
                requested += length as u64;
                if matches!(fault, Fault::CutRequestAfter(limit) if requested >= limit) {
                    return Ok(End::Cut);
                }
            }
            read = server.read(&mut answer), if passing => {
                let length = read?;
                if length == 0 {
                    return Ok(End::ByItself);
                }
                let answered = turn.take();
                let is_last = |limit: u64| answered.is_some_and(|turn| turn + 1 == limit);
                if fault == Fault::CutAnswer || matches!(fault, Fault::CutLastAnswerOf(limit) if is_last(limit)) {
                    return Ok(End::Cut);
                }
                client.write_all(&answer[..length]).await?;
            }
        }
    }
}
