//! The relay between real sockets and a fake engine.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use super::{Access, Relay};
use crate::sha256::{hex, sha256};

const LIMIT: Duration = Duration::from_secs(10);
const USER: &str = "X-ClickHouse-User: me\r\nX-ClickHouse-Key: secret\r\n";

struct Stage {
    port: u16,
    engine: UnixListener,
    _folder: tempfile::TempDir,
}

fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let (access, socket) = (folder.path().join("access"), folder.path().join("socket"));
    std::fs::write(&access, format!("proof key\nuser me {}\n", hex(&sha256(b"secret")))).unwrap();
    let engine = UnixListener::bind(&socket).unwrap();
    let public = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = public.local_addr().unwrap().port();
    Relay::new(Access::read(&access).unwrap(), socket).serve(public).unwrap();
    Stage { port, engine, _folder: folder }
}

impl Stage {
    fn send(&self, text: &str) -> TcpStream {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        client
    }

    /// Accepts the relay's connection as the engine does.
    fn accept(&self) -> UnixStream {
        let mut stream = self.engine.accept().unwrap().0;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(b"+").unwrap();
        stream
    }

    /// Returns whether no connection has reached the engine.
    fn engine_is_untouched(&self) -> bool {
        self.engine.set_nonblocking(true).unwrap();
        let untouched = self.engine.accept().is_err();
        self.engine.set_nonblocking(false).unwrap();
        untouched
    }
}

/// Reads until the text ends with `end`.
fn read_until(stream: &mut impl Read, end: &str) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "ended after {text:?}");
        text.push(char::from(byte[0]));
    }
    text
}

fn read_all(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn malformed_requests_never_reach_the_engine() {
    let stage = stage();
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(300 << 10));
    for (text, status) in [
        ("POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc", "404"),
        ("GET / HTTP/1.1\r\nX-ClickHouse-User: you\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\nX-ClickHouse-User: me\r\nContent-Length: -1\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nX-ClickHouse-User: me\r\nContent-Length: 70000\r\n\r\n", "413"),
        ("POST / HTTP/1.1\r\nX-ClickHouse-User: me\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("OPTIONS / HTTP/1.1\r\n\r\n", "405"),
        ("\x16\x03\x01", "400"),
        (&long, "431"),
    ] {
        let response = read_all(&mut stage.send(text));
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{text:.60}: {response}");
    }
    assert!(stage.engine_is_untouched());
}

#[test]
fn requests_are_forwarded_whole_and_in_turn() {
    let stage = stage();
    let first = format!("POST /a HTTP/1.1\r\n{USER}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let second = format!("GET /b HTTP/1.1\r\n{USER}\r\n");
    let mut client = stage.send(&(first + &second));
    let mut engine = stage.accept();
    let seen = read_until(&mut engine, "\r\n\r\nabc");
    assert!(seen.starts_with("POST /a HTTP/1.1\r\n") && seen.contains("Content-Length: 3\r\n"), "{seen}");
    engine.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(engine.read(&mut [0]).is_err(), "the second request came before the first one's response");
    engine.set_read_timeout(Some(LIMIT)).unwrap();
    engine.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nA\n").unwrap();
    assert!(read_until(&mut client, "A\n").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(read_until(&mut engine, "\r\n\r\n").starts_with("GET /b "), "on the same connection");
    engine.write_all(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n").unwrap();
    engine.write_all(b"2\r\nB\n\r\n0\r\n\r\n").unwrap();
    drop(engine);
    read_until(&mut client, "2\r\nB\n\r\n0\r\n\r\n");
}

#[test]
fn broken_upload_fails_the_request_and_keeps_the_connection_whole() {
    let stage = stage();
    let body = "x".repeat(100 << 10);
    let client = stage.send(&format!("POST / HTTP/1.1\r\n{USER}Content-Length: 999999\r\n\r\n{body}"));
    let mut engine = stage.accept();
    assert!(read_until(&mut engine, "\r\n\r\n").contains("Transfer-Encoding: chunked"));
    drop(client);
    let seen = read_all(&mut engine);
    assert!(seen.ends_with("\r\nabandoned\r\n") && !seen.contains("\r\n0\r\n"), "it must not look complete");
    // A long response meets no closed connection.
    engine.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    engine.write_all(&vec![b'x'; 1 << 20]).unwrap();
}

#[test]
fn response_to_a_vanished_client_is_drained_and_a_long_query_canceled() {
    let stage = stage();
    let client = stage.send(&format!("GET /?query_id=mine HTTP/1.1\r\n{USER}\r\n"));
    let mut engine = stage.accept();
    read_until(&mut engine, "\r\n\r\n");
    client.shutdown(Shutdown::Both).unwrap();
    drop(client);
    let length = 32 << 20;
    engine.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).unwrap();
    engine.write_all(&vec![b'x'; length]).unwrap();
    let seen = read_until(&mut stage.accept(), "\r\n\r\n");
    assert!(seen.contains("param_id=mine") && seen.contains("KILL%20QUERY") && seen.contains(USER), "{seen}");
}

#[test]
fn request_waits_for_a_restarting_engine() {
    let stage = stage();
    let mut client = stage.send("GET /ping HTTP/1.0\r\n\r\n");
    // The first engine dies before it has accepted; this is the next one.
    std::thread::sleep(Duration::from_millis(300));
    let mut engine = stage.accept();
    read_until(&mut engine, "\r\n\r\n");
    engine
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nOk.\n\r\n0\r\n\r\n")
        .unwrap();
    let response = read_all(&mut client);
    assert!(response.ends_with("\r\n\r\nOk.\n") && !response.contains("chunked"), "{response}");
}
