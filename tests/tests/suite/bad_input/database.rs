//! Unusable databases.

use std::net::TcpListener;

use super::sources::sample;
use bridge_tests::program::{Finished, backfill};

const PASSWORD: &str = "s3cr3t-pa55word";

fn run_with_url(url: &str) -> Finished {
    let done = backfill(["--url", url, "--source"]).arg(sample()).run();
    assert!(!done.output().contains(PASSWORD), "{done:?}");
    assert_eq!(done.stdout, "");
    done
}

#[test]
fn a_host_that_refuses_connections_is_reported() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let done = run_with_url(&format!("http://me:{PASSWORD}@{host}/usage"));
    assert_eq!(done.code, Some(1), "{done:?}");
    let first = done.stderr.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("error: ") && first.contains(&host) && first.contains("cannot be reached"),
        "{done:?}"
    );
}

/// The server accepts connections but is not ClickHouse.
#[test]
fn a_host_that_closes_connections_is_reported() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    // The thread waits in `accept` until the test program ends.
    std::thread::spawn(move || while listener.accept().is_ok() {});
    let done = run_with_url(&format!("http://me:{PASSWORD}@{host}/usage"));
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains(&host), "{done:?}");
}

#[test]
fn unusable_urls_are_reported_with_the_reason() {
    let cases = [
        (
            format!("https://me:{PASSWORD}@db.example"),
            "for https://db.example:8443 build with the feature `tls`",
        ),
        (
            format!("clickhouse://me:{PASSWORD}@db.example:9000"),
            "expected is http:// or https:// before db.example:9000",
        ),
        (format!("http://me:{PASSWORD}@"), "URL"),
        (format!("me:{PASSWORD}@db.example"), "URL"),
        (format!("http://me:{PASSWORD}@db.example:port"), "URL"),
        (String::new(), "URL"),
    ];
    for (url, why) in cases {
        let done = run_with_url(&url);
        assert_eq!(done.code, Some(1), "{url}: {done:?}");
        let error = done.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains("URL is invalid") && error.contains(why), "{url}: {done:?}");
    }
}
