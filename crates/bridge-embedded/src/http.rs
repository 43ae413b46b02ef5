//! The probe that shows whether an engine answers, over a plain socket.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::endpoint::Credentials;
use crate::lock::Deadline;
use crate::proof::ProofKey;

/// Limit of each step but the query: the supervisor answers a challenge at once, even while its engine starts.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Limit of a response.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

/// Returns whether this engine's supervisor listens on the port and its engine answers a query of this user. The
/// password is sent only after the peer has proved to be the supervisor.
pub(crate) fn answers(port: u16, user: &Credentials, key: &ProofKey, deadline: &Deadline) -> bool {
    let query = format!(
        "GET /?query=SELECT%201 HTTP/1.0\r\nX-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\n\r\n",
        user.user, user.password
    );
    let asked = connect_proven(port, key).and_then(|stream| {
        // The rest of the start's time: on a busy machine the first query takes seconds, and giving it up to send
        // another one would add to the very load that delays it.
        stream.set_read_timeout(Some(deadline.left().max(TIMEOUT)))?;
        ask(stream, &query)
    });
    asked.is_ok_and(|body| body == "1\n")
}

/// Connects, and verifies that the peer knows the key.
fn connect_proven(port: u16, key: &ProofKey) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let challenge = key.challenge().map_err(io::Error::other)?;
    stream.write_all(&challenge.request())?;
    let mut received = Vec::new();
    let mut bytes = [0; 512];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend(bytes.get(..count).unwrap_or_default()),
        }
        match challenge.verify(&received) {
            Some(true) => return Ok(stream),
            Some(false) => return Err(io::ErrorKind::PermissionDenied.into()),
            None => {}
        }
    }
}

/// Returns the body of a successful response.
fn ask(mut stream: TcpStream, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let ok = head.split(' ').nth(1) == Some("200");
    if ok { Ok(body.to_owned()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::TcpListener;
    use std::thread;

    use crate::sha256;

    fn read_head(stream: &mut TcpStream) -> String {
        let (mut head, mut byte) = (String::new(), [0]);
        while !head.ends_with("\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(char::from(byte[0]));
        }
        head
    }

    #[test]
    fn slow_first_query_has_the_rest_of_the_start() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let key = ProofKey::generate().unwrap();
        let secret = key.expose().to_owned();
        let supervisor = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let head = read_head(&mut stream);
            let nonce = head.split(['=', ' ']).nth(2).unwrap().to_owned();
            let proof = sha256::hex(&sha256::hmac(secret.as_bytes(), nonce.as_bytes()));
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{proof}", proof.len()).unwrap();
            read_head(&mut stream);
            thread::sleep(TIMEOUT + Duration::from_millis(500));
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n1\n").unwrap();
        });
        let user = Credentials { user: "me".to_owned(), password: "secret".to_owned() };
        assert!(answers(port, &user, &key, &Deadline::after(Duration::from_secs(30))));
        supervisor.join().unwrap();
    }
}
