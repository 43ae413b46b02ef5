//! The two questions that show whether an engine is alive, asked over a plain socket.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::endpoint::Credentials;

const TIMEOUT: Duration = Duration::from_secs(3);
/// More than the answers to these questions ever are.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

/// Whether an engine listens on the port and answers a query of this user.
pub(crate) fn answers(port: u16, user: &Credentials) -> bool {
    let ping = "GET /ping HTTP/1.0\r\n\r\n";
    let query = format!(
        "GET /?query=SELECT%201 HTTP/1.0\r\nX-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\n\r\n",
        user.user, user.password
    );
    ask(port, ping).is_ok_and(|body| body == "Ok.\n") && ask(port, &query).is_ok_and(|body| body == "1\n")
}

/// The body of a successful answer.
fn ask(port: u16, request: &str) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let ok = head.split(' ').nth(1) == Some("200");
    if ok { Ok(body.to_owned()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
