//! Whatever comes in on the engine's port, with or without a password, the engine lives and serves others.
//!
//! `BRIDGE_HOSTILE_CONNECTIONS` sets the number of generated connections, which cycle through the kinds.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bridge_embedded::{Endpoint, Engine};

use crate::support::{ask_as, folder, leave, query, start};

const CONNECTIONS: usize = 600;

/// End of a hostile connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// With an orderly close at once.
    Close,
    /// With a reset at once.
    Reset,
    /// With nothing more to send, and the answer read.
    HalfClose,
    /// With a reset after this number of response bytes.
    ResetAfter(usize),
}

/// A kind of hostile connection: the bytes sent, and its end.
struct Kind {
    name: &'static str,
    bytes: Vec<u8>,
    end: End,
}

fn kind(name: &'static str, bytes: impl Into<Vec<u8>>, end: End) -> Kind {
    Kind { name, bytes: bytes.into(), end }
}

/// Those that need no password.
fn strangers() -> Vec<Kind> {
    let writer = "X-ClickHouse-User: bridge_writer\r\n";
    let mut kinds = Vec::new();
    for end in [End::Close, End::Reset, End::HalfClose, End::ResetAfter(1)] {
        let texts: [(&str, String); 24] = [
            ("404 with body cut", "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc".into()),
            ("403 with body cut", format!("POST / HTTP/1.1\r\n{writer}Content-Length: 100\r\n\r\nabc")),
            ("403 complete", format!("POST / HTTP/1.1\r\n{writer}Content-Length: 8\r\n\r\nSELECT 1")),
            ("pipelined", "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50)),
            ("pipelined 404", "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50)),
            ("pipelined 403", format!("GET /?query=SELECT HTTP/1.1\r\n{writer}\r\n").repeat(50)),
            ("length negative", format!("POST / HTTP/1.1\r\n{writer}Content-Length: -5\r\n\r\nSELECT 1")),
            (
                "length twice",
                "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef".into(),
            ),
            (
                "length huge",
                format!("POST / HTTP/1.1\r\n{writer}Content-Length: 99999999999999999999\r\n\r\nx"),
            ),
            ("length large", format!("POST / HTTP/1.1\r\n{writer}Content-Length: 9999999999\r\n\r\nx")),
            (
                "chunks of garbage",
                format!("POST / HTTP/1.1\r\n{writer}Transfer-Encoding: chunked\r\n\r\nzz\r\nab"),
            ),
            ("chunk cut", format!("POST / HTTP/1.1\r\n{writer}Transfer-Encoding: chunked\r\n\r\nff\r\nab")),
            ("chunk negative", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n".into()),
            (
                "length and chunks",
                "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            ),
            ("cut in the head", "GET /ping HTTP/1.1\r\nHost: 127.0".into()),
            ("cut in the first line", "GE".into()),
            ("HTTP/0.9", "GET /ping\r\n".into()),
            ("HTTP/9.9", "GET /ping HTTP/9.9\r\n\r\n".into()),
            ("HEAD", format!("HEAD / HTTP/1.1\r\n{writer}\r\n")),
            ("OPTIONS", "OPTIONS * HTTP/1.1\r\nOrigin: http://x\r\n\r\n".into()),
            ("TRACE", "TRACE / HTTP/1.1\r\n\r\n".into()),
            ("percent", format!("GET /?query=%zz%%%1 HTTP/1.1\r\n{writer}\r\n")),
            (
                "expects",
                format!("POST / HTTP/1.1\r\n{writer}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"),
            ),
            ("upgrade", "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n".into()),
        ];
        kinds.extend(texts.map(|(name, text)| kind(name, text, end)));
        kinds.push(kind("TLS", *b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", end));
        kinds.push(kind("NUL", vec![0; 5000], end));
        kinds.push(kind("NUL in a field", *b"GET /ping HTTP/1.1\r\nX: a\0b\r\n\r\n", end));
        kinds.push(kind("nothing", Vec::new(), end));
    }
    let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 1 << 20], b"\r\n\r\n"].concat();
    kinds.push(kind("1 MB head", long, End::Close));
    kinds
}

/// Those that have a password and go away in the middle.
fn users(endpoint: &Endpoint) -> Vec<Kind> {
    let auth = format!(
        "X-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\n",
        endpoint.writer.user, endpoint.writer.password
    );
    let select = |sql: &str| format!("POST / HTTP/1.1\r\n{auth}Content-Length: {}\r\n\r\n{sql}", sql.len());
    let insert = "/?query=INSERT%20INTO%20bridge.hostile%20FORMAT%20TabSeparated";
    let rows = "7\n".repeat(60_000);
    let mut kinds = Vec::new();
    for end in [End::Close, End::Reset, End::HalfClose, End::ResetAfter(1), End::ResetAfter(200_000)] {
        kinds.push(kind("answer", select("SELECT number FROM numbers(10000000)"), end));
        kinds.push(kind("small answer", select("SELECT 1"), end));
        kinds.push(kind("error", select("SELECT nothing FROM nowhere"), end));
        kinds.push(kind(
            "late error",
            select("SELECT throwIf(number = 3000000) FROM numbers(10000000)"),
            end,
        ));
        kinds.push(kind("long answer", select("SELECT number FROM numbers(1000000000000)"), end));
        kinds.push(kind("pipelined answers", select("SELECT number FROM numbers(10000)").repeat(10), end));
        let mut chunks = format!("POST {insert} HTTP/1.1\r\n{auth}Transfer-Encoding: chunked\r\n\r\n");
        let _ = write!(chunks, "{:x}\r\n{rows}\r\n{:x}\r\n7\n7", rows.len(), rows.len());
        kinds.push(kind("insert cut in a chunk", chunks.clone(), end));
        kinds.push(kind(
            "insert of a bad chunk",
            chunks.replacen("\r\n7\n7", "\r\n7\n7\n\r\nzz\r\n", 1),
            end,
        ));
        let head = format!("POST {insert} HTTP/1.1\r\n{auth}Content-Length: {}\r\n\r\n", 2 * rows.len());
        kinds.push(kind("insert cut", head + &rows, end));
        let text = format!("POST {insert} HTTP/1.1\r\n{auth}Content-Length: 4\r\n\r\nbad\n");
        kinds.push(kind("insert refused", text, end));
    }
    kinds
}

fn attack(endpoint: &Endpoint, kind: &Kind) {
    let Ok(mut stream) = TcpStream::connect(endpoint.url.strip_prefix("http://").unwrap()) else { return };
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let _ = stream.write_all(&kind.bytes);
    let mut answer = vec![0; 64 << 10];
    match kind.end {
        End::Close => {}
        End::Reset => reset(&stream),
        End::HalfClose => {
            let _ = stream.shutdown(Shutdown::Write);
            let mut left = 4 << 20;
            while let Ok(count @ 1..) = stream.read(&mut answer) {
                left -= count.min(left);
                if left == 0 {
                    break;
                }
            }
        }
        End::ResetAfter(bytes) => {
            let mut left = bytes;
            while left > 0 {
                let wanted = left.min(answer.len());
                match stream.read(&mut answer[..wanted]) {
                    Ok(count @ 1..) => left -= count,
                    _ => break,
                }
            }
            reset(&stream);
        }
    }
}

/// Makes the close of this socket a reset.
#[allow(unsafe_code, reason = "std has no SO_LINGER yet")]
fn reset(stream: &TcpStream) {
    #[repr(C)]
    struct Linger(i32, i32);
    unsafe extern "C" {
        fn setsockopt(fd: i32, level: i32, option: i32, value: *const Linger, length: u32) -> i32;
    }
    let linger = Linger(1, 0);
    // SAFETY: the value outlives the call and has the length that is stated.
    let outcome = unsafe { setsockopt(std::os::fd::AsRawFd::as_raw_fd(stream), 1, 13, &raw const linger, 8) };
    assert_eq!(outcome, 0);
}

fn connections() -> usize {
    std::env::var("BRIDGE_HOSTILE_CONNECTIONS").map_or(CONNECTIONS, |count| count.parse().unwrap())
}

/// Attacks from several threads, with a normal client beside them that must never fail.
fn survive(engine: &Engine, kinds: &[Kind], count: usize) {
    const ATTACKERS: usize = 6;
    let (endpoint, pid) = (engine.endpoint(), engine.engine_pid());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let normal = scope.spawn(|| {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(query(engine, "SELECT count() FROM numbers(10)"), "10");
                asked += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            asked
        });
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|first| {
                scope.spawn(move || {
                    for number in (first..count).step_by(ATTACKERS) {
                        let kind = &kinds[number % kinds.len()];
                        attack(endpoint, kind);
                        assert_eq!(
                            engine.engine_pid(),
                            pid,
                            "died at {number}: {} {:?}",
                            kind.name,
                            kind.end
                        );
                    }
                })
            })
            .collect();
        let outcomes: Vec<_> = attackers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(normal.join().unwrap() > 0);
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
    });
    // What was attacked last may end a moment later.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(engine.engine_pid(), pid, "the engine died after the last attack");
    let log = std::fs::read_to_string(engine.log_path()).unwrap();
    assert!(!log.contains("starting it again"), "{log}");
}

#[test]
fn engine_survives_hostile_unauthenticated_connections() {
    let folder = folder();
    let engine = start(&folder);
    survive(&engine, &strangers(), connections());
    leave(engine);
}

#[test]
fn disconnecting_users_neither_crash_the_engine_nor_leave_half_inserts() {
    let folder = folder();
    let engine = start(&folder);
    query(&engine, "CREATE TABLE bridge.hostile (n UInt64) ENGINE = MergeTree ORDER BY n");
    survive(&engine, &users(engine.endpoint()), connections() / 3);
    assert_eq!(query(&engine, "SELECT count() FROM bridge.hostile"), "0");
    // Nobody computes for clients that are gone.
    crate::support::wait_until("the long queries are canceled", || {
        query(
            &engine,
            "SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%' AND query NOT LIKE '%system%'",
        ) == "0"
    });
    leave(engine);
}

#[test]
fn slow_connections_do_not_block_others() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint();
    let address = endpoint.url.strip_prefix("http://").unwrap();
    let slow: Vec<_> = (0..600)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            let head = format!("POST / HTTP/1.1\r\nX-ClickHouse-User: {}\r\n", endpoint.writer.user);
            let body = "Content-Length: 10\r\n\r\nSEL";
            // It may just have made way for another.
            let _ = stream.write_all(if number % 2 == 0 { head } else { head + body }.as_bytes());
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(query(&engine, "SELECT 1"), "1");
    }
    drop(slow);
    leave(engine);
}

#[test]
fn large_inserts_and_responses_pass_whole() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint();
    query(&engine, "CREATE TABLE bridge.large (n UInt64) ENGINE = MergeTree ORDER BY n");
    let numbers = |answer: &str| answer.lines().map(|line| line.parse::<u64>().unwrap()).sum::<u64>();
    let sql = "SELECT number FROM numbers(3000000)";
    let (_, answer) = ask_as(endpoint, &endpoint.reader, sql).unwrap();
    assert_eq!(numbers(&answer), 3_000_000 * 2_999_999 / 2);
    let insert = format!("INSERT INTO bridge.large FORMAT TabSeparated\n{answer}");
    assert_eq!(ask_as(endpoint, &endpoint.writer, &insert).unwrap(), (200, String::new()));
    assert_eq!(query(&engine, "SELECT count(), sum(n) FROM bridge.large"), "3000000\t4499998500000");
    leave(engine);
}
