//! End-to-end tests: the service as a process with its settings and transcripts, and requests as others send them.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use service::settings::Reader;

/// Polls for up to 50 seconds, longer than any step takes.
const POLLS_MAX: u32 = 500;
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const TOKEN: &str = "0123456789abcdef";

struct Service {
    process: Child,
    url: String,
}

impl Service {
    fn start(folder: &Path) -> Self {
        Self::of(&mut command(folder))
    }

    fn of(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http"), "the service prints its address: {line:?}");
        Self { process, url: line.trim().to_owned() }
    }

    fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    fn get(&self, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        request(&mut stream, path, headers)
    }

    fn wait_for(&self, tokens: u64, headers: &str) {
        for _ in 0..POLLS_MAX {
            if total(&self.get("/api/v1/totals", headers)) == Some(tokens) {
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        panic!("not {tokens} tokens: {}", self.get("/api/v1/totals", headers).body);
    }

    /// Ends the service as Ctrl-C (`INT`) or a service manager (`TERM`) does.
    fn end_with(self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        self.wait_for_end();
    }

    fn wait_for_end(mut self) {
        for _ in 0..POLLS_MAX {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        panic!("the service does not end");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Cleans up after a failed test; otherwise the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn request(stream: &mut (impl Read + Write), path: &str, headers: &str) -> Answer {
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    write!(stream, "GET {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n").unwrap();
    let mut response = Vec::new();
    // A TLS connection may end without a goodbye.
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn total(answer: &Answer) -> Option<u64> {
    let totals: Value = serde_json::from_str(&answer.body).ok()?;
    let text = totals.pointer("/tokens/total").or_else(|| totals.pointer("/totals/tokens/total"))?;
    text.as_str()?.parse().ok()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_token-bridge"));
    command
        .current_dir(folder)
        .env("ETB_SOURCES_PATHS", folder.join("projects"))
        // The health of a service in a test does not depend on how full the machine's disk is.
        .env("ETB_MONITORING_DISK_FREE_MIN", "0%");
    command
}

fn line(id: u32, output: u32) -> String {
    format!(
        r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_{id:024}","stop_reason":"end_turn","usage":{{"output_tokens":{output}}}}}}}"#
    ) + "\n"
}

/// Creates a folder with the settings, and one transcript of 40 tokens.
fn prepare(settings: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = "bridge_config.yaml";
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(config), folder.path().join(config)).unwrap();
    fs::write(folder.path().join("service.toml"), settings).unwrap();
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    let transcript = folder.path().join("projects/p/s.jsonl");
    fs::create_dir_all(transcript.parent().unwrap()).unwrap();
    fs::write(&transcript, line(1, 40)).unwrap();
    (folder, transcript)
}

const ANY_PORT: &str = "[listen]\naddress = \"127.0.0.1:0\"\n";

fn run(settings: &str, arguments: &[&str]) -> Output {
    let (folder, _) = prepare(settings);
    command(folder.path()).args(arguments).output().unwrap()
}

#[test]
fn wrong_arguments_and_settings_are_named_and_end_with_2() {
    let open = "[listen]\naddress = \"0.0.0.0:0\"\n";
    let with_token = format!("{open}token_file = \"token\"\n");
    let with_proxy = format!("{with_token}proxy = \"tokens.example\"\n");
    for (settings, arguments, expected) in [
        ("", &["--nonsense"][..], "--nonsense"),
        ("", &["--config", "missing.toml"], "missing.toml"),
        ("bridge = 7", &[], "service.toml"),
        ("[listen]\nport = 1", &[], "port"),
        ("[listen]\naddress = \"no such host:1\"", &[], "no such host:1"),
        (open, &[], "listen.token_file"),
        ("", &["--listen", "0.0.0.0:0"], "listen.token_file"),
        (&with_token, &[], "listen.tls, or listen.proxy"),
        (&with_proxy, &[], "set listen.proxy_addresses"),
        (&format!("{with_proxy}proxy_addresses = [\"10.1.0.0/33\"]"), &[], "\"10.1.0.0/33\" is neither"),
        (&format!("{with_token}proxy_addresses = [\"10.1.0.7\"]"), &[], "set listen.proxy to"),
        // Others reach a local address through a proxy.
        (&format!("{ANY_PORT}proxy = \"tokens.example\""), &[], "listen.token_file"),
        ("[limits]\nrequest_seconds = 0", &[], "request_seconds"),
        ("[limits]\nrequests_max = 0", &[], "requests_max"),
        ("[limits]\nqueries_max = 0", &[], "queries_max"),
        (&format!("bridge = \"none.yaml\"\n{ANY_PORT}"), &[], "none.yaml"),
        (&format!("bridge = \"token\"\n{ANY_PORT}"), &[], "token"),
        (&format!("{ANY_PORT}token_file = \"none\""), &[], "none"),
        (&format!("{ANY_PORT}tls = {{ certificate = \"token\", key = \"token\" }}"), &[], "listen.tls token"),
        ("[reader]\nuser = \"dashboard\"", &[], "the embedded engine has a reader of its own"),
        ("[reader]\npassword_file = \"token\"", &[], "reader.user"),
        ("[reader]\nuser = \"a\"\naccess_token_file = \"token\"", &[], "reader.user"),
        ("[reader]\naccess_token_file = \"token\"\npassword_file = \"token\"", &[], "reader.password_file"),
    ] {
        // A check finds whatever a start finds.
        for arguments in [arguments.to_vec(), [arguments, &["--check"]].concat()] {
            let output = run(settings, &arguments);
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{settings} {arguments:?}: {text}");
            assert!(text.contains(expected) && !text.contains(TOKEN), "{expected}: {text}");
            assert!(output.stdout.is_empty(), "{:?}", output.stdout);
        }
    }
}

#[test]
fn valid_settings_are_said_to_be_valid_and_nothing_is_started() {
    let proxied = format!("{ANY_PORT}token_file = \"token\"\nproxy = \"tokens.example\"\n");
    for settings in ["", &proxied] {
        let (folder, _) = prepare(settings);
        let output = command(folder.path()).arg("--check").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && output.stdout == b"the settings are valid\n", "{text}");
        assert!(!folder.path().join("tokens.clickhouse").exists());
    }
}

#[test]
fn settings_apply_wherever_the_service_is_started() {
    let settings = format!("{ANY_PORT}token_file = \"token\"\n[page]\ncost = false\n");
    let (folder, _) = prepare(&settings);
    let elsewhere = tempfile::tempdir().unwrap();
    let file = folder.path().join("service.toml");
    let mut command = command(folder.path());
    let service = Service::of(command.current_dir(elsewhere.path()).arg("--config").arg(file));
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    service.wait_for(40, &bearer);
    assert!(folder.path().join("tokens.clickhouse").exists());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    let page = service.get("/?range=all", &bearer);
    assert!(page.body.contains(">Tokens<") && !page.body.contains(">Cost<"), "{}", page.body);
    service.end_with("TERM");
}

/// The writer of these settings has an access token, which must not become the reader's.
#[test]
fn a_reader_on_a_server_has_credentials_of_its_own() {
    let (folder, _) = prepare("");
    let yaml = "enhanced_token_bridge:\n  clickhouse:\n    url: http://127.0.0.1:1\n    access_token: writers-secret-token\n";
    fs::write(folder.path().join("server.yaml"), yaml).unwrap();
    let config = bridge::config::BridgeConfig::from_yaml_file(folder.path().join("server.yaml")).unwrap();
    let token = Some(folder.path().join("token"));
    let by_password =
        Reader { user: Some("dashboard".to_owned()), password_file: token.clone(), access_token_file: None };
    let options = service::reader::server_options(&config, &by_password).unwrap();
    assert!(options.has_password(), "{options:?}");
    let without_password = Reader { password_file: None, ..by_password.clone() };
    let options = service::reader::server_options(&config, &without_password).unwrap();
    assert!(format!("{options:?}").contains("dashboard"), "{options:?}");
    let by_token = Reader { user: None, password_file: None, access_token_file: token };
    let options = service::reader::server_options(&config, &by_token).unwrap();
    assert!(!options.has_password(), "{options:?}");
    for (unreadable, named) in [
        (
            Reader { access_token_file: Some("none".into()), ..by_token.clone() },
            "reader.access_token_file none",
        ),
        (Reader { password_file: Some("none".into()), ..by_password.clone() }, "reader.password_file none"),
    ] {
        let failure = service::reader::server_options(&config, &unreadable).unwrap_err();
        assert!(failure.exit_code() == 2 && failure.to_string().contains(named), "{failure}");
    }
}

#[test]
fn an_address_in_use_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run("", &["--listen", &address]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains(&address), "{text}");
}

#[test]
fn units_are_printed_and_nothing_is_started() {
    for (argument, expected) in [
        ("--install-unit=systemd", ["[Service]", "User=somebody\n", "RestartPreventExitStatus=2"]),
        ("--install-unit=systemd-user", ["[Service]", "ExecStart=", "WantedBy=default.target"]),
        ("--install-unit=launchd", ["<plist", "<key>StandardErrorPath</key>", "<key>KeepAlive</key>"]),
    ] {
        let (folder, _) = prepare(ANY_PORT);
        let mut command = command(folder.path());
        command.env("USER", "somebody").args([argument, "--config", "service.toml"]);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && expected.iter().all(|part| text.contains(part)), "{text}");
        assert!(text.contains(&folder.path().join("service.toml").display().to_string()), "{text}");
        assert!(!folder.path().join("tokens.clickhouse").exists());
    }
}

#[test]
fn a_written_response_is_served_and_both_signals_end_the_service() {
    let (folder, transcript) = prepare(ANY_PORT);
    let service = Service::start(folder.path());
    service.wait_for(40, "");
    // The session continues while the service runs.
    File::options().append(true).open(&transcript).unwrap().write_all(line(2, 2).as_bytes()).unwrap();
    service.wait_for(42, "");
    let page = service.get("/", "");
    assert!(page.status == 200 && page.body.contains("<title>Overview"), "{}", page.body);
    let page = service.get("/?range=all", "");
    assert!(page.body.contains(">Tokens<") && page.body.contains(">Cost<"), "{}", page.body);
    let health = service.get("/api/v1/health", "");
    // The bridge that synchronizes answers, not the reader, who could not write.
    let writes = r#""probe":"write","state":"healthy""#;
    assert!(health.status == 200 && health.body.contains(writes), "{}", health.body);
    assert!(service.get("/metrics", "").body.contains("bridge_tokens_stored_total 42"));
    service.end_with("INT");

    // The client deletes its transcripts; the store keeps their counts.
    fs::remove_file(&transcript).unwrap();
    let service = Service::start(folder.path());
    service.wait_for(42, "");
    service.end_with("TERM");
}

/// The number of times that the dashboard was queried.
fn dashboard_queries(service: &Service) -> u64 {
    let metrics = service.get("/metrics", "").body;
    let name = r#"bridge_operations_total{operation="get_dashboard_token_metrics",outcome="succeeded"} "#;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    value.parse().unwrap()
}

#[test]
fn a_terminal_shows_the_tokens_which_are_summed_only_after_synchronizations() {
    let (folder, transcript) = prepare(ANY_PORT);
    // A command in a terminal.
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--flush", "--command"]).arg(env!("CARGO_BIN_EXE_token-bridge"));
    terminal.arg("/dev/null").current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    terminal
        .env("ETB_SOURCES_PATHS", folder.path().join("projects"))
        .env("ETB_MONITORING_DISK_FREE_MIN", "0%");
    let mut process = terminal.spawn().unwrap();
    let (mut input, mut output) =
        (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
    let mut line_of_url = String::new();
    output.read_line(&mut line_of_url).unwrap();
    let service = Service { process, url: line_of_url.trim().to_owned() };
    let (shown, drawn) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut bytes) {
            if shown.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    let wait_for = |text: &str| {
        let mut seen = String::new();
        while !seen.contains(text) {
            let drawn = drawn.recv_timeout(POLL_INTERVAL * POLLS_MAX);
            seen += &drawn.unwrap_or_else(|_| panic!("no {text:?} in {seen:?}"));
        }
    };
    wait_for("\u{1b}[K\u{1b}[?7l40 tokens, following changes");
    File::options().append(true).open(&transcript).unwrap().write_all(line(2, 2).as_bytes()).unwrap();
    wait_for("42 tokens");
    let queries = dashboard_queries(&service);
    // Three times as long as the line's interval, in which a last event of the file may arrive.
    thread::sleep(Duration::from_secs(7));
    let later = dashboard_queries(&service);
    assert!(queries >= 2 && later <= queries + 1, "{queries} queries, then {later}");
    // Ctrl-C.
    input.write_all(b"\x03").unwrap();
    service.wait_for_end();
}

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
    let of = |addresses: &str| {
        prepare(&format!(
            "[listen]\naddress = \"0.0.0.0:0\"\ntoken_file = \"token\"\nproxy = \"tokens.example\"\n\
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
        let port = service.url.rsplit_once(':').unwrap().1;
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

/// The user of everything that is shown may only read.
#[test]
fn what_is_shown_is_read_by_a_user_who_cannot_write() {
    let (folder, _) = prepare(ANY_PORT);
    let service = Service::start(folder.path());
    service.wait_for(40, "");
    let mut config =
        bridge::config::BridgeConfig::from_yaml_file(folder.path().join("bridge_config.yaml")).unwrap();
    config.embedded.data_dir = Some(folder.path().join("tokens.clickhouse"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reader = service::reader::reading_bridge(&config, None).await.unwrap().unwrap();
        let totals = reader.token_store().totals(&Default::default()).await.unwrap();
        assert_eq!(totals.counts.total(), 40);
        let row = bridge::ResponseUsage::new(
            bridge::ResponseKey(7),
            bridge::SessionId::new("s").unwrap(),
            "2026-01-31T12:00:00Z".parse().unwrap(),
        );
        let written = reader.token_store().upsert(&[row], &Default::default()).await;
        assert!(matches!(written, Err(bridge::BridgeError::Storage { .. })), "{written:?}");
    });
    service.end_with("TERM");
}
