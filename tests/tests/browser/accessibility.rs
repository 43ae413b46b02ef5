//! Accessibility by axe: names of controls, contrast, structure.

use std::path::Path;
use std::process::Command;

use bridge_testkit::browser::Theme;
use tempfile::TempDir;

use super::{Service, browser, sessions};

/// Fetched and not kept: it is only examined with.
const AXE: &str = "axe-core@4.14.1";
const PAGES: [&str; 6] = [
    "/?range=all",
    "/breakdown?range=all",
    "/sessions?range=all",
    "/receipt",
    "/status",
    "/sessions/session-000003",
];

const VIOLATIONS: &str = "axe.run().then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`)))";

#[test]
fn axe_finds_nothing_at_any_width_and_theme_and_in_no_state() {
    let folder = TempDir::new().unwrap();
    let axe = axe(folder.path());
    let service = Service::start();
    service.put(&sessions(40));
    service.put_files("session-000003");
    let (_profile, mut browser) = browser();
    browser.bypass_policy();
    let (empty, broken) = (Service::start(), Service::without_database());
    let pages = PAGES.map(|page| service.url(page)).into_iter();
    let states = [empty.url("/"), service.url("/?project=unknown"), broken.url("/"), broken.url("/status")];
    let pages: Vec<_> = pages.chain(states).collect();
    let mut found = Vec::new();
    for (width, theme) in [(1280, Theme::Light), (1280, Theme::Dark), (390, Theme::Light), (390, Theme::Dark)]
    {
        browser.show_as(width, 900, theme);
        for page in &pages {
            browser.open(page);
            browser.evaluate(
                "document.querySelectorAll('details').forEach((details) => details.open = true); 0",
            );
            browser.evaluate(&axe);
            let violations = browser.evaluate(VIOLATIONS);
            let violations = violations.as_array().unwrap().iter();
            found.extend(violations.map(|violation| format!("{page}, {width}, {theme:?}: {violation}")));
        }
    }
    assert_eq!(found, [] as [&str; 0]);
}

/// Returns the script of axe.
fn axe(folder: &Path) -> String {
    let npm = Command::new("npm").args(["install", "--no-save", "--prefix"]).arg(folder).arg(AXE).output();
    let npm = npm.expect("npm is installed, as for the engine");
    assert!(npm.status.success(), "{}", String::from_utf8_lossy(&npm.stderr));
    let script = std::fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).unwrap();
    format!("{script}; 0")
}
