//! The page of a running service changes by itself.

use bridge::{Clock, ResponseUsage, SystemClock};
use bridge_testkit::browser::Browser;
use bridge_testkit::fixtures::line_at;

use super::{HOSTILE, Service, assert_content, browser, hostile, sessions};

/// Waits until the page shows the tokens of these responses.
fn wait_for_total(browser: &mut Browser, rows: &[ResponseUsage]) {
    let total: u64 = rows.iter().map(|row| row.counts.total()).sum();
    browser.wait_until(&format!(
        "document.querySelector('.total').textContent.replaceAll(',', '') === '{total}'"
    ));
}

#[test]
fn what_is_stored_appears_without_a_reload_and_what_is_open_stays_open() {
    let service = Service::start();
    service.put(&sessions(10));
    let (_profile, mut browser) = browser();
    browser.open(&service.url("/?range=all"));
    browser.evaluate("window.notReloaded = true; document.querySelector('#trend-table').open = true; 0");
    let rows = sessions(12);
    service.put(&rows);
    wait_for_total(&mut browser, &rows);
    assert_eq!(
        browser.evaluate("window.notReloaded === true && document.querySelector('#trend-table').open"),
        true
    );
    browser.wait_until("document.querySelector('[data-chart] canvas')?.width > 0");
    assert_content(&mut browser, &service);
}

#[test]
fn what_is_stored_appears_while_a_filter_is_typed_which_stays() {
    let service = Service::start();
    service.put(&sessions(10));
    let (_profile, mut browser) = browser();
    browser.open(&service.url("/?range=all"));
    browser.evaluate(
        "document.querySelector('#filter').open = true; \
         const value = document.querySelector('[name=value]'); value.focus(); value.value = 'half a na'; 0",
    );
    for number in [12, 14] {
        let rows = sessions(number);
        service.put(&rows);
        wait_for_total(&mut browser, &rows);
    }
    let in_use = "document.activeElement.name + ': ' + document.activeElement.value";
    assert_eq!(browser.evaluate(in_use), "value: half a na");
    browser.wait_until("document.querySelector('[data-chart] canvas')?.width > 0");
    assert_eq!(browser.evaluate("document.querySelectorAll('.controls').length"), 1);
    assert_content(&mut browser, &service);
}

#[test]
fn a_page_whose_service_ended_says_that_it_is_not_up_to_date() {
    let mut service = Service::start();
    service.put(&sessions(10));
    let (_profile, mut browser) = browser();
    browser.open(&service.url("/?range=all"));
    browser.wait_until("document.querySelector('#live').textContent === 'Live'");
    service.stop();
    browser.wait_until("document.querySelector('#live').textContent.startsWith('Not up to date')");
    let shown = browser.evaluate("document.querySelector('.total').textContent");
    assert!(shown.as_str().is_some_and(|total| !total.is_empty()), "the last totals stay");
}

#[test]
fn a_page_whose_data_is_old_says_since_when() {
    let transcripts = tempfile::tempdir().unwrap();
    let time = SystemClock.now().to_string();
    std::fs::write(transcripts.path().join("s.jsonl"), line_at("s", 1, 40, &time)).unwrap();
    let service = Service::stopped_synchronizing(transcripts.path());
    let (_profile, mut browser) = browser();
    for page in ["/?range=all", "/breakdown?range=all", "/sessions?range=all"] {
        browser.open(&service.url(page));
        let banner = "document.querySelector('.banner').textContent";
        let text = "Synchronization seems to have stopped. Last completed 20 min. ago. Status";
        assert_eq!(browser.evaluate(banner), text, "{page}");
        let age = "document.querySelector('.as-of').textContent";
        assert_eq!(browser.evaluate(age), "Last transcript stored 20 min. ago", "{page}");
        assert_eq!(browser.evaluate("document.querySelector('#live').textContent"), "Not synchronized");
    }
    assert_content(&mut browser, &service);
}

#[test]
fn a_database_that_cannot_be_reached_is_reported_on_each_page() {
    let service = Service::without_database();
    let (_profile, mut browser) = browser();
    for page in ["/", "/breakdown", "/sessions", "/sessions/s", "/receipt"] {
        browser.open(&service.url(page));
        let text = browser.evaluate("document.querySelector('main [role=alert]').textContent");
        let text = text.as_str().unwrap();
        assert!(text.contains("No data is lost") && !text.contains("127.0.0.1"), "{page}: {text}");
    }
    browser.open(&service.url("/status"));
    assert_eq!(browser.evaluate("document.querySelector('h1 .badge').textContent"), "unhealthy");
}

#[test]
fn the_filter_form_suggests_the_values_of_the_selected_dimension() {
    let service = Service::start();
    let mut rows = sessions(40);
    rows.extend(hostile());
    service.put(&rows);
    let (_profile, mut browser) = browser();
    browser.open(&service.url("/?range=all"));
    // Those of the page, of all dimensions, before the form is used.
    let labels = "[...new Set([...document.querySelectorAll('#filter-values option')].map(({ label }) => label))].join()";
    let shown = browser.evaluate(labels);
    assert!(
        shown.as_str().unwrap().contains("Project,") && shown.as_str().unwrap().contains("Model"),
        "{shown}"
    );
    browser.evaluate("document.querySelector('#filter').open = true; 0");
    let values = "[...document.querySelector('[name=value]').list.options].map(({ value }) => value)";
    browser.wait_until(&format!(
        "{values}.filter((value) => value.startsWith('/home/user/project-')).length === 7"
    ));
    browser.evaluate(
        "const select = document.querySelector('[name=filter]'); select.value = 'model'; \
         select.dispatchEvent(new Event('change', { bubbles: true })); 0",
    );
    let markup = HOSTILE[0];
    browser.wait_until(&format!(
        "{values}.includes('claude-opus-4-8') && {values}.includes('{markup}') && !{values}.some((value) => value.startsWith('/home'))"
    ));
    // They stay while the page updates.
    service.put(&sessions(41));
    browser.wait_until("document.querySelector('main').textContent.includes('45 sessions')");
    assert_eq!(browser.evaluate(&format!("{values}.includes('gpt-5') && {values}.length <= 50")), true);
    browser.evaluate("document.querySelector('[name=value]').value = 'gpt-5'; document.querySelector('[name=filter]').value = 'model'; document.querySelector('#filter form').requestSubmit(); 0");
    browser.wait_until("document.querySelector('.chips bdi')?.textContent === 'gpt-5'");
    assert_content(&mut browser, &service);
}

#[test]
fn keys_reach_the_content_the_controls_and_the_steps_of_the_chart() {
    let service = Service::start();
    service.put(&sessions(10));
    let (_profile, mut browser) = browser();
    browser.open(&service.url("/?range=all&step=day"));
    browser.press("Tab");
    assert_eq!(browser.evaluate("document.activeElement.className"), "skip");
    browser.evaluate("document.querySelector('[data-chart]').focus(); 0");
    browser.press("ArrowRight");
    browser.wait_until("document.querySelector('.tooltip b')?.textContent.match(/^\\d{4}-\\d\\d-\\d\\d$/)");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('.tooltip')");
    assert_content(&mut browser, &service);
}
