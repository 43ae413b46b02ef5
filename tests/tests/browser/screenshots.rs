//! Pictures of a running service, for the documentation and for the eye.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use bridge::{Clock, SystemClock};
use bridge_testkit::browser::Theme;
use bridge_testkit::fixtures::line_at;

use super::{Service, browser};

/// Page, width, height, theme.
const PICTURES: [(&str, &str, u32, u32, Theme); 9] = [
    ("dashboard", "/?range=all", 1280, 1180, Theme::Light),
    ("page-dark", "/?range=all", 1280, 1180, Theme::Dark),
    ("page-phone", "/?range=all", 390, 1500, Theme::Light),
    ("page-wide", "/?range=all", 2560, 1440, Theme::Dark),
    ("page-breakdown", "/breakdown?range=all&by=project&order=cost", 1280, 820, Theme::Light),
    ("page-sessions", "/sessions?range=all&order=cost", 1280, 800, Theme::Dark),
    ("page-receipt", "/receipt", 1280, 1180, Theme::Light),
    ("page-status", "/status", 1280, 700, Theme::Light),
    ("page-empty", "/?from=2001-01-01&to=2001-01-02", 1280, 560, Theme::Light),
];

#[test]
#[ignore = "takes pictures of the service at BRIDGE_PAGE into the folder BRIDGE_SCREENSHOTS"]
fn screenshots() {
    let service = env::var("BRIDGE_PAGE").expect("BRIDGE_PAGE is the address of a running service");
    let folder = PathBuf::from(env::var_os("BRIDGE_SCREENSHOTS").expect("BRIDGE_SCREENSHOTS is a folder"));
    let (_profile, mut browser) = browser();
    let mut take = |name: &str, target: &str, width, height, theme| {
        browser.show_as(width, height, theme);
        browser.open(target);
        browser.wait_until(
            "[...document.querySelectorAll('[data-chart]')].every((chart) => chart.querySelector('canvas'))",
        );
        std::fs::write(folder.join(format!("{name}.png")), browser.screenshot()).unwrap();
    };
    for (name, target, width, height, theme) in PICTURES {
        take(name, &format!("{service}{target}"), width, height, theme);
    }
    let session = format!("{service}{}", first_session(&service));
    take("page-session", &session, 1280, 1400, Theme::Light);
    take("page-session-phone", &session, 390, 1500, Theme::Dark);
    take("page-first-run", &Service::start().url("/"), 1280, 560, Theme::Dark);
    let transcripts = tempfile::tempdir().unwrap();
    let day = |number: u64| SystemClock.now().saturating_sub(Duration::from_hours(24 * number)).to_string();
    let lines: String =
        (1..8).map(|number| line_at("session", number, 90_210 * (number % 4 + 1), &day(number))).collect();
    std::fs::write(transcripts.path().join("session.jsonl"), lines).unwrap();
    let stopped = Service::stopped_synchronizing(transcripts.path());
    take("page-stale", &stopped.url("/"), 1280, 700, Theme::Light);
    take("page-database-down", &Service::without_database().url("/"), 1280, 560, Theme::Light);
}

/// Returns the path of the session with the highest cost.
fn first_session(service: &str) -> String {
    let (_profile, mut browser) = browser();
    browser.open(&format!("{service}/sessions?range=all&order=cost"));
    let path = browser.evaluate("document.querySelector('.groups .name').getAttribute('href')");
    path.as_str().expect("a session is stored").to_owned()
}
