//! An HTTP gateway before a database that demands a header of its own, and a token that may expire.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// Passes a request on where it has the demanded header, with the database's credentials in its place, and answers 401
/// otherwise. On 127.0.0.1 with a port chosen by the system; stops when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    host: String,
    demanded: Arc<Mutex<String>>,
    heads: Arc<Mutex<Vec<String>>>,
    accept_task: AbortHandle,
}

/// A database behind a gateway.
#[derive(Debug, Clone)]
struct Upstream {
    host: String,
    user: String,
    password: String,
}

impl Gateway {
    /// Starts a gateway for this `HOST:PORT`, whose requests must have this header (`authorization: Bearer a`).
    ///
    /// # Errors
    /// Fails if no port is available.
    pub async fn before(host: &str, user: &str, password: &str, header: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let upstream =
            Upstream { host: host.to_owned(), user: user.to_owned(), password: password.to_owned() };
        let host = listener.local_addr()?.to_string();
        let demanded = Arc::new(Mutex::new(header.to_owned()));
        let heads = Arc::default();
        let accept_task = tokio::spawn(accept(listener, upstream, Arc::clone(&demanded), Arc::clone(&heads)))
            .abort_handle();
        Ok(Self { host, demanded, heads, accept_task })
    }

    /// Returns the gateway's `HOST:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Demands another header from now on.
    pub fn demand(&self, header: &str) {
        header.clone_into(&mut self.demanded.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns the heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accept_task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Upstream,
    demanded: Arc<Mutex<String>>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(serve(client, upstream.clone(), Arc::clone(&demanded), Arc::clone(&heads)));
    }
}

/// Serves one request: the connection ends with its answer.
async fn serve(
    mut client: TcpStream,
    upstream: Upstream,
    demanded: Arc<Mutex<String>>,
    heads: Arc<Mutex<Vec<String>>>,
) -> io::Result<()> {
    let (head, rest) = read_head(&mut client).await?;
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let demanded = demanded.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if !head.lines().any(|line| line.eq_ignore_ascii_case(&demanded)) {
        let refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        client.write_all(refusal).await?;
        // The rest of the request is read, so that the refusal is not lost with a reset.
        client.shutdown().await?;
        while client.read(&mut [0; 4096]).await? > 0 {}
        return Ok(());
    }
    let mut database = TcpStream::connect(&upstream.host).await?;
    database.write_all(rewritten(&head, &upstream).as_bytes()).await?;
    database.write_all(&rest).await?;
    tokio::io::copy_bidirectional(&mut client, &mut database).await?;
    Ok(())
}

/// Returns the head of a request without its empty line, and what was read behind it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&read[..end]).into_owned(), rest));
        }
        if client.read_buf(&mut read).await? == 0 || read.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Replaces the credentials, and has the database end the connection behind its answer: each request is checked.
fn rewritten(head: &str, upstream: &Upstream) -> String {
    let is_kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["authorization", "connection", "x-clickhouse-user", "x-clickhouse-key"].contains(&&*name)
    };
    let kept: Vec<_> = head.split("\r\n").filter(is_kept).collect();
    let Upstream { user, password, .. } = upstream;
    format!(
        "{}\r\nX-ClickHouse-User: {user}\r\nX-ClickHouse-Key: {password}\r\nConnection: close\r\n\r\n",
        kept.join("\r\n")
    )
}
