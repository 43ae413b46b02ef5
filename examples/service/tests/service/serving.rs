//! The totals, page, health and terminal line of a running service.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use bridge::EmbeddedDatabase;
use bridge::config::BridgeConfig;
use bridge::embedded::{EngineEvent, EngineOptions};
use bridge::storage::ClickHouseOptions;

use crate::process::{ANY_PORT, POLL_INTERVAL, POLLS_MAX, Service, line, prepare};

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
    for probe in ["hosts", "prices"] {
        assert!(health.body.contains(&format!(r#""probe":"{probe}","state":"healthy""#)), "{}", health.body);
    }
    // Pages that are read by a user who may not write do not call the service degraded.
    for path in ["/", "/status", "/?range=all"] {
        let page = service.get(path, "").body;
        assert!(page.contains(r#"<p id="health"></p>"#), "{path}: {page}");
    }
    let metrics = service.get("/metrics", "").body;
    assert!(metrics.contains("bridge_tokens_stored_total 42"), "{metrics}");
    assert!(metrics.contains("\nbridge_health_state 0\n"), "{metrics}");
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
    // A command in a terminal. It replaces its shell: a shell that waits for it may end as interrupted itself.
    let mut terminal = Command::new("script");
    let program = concat!("exec '", env!("CARGO_BIN_EXE_token-bridge"), "'");
    terminal.args(["--quiet", "--return", "--flush", "--command", program]);
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

/// Something of the page may still run when the service ends, and hold the reader's bridge.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_reader_was_shut_down_ends_with_the_writer() {
    let (folder, _) = prepare("");
    let mut config = BridgeConfig::from_yaml_file(folder.path().join("bridge_config.yaml")).unwrap();
    config.embedded.data_dir = Some(folder.path().join("tokens.clickhouse"));
    let writer = config.build().await.unwrap();
    let reader = service::reader::reading_bridge(&config, None).await.unwrap().unwrap();
    let held = reader.clone();
    reader.shutdown().await.unwrap();
    if let Err(incomplete) = writer.shutdown().await {
        // On a busy machine the engine may need longer than a shutdown waits for it.
        assert!(incomplete.running_engine && !incomplete.running_tasks, "{incomplete}");
    }
    // The next user of the data would join the engine of the old ones; it must be the only one of a new engine.
    let options = EngineOptions::at(folder.path().join("tokens.clickhouse"));
    let mut has_started = false;
    let next = EmbeddedDatabase::start_with(&options, |event| {
        has_started |= matches!(event, EngineEvent::Starting { .. });
    });
    assert!(has_started, "the old engine still runs");
    drop((held, next.unwrap().close(Duration::from_secs(30))));
}

#[test]
fn a_reader_whom_the_server_refuses_is_found_at_the_start() {
    let (folder, _) = prepare(ANY_PORT);
    let service = Service::start(folder.path());
    let options = EngineOptions::at(folder.path().join("tokens.clickhouse"));
    let database = EmbeddedDatabase::start_with(&options, |_| {}).unwrap();
    let endpoint = database.engine().endpoint().clone();
    let yaml = format!("enhanced_token_bridge:\n  clickhouse:\n    url: {}\n", endpoint.url);
    fs::write(folder.path().join("server.yaml"), yaml).unwrap();
    let config = BridgeConfig::from_yaml_file(folder.path().join("server.yaml")).unwrap();
    let of = |password: &str| {
        let options = ClickHouseOptions::from_url(&endpoint.url).unwrap().with_database(&endpoint.database);
        options.with_user(&endpoint.reader.user, password)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        service::reader::reading_bridge(&config, Some(of(&endpoint.reader.password))).await.unwrap().unwrap();
        let failure = service::reader::reading_bridge(&config, Some(of("wrong"))).await.unwrap_err();
        let text = failure.to_string();
        assert!(failure.exit_code() == 1 && text.starts_with("[reader] cannot read"), "{text}");
        assert!(!text.contains("wrong"), "{text}");
    });
    drop(database);
    service.end_with("TERM");
}
