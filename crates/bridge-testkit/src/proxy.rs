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
}

/// A proxy on 127.0.0.1 with a port chosen by the system. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    host: String,
    fault: watch::Sender<Fault>,
    cuts: Arc<AtomicU64>,
    requests: Arc<Mutex<Vec<String>>>,
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
        let requests = Arc::default();
        let line = Line { upstream: upstream.to_owned(), faults, requests: Arc::clone(&requests) };
        let accepting = tokio::spawn(accept(listener, line, Arc::clone(&cuts)));
        Ok(Self { host, fault, cuts, requests, accepting: accepting.abort_handle() })
    }

    /// `HOST:PORT` of the proxy.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// From now on the network does this, on connections that stand too.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// The first lines of the HTTP requests that came so far, with the queries' settings.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

/// What a connection needs to know.
#[derive(Clone)]
struct Line {
    upstream: String,
    faults: watch::Receiver<Fault>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Line {
    /// Notes a request where one begins: a client waits for an answer before it sends the next.
    fn note(&self, content: &[u8]) {
        if content.starts_with(b"POST ") || content.starts_with(b"GET ") {
            let first = content.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let first = String::from_utf8_lossy(first).into_owned();
            self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(first);
        }
    }
}

async fn accept(listener: TcpListener, line: Line, cuts: Arc<AtomicU64>) {
    // Connections end with the proxy: the set aborts them when it is dropped.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (line, cuts) = (line.clone(), Arc::clone(&cuts));
        connections.spawn(async move {
            if matches!(pass(client, line).await, Ok(End::Cut)) {
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

async fn pass(mut client: TcpStream, line: Line) -> io::Result<End> {
    let mut faults = line.faults.clone();
    if *faults.borrow() == Fault::Closed {
        return Ok(End::Cut);
    }
    let mut server = TcpStream::connect(&line.upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut requested = 0;
    loop {
        let fault = *faults.borrow_and_update();
        let passing = fault != Fault::Silent;
        tokio::select! {
            changed = faults.changed() => match changed {
                Ok(()) if *faults.borrow() == Fault::Closed => return Ok(End::Cut),
                Ok(()) => {}
                Err(_) => return Ok(End::ByItself),
            },
            read = client.read(&mut request), if passing => {
                let mut length = read?;
                if length == 0 {
                    return Ok(End::ByItself);
                }
                line.note(&request[..length]);
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
                if fault == Fault::CutAnswer {
                    return Ok(End::Cut);
                }
                client.write_all(&answer[..length]).await?;
            }
        }
    }
}
