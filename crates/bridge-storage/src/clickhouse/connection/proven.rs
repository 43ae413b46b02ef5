//! Connections whose other side must prove that it is the database before anything else is sent.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_service::Service;

use super::locate::GuardConnection;

/// Connects and checks. It works below HTTP, so no request can bypass it.
#[derive(Clone)]
pub(crate) struct ProvenConnector {
    inner: HttpConnector,
    guard: Arc<dyn GuardConnection>,
    /// The time limit of the check.
    limit: Duration,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl ProvenConnector {
    pub(crate) fn new(inner: HttpConnector, guard: Arc<dyn GuardConnection>, limit: Duration) -> Self {
        Self { inner, guard, limit }
    }
}

impl<Target> Service<Target> for ProvenConnector
where
    HttpConnector: Service<Target, Response = TokioIo<TcpStream>>,
    <HttpConnector as Service<Target>>::Error: Into<BoxError>,
    <HttpConnector as Service<Target>>::Future: Send + 'static,
{
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let (connecting, guard, limit) = (self.inner.call(target), Arc::clone(&self.guard), self.limit);
        Box::pin(async move {
            let mut connection = connecting.await.map_err(Into::into)?;
            match tokio::time::timeout(limit, check(connection.inner_mut(), guard.as_ref())).await {
                Ok(checked) => checked?,
                Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
            Ok(connection)
        })
    }
}

async fn check(stream: &mut TcpStream, guard: &dyn GuardConnection) -> io::Result<()> {
    let challenge = guard.challenge()?;
    stream.write_all(&challenge.request()).await?;
    let (mut received, mut bytes) = (Vec::new(), [0; 512]);
    loop {
        match stream.read(&mut bytes).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(bytes.get(..count).unwrap_or_default()),
        }
        match challenge.verify(&received) {
            Some(true) => return Ok(()),
            Some(false) => {
                let why = "the server at this address is not the database";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            None => {}
        }
    }
}
