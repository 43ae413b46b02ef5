//! The page at any width, theme and number of sessions.

use bridge::pricing::{Catalog, CostSums, Usage};
use bridge::{ModelName, ResponseKey, ResponseUsage};
use bridge_testkit::browser::Theme;

use super::{HOSTILE, Service, assert_content, browser, hostile, sessions};

const PAGES: [&str; 6] = [
    "/",
    "/breakdown?range=all&by=project",
    "/sessions?range=all&order=cost",
    "/receipt",
    "/status",
    "/sessions/session-000005",
];
const WIDTHS: [u32; 3] = [390, 1280, 3840];

#[test]
fn no_page_is_wider_than_the_window() {
    let service = Service::start();
    service.put(&sessions(40));
    service.put(&hostile());
    service.put_files("session-000005");
    let (_profile, mut browser) = browser();
    for width in WIDTHS {
        for theme in [Theme::Light, Theme::Dark] {
            browser.show_as(width, 900, theme);
            for page in PAGES {
                browser.open(&service.url(page));
                let overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
                assert!(overflow.as_i64() <= Some(0), "{page} at {width}: {overflow} pixels too wide");
            }
        }
    }
    assert_content(&mut browser, &service);
}

#[test]
fn the_ranges_fit_into_a_line_of_a_phone() {
    let service = Service::start();
    service.put(&sessions(40));
    let (_profile, mut browser) = browser();
    browser.show_as(390, 900, Theme::Light);
    browser.open(&service.url("/?range=month"));
    let lines = "new Set([...document.querySelectorAll('[aria-label=\"Time range\"] a')].map((a) => a.offsetTop)).size";
    assert_eq!(browser.evaluate(lines), 1);
    let selected = "document.querySelector('.pills [aria-current]').textContent";
    assert_eq!(browser.evaluate(selected), "This month");
}

#[test]
fn costs_are_those_of_the_price_catalog_and_never_without_what_has_no_price() {
    let service = Service::start();
    let mut rows = sessions(40);
    service.put(&rows);
    let (_profile, mut browser) = browser();
    let expected = |rows: &[ResponseUsage]| {
        let mut sums = CostSums::default();
        for row in rows {
            let usage = Usage::from(row);
            sums.add(&usage, &Catalog::shipped().price(&usage));
        }
        sums.amount.to_string()
    };
    let cost = "document.querySelector('.money').parentElement.textContent";
    browser.open(&service.url("/?range=all&unit=cost"));
    let shown = browser.evaluate(cost);
    assert!(shown.as_str().unwrap().ends_with(&expected(&rows)), "{shown}");
    browser.wait_until("document.querySelector('[data-chart] canvas')?.width > 0");
    let mut unknown = sessions(1).remove(0);
    (unknown.key, unknown.model) = (ResponseKey(7_777_777), ModelName::new("claude-next").ok());
    unknown.counts.output = 1_000;
    rows.push(unknown.clone());
    service.put(&[unknown]);
    for (page, text) in [
        ("/?range=all", "of the tokens have no price: claude-next"),
        ("/receipt", "the model is not in the price catalog"),
        ("/sessions?range=all&order=cost", "≥"),
        ("/breakdown?range=all&by=model&order=cost", "unpriced"),
    ] {
        browser.open(&service.url(page));
        browser.wait_until(&format!("document.querySelector('main').textContent.includes('{text}')"));
    }
    browser.open(&service.url("/receipt"));
    let lines = "[...document.querySelectorAll('[aria-label=Cost] td')].map((td) => BigInt(td.textContent.replace(/[$,.]/g, '')))";
    let adds_up = format!(
        "(([all, saved, list, discounts, cost]) => all - saved === list && list - discounts === cost)({lines})"
    );
    assert_eq!(browser.evaluate(&adds_up), true, "the receipt of the cost adds up to the last digit");
    browser.open(&service.url("/?range=all"));
    let shown = browser.evaluate(cost);
    assert!(shown.as_str().unwrap().contains("at least"), "{shown}");
    assert!(shown.as_str().unwrap().ends_with(&expected(&rows)), "{shown}");
    assert_content(&mut browser, &service);
}

#[test]
fn budgets_are_shown_with_their_state() {
    let service = Service::start();
    service.put(&sessions(40));
    let (_profile, mut browser) = browser();
    browser.open(&service.url("/?range=all"));
    let states = "[...document.querySelectorAll('.budget .badge')].map((badge) => badge.textContent).join()";
    assert!(browser.evaluate(states).as_str().unwrap().starts_with("exceeded,"));
    assert_content(&mut browser, &service);
}

#[test]
fn an_empty_store_says_what_to_expect() {
    let service = Service::start();
    let (_profile, mut browser) = browser();
    for page in ["/?range=all", "/sessions?range=all", "/receipt", "/status"] {
        browser.open(&service.url(page));
        let text = browser.evaluate("document.querySelector('main').textContent.length");
        assert!(text.as_u64() > Some(20), "{page} has content");
    }
    for page in ["/", "/?range=all"] {
        browser.open(&service.url(page));
        let title = browser.evaluate("document.querySelector('.state h1').textContent");
        assert_eq!(title, "Nothing is stored yet");
    }
    assert_content(&mut browser, &service);
}

#[test]
fn without_scripts_the_trend_is_a_table() {
    let service = Service::start();
    service.put(&sessions(40));
    let (_profile, mut browser) = browser();
    browser.set_scripts(false);
    browser.open(&service.url("/?range=all&step=day"));
    // The tools' own expressions still run.
    let days = browser.evaluate("document.querySelectorAll('#trend-table tbody tr').length");
    assert!(days.as_u64() > Some(1), "{days}");
    assert_eq!(browser.evaluate("document.querySelectorAll('canvas').length"), 0);
}

#[test]
fn hostile_names_are_shown_as_text() {
    let service = Service::start();
    service.put(&hostile());
    service.put_files(HOSTILE[1]);
    let (_profile, mut browser) = browser();
    let session = "/sessions/%E2%80%AEgpj.exe";
    for page in ["/?range=all", "/breakdown?range=all&by=model", "/sessions?range=all", session] {
        browser.open(&service.url(page));
        browser.wait_until("document.body.textContent.includes('<img src=x onerror=alert(1)>')");
        assert_eq!(browser.evaluate("document.querySelectorAll('main img').length"), 0);
    }
    assert_content(&mut browser, &service);
}
