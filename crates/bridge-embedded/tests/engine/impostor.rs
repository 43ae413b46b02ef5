//! The port and the passwords while the engine or its supervisor is down.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bridge_core::Stopwatch;

use crate::support::{ask_as, folder, kill, leave, query, runs, start, wait_until};

#[test]
fn port_stays_bound_and_requests_wait_during_a_restart() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint().clone();
    let address = endpoint.url.strip_prefix("http://").unwrap();
    for _ in 0..3 {
        let killed = engine.engine_pid().unwrap();
        kill(killed, "-KILL");
        let mut asked = 0;
        while engine.engine_pid() == Some(killed) || asked < 5 {
            assert!(TcpListener::bind(address).is_err(), "the port is free");
            // One that the engine had may be cut; one that comes later waits for the next engine.
            if !runs(killed) {
                assert_eq!(ask_as(&endpoint, &endpoint.writer, "SELECT 1").unwrap(), (200, "1\n".into()));
                asked += 1;
            }
        }
    }
    leave(engine);
}

#[test]
fn impostor_on_the_port_gets_no_password() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint().clone();
    let address = endpoint.url.strip_prefix("http://").unwrap().to_owned();
    let supervisor = engine.supervisor_pid().unwrap();
    kill(supervisor, "-KILL");
    let mut bound = None;
    wait_until("the port is free", || {
        bound = TcpListener::bind(&address).ok();
        bound.is_some()
    });
    let impostor = bound.unwrap();
    impostor.set_nonblocking(true).unwrap();
    // A program that comes now finds the endpoint file and the impostor's port.
    let path = folder.path().to_owned();
    let starting = std::thread::spawn(move || {
        bridge_embedded::Engine::start(&bridge_embedded::EngineOptions::at(path)).unwrap()
    });
    let watch = Stopwatch::start();
    let mut heard = Vec::new();
    while !starting.is_finished() {
        assert!(watch.elapsed() < crate::support::LIMIT);
        if let Ok((mut stream, _)) = impostor.accept() {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap_or(0);
            heard.extend_from_slice(&bytes[..count]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n");
            let _ = stream.write_all(&[b'0'; 64]);
            let count = stream.read(&mut bytes).unwrap_or(0);
            heard.extend_from_slice(&bytes[..count]);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let fresh = starting.join().unwrap();
    let heard = String::from_utf8_lossy(&heard);
    assert!(!heard.contains(&endpoint.writer.password) && !heard.contains("X-ClickHouse"), "{heard}");
    assert_ne!(fresh.endpoint().url, endpoint.url);
    assert_eq!(query(&fresh, "SELECT 1"), "1");
    drop(engine);
    leave(fresh);
}

#[test]
fn only_this_supervisor_answers_a_challenge() {
    let (one, other) = (folder(), folder());
    let (engine, stranger) = (start(&one), start(&other));
    let verdict = |url: &str, key: &bridge_embedded::ProofKey| {
        let challenge = key.challenge().unwrap();
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(&challenge.request()).unwrap();
        let (mut received, mut bytes) = (Vec::new(), [0; 256]);
        loop {
            let count = stream.read(&mut bytes).unwrap();
            received.extend_from_slice(&bytes[..count]);
            if let Some(verdict) = challenge.verify(&received) {
                return verdict;
            }
        }
    };
    let (ours, theirs) = (engine.endpoint(), stranger.endpoint());
    assert!(verdict(&ours.url, &ours.proof_key));
    assert!(!verdict(&theirs.url, &ours.proof_key));
    leave(engine);
    leave(stranger);
}
