//! Who is admitted, and by which names.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::process::{ANY_PORT, Service, TOKEN, prepare, request};

#[test]
fn unknown_hosts_are_refused_and_every_answer_has_a_strict_policy() {
    let (folder, _) = prepare(&format!("{ANY_PORT}names = [\"tokens.example\"]\n"));
    let service = Service::start(folder.path());
    for path in ["/", "/status", "/api/v1/totals", "/health/ready", "/metrics", "/missing"] {
        let refused = service.get(path, "Host: evil.example\r\n");
        assert_eq!(refused.status, 421, "{path}");
        let own = service.get(path, "Host: tokens.example\r\n");
        assert_ne!(own.status, 421, "{path}");
        for answer in [refused, own] {
            for header in [
                "content-security-policy: default-src 'none'",
                "x-content-type-options: nosniff",
                "x-frame-options: deny",
            ] {
                assert!(answer.head.contains(header), "{path}: {}", answer.head);
            }
        }
    }
    service.end_with("TERM");
}

#[test]
fn a_token_is_needed_by_everything_but_probes() {
    let (folder, _) = prepare(&format!("{ANY_PORT}token_file = \"token\"\n"));
    let service = Service::start(folder.path());
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    // `me:0123456789abcdef`, as a browser sends it.
    let basic = "Authorization: Basic bWU6MDEyMzQ1Njc4OWFiY2RlZg==\r\n";
    service.wait_for(40, &bearer);
    for path in ["/", "/status", "/api/v1/totals", "/metrics", "/assets/page.js", "/missing"] {
        for wrong in ["", "Authorization: Bearer 0123456789abcdeF\r\n", "Authorization: Basic eDp5\r\n"] {
            let answer = service.get(path, wrong);
            assert!(
                answer.status == 401 && answer.head.contains("www-authenticate: basic"),
                "{path}: {}",
                answer.head
            );
            assert!(!answer.body.contains("40"), "{path}: {}", answer.body);
        }
        let answer = service.get(path, "");
        assert!(!answer.head.contains("strict-transport-security"), "{}", answer.head);
        let admitted = [&*bearer, basic].map(|header| service.get(path, header).status);
        assert!(!admitted.contains(&401), "{path}: {admitted:?}");
    }
    assert_eq!(service.get("/health/live", "").status, 200);
    let metrics = service.get("/metrics", &bearer).body;
    for (reason, refused) in [("no_token", 12), ("wrong_token", 12)] {
        let expected = format!("service_refused_requests_total{{reason=\"{reason}\"}} {refused}\n");
        assert!(metrics.contains(&expected), "{metrics}");
    }
    service.end_with("TERM");
}

#[test]
fn tls_serves_others_with_the_token() {
    use std::sync::Arc;

    use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    let settings = "[listen]\naddress = \"0.0.0.0:0\"\ntoken_file = \"token\"\n\
                    tls = { certificate = \"certificate.pem\", key = \"key.pem\" }\n";
    let (folder, _) = prepare(settings);
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.path().join("certificate.pem"), certificate.cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    let service = Service::start(folder.path());
    assert!(service.url.starts_with("https://0.0.0.0:"), "{}", service.url);
    let port = service.url.rsplit_once(':').unwrap().1;

    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Arc::new(client);
    let get = |headers: &str| {
        let connection = ClientConnection::new(Arc::clone(&client), "localhost".try_into().unwrap()).unwrap();
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        request(&mut StreamOwned::new(connection, stream), "/api/v1/totals", headers)
    };
    let refused = get("");
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("strict-transport-security: max-age="), "{}", refused.head);
    let answer = get(&format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Without TLS nothing is served.
    let mut plain = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    service.end_with("TERM");
}

#[test]
fn behind_a_proxy_only_it_and_this_machine_are_served() {
    // Known, because the printed address is that of the proxy.
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let of = |addresses: &str| {
        prepare(&format!(
            "[listen]\naddress = \"0.0.0.0:{port}\"\ntoken_file = \"token\"\nproxy = \"tokens.example\"\n\
             proxy_addresses = [\"{addresses}\"]\n"
        ))
    };
    // The address that this machine has for others; no packet is sent. Without a network there is none.
    let own = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = own.connect("192.0.2.1:9").and_then(|()| own.local_addr()).map(|address| address.ip()).ok();
    let headers = format!("Host: tokens.example\r\nAuthorization: Bearer {TOKEN}\r\n");
    for (addresses, is_admitted) in [("203.0.113.0/24", false), ("0.0.0.0/0", true)] {
        let (folder, _) = of(addresses);
        let service = Service::start(folder.path());
        assert_eq!(service.url, "https://tokens.example");
        let answers = |host: &str| {
            let mut stream = TcpStream::connect(format!("{host}:{port}")).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let asked = write!(stream, "GET /health/live HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
            let mut answer = Vec::new();
            let _ = asked.and_then(|()| stream.read_to_end(&mut answer));
            answer.starts_with(b"HTTP/1.1 200")
        };
        assert!(answers("127.0.0.1"), "{addresses}");
        if let Some(own) = own.filter(|own| !own.is_loopback()) {
            assert_eq!(answers(&own.to_string()), is_admitted, "{own} of {addresses}");
        }
        service.end_with("TERM");
    }
}
