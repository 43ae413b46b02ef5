//! The page, in process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bridge::assignment::AttributionValue;
use bridge::storage::{InMemoryStore, TokenStore, UpsertOptions};
use bridge::web::{PageOptions, router};
use bridge::{
    BackfillOptions, Clock, EnhancedTokenDatabaseBridge, ManualClock, ModelName, ProjectName, SyncOptions,
};
use bridge_testkit::fixtures::{line, line_at, now, response};
use bridge_testkit::proxy::Fault;

use crate::observability::behind_proxy;
use crate::web::{Answer, bridge_of, fresh, get, send, stored};

/// Names as somebody would choose them who wants to break the page.
const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "\u{202e}gpj.exe",
    "a\u{1b}[31m&amp;\"'",
    "x\" onload=\"y",
    "</script>&#x3c;b>",
];

fn page_of(bridge: EnhancedTokenDatabaseBridge) -> Router {
    router(bridge, fresh().with_page(PageOptions::default()))
}

async fn html(page: &Router, target: &str) -> String {
    let answer = get(page, target).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    answer.text
}

/// Returns the values of an attribute, unescaped.
fn attribute<'a>(html: &'a str, name: &str) -> impl Iterator<Item = String> + 'a {
    let start = format!(" {name}=\"");
    let values: Vec<_> = html.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    values.into_iter().map(|value| {
        let escapes = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
        escapes.iter().fold(value.to_owned(), |value, (escape, text)| value.replace(escape, text))
    })
}

async fn with_hostile_names() -> Router {
    let store = Arc::new(InMemoryStore::default());
    let rows: Vec<_> = (1..)
        .zip(HOSTILE)
        .map(|(key, name)| {
            let mut row = response(name, key, 10);
            row.model = Some(ModelName::new(name).unwrap());
            row.project = Some(ProjectName::new(name.repeat(10)).unwrap());
            row
        })
        .collect();
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    page_of(bridge_of(store))
}

#[tokio::test]
async fn every_link_leads_to_a_page_and_every_asset_is_there() {
    let page = page_of(stored().await);
    let mut seen = BTreeMap::from([("/?range=all".to_owned(), false)]);
    let mut pairs = BTreeMap::new();
    while let Some(target) = seen.iter().find(|(_, is_read)| !**is_read).map(|(target, _)| target.clone()) {
        seen.insert(target.clone(), true);
        let answer = get(&page, &target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text);
        if target.starts_with("/assets/") {
            assert!(answer.header("cache-control").contains("immutable"));
            continue;
        }
        let links = attribute(&answer.text, "href").chain(attribute(&answer.text, "src"));
        for link in links.filter(|link| !link.starts_with('#')) {
            assert!(link.starts_with('/') && !link.starts_with("//"), "{link} leaves the service");
            // Every value of each parameter, and a few of each pair: others only combine what is covered.
            let parts = link.split(['?', '&']).map(|part| part.split('=').next().unwrap_or_default());
            let names: Vec<_> = parts.map(str::to_owned).collect();
            let known = pairs.entry(names.clone()).or_insert(0);
            if names.len() <= 2 || names.len() == 3 && *known < 2 {
                *known += u32::from(!seen.contains_key(&link));
                seen.entry(link).or_insert(false);
            }
        }
    }
    for part in [
        "/sessions/a",
        "/receipt",
        "/status",
        "project=p",
        "split=host",
        "by=branch",
        "direction=ascending",
        "/assets/uplot.js",
    ] {
        assert!(seen.keys().any(|target| target.contains(part)), "no link with {part} in {seen:?}");
    }
}

#[tokio::test]
async fn the_page_shows_the_totals_of_the_store() {
    let page = page_of(stored().await);
    let overview = html(&page, "/?range=all").await;
    assert!(overview.contains(r#"<span class="total">47</span>"#), "{overview}");
    let narrowed = html(&page, "/?range=all&session=a").await;
    assert!(narrowed.contains(r#"<span class="total">30</span>"#), "{narrowed}");
    let session = html(&page, "/sessions/a").await;
    assert!(session.contains(r#"<span class="total">30</span>"#), "{session}");
    let receipt = html(&page, "/receipt").await;
    assert!(receipt.contains(r#"<span class="total">47</span>"#) && receipt.contains("adds up"), "{receipt}");
}

#[tokio::test]
async fn names_are_text_whatever_they_hold() {
    let page = with_hostile_names().await;
    for target in ["/?range=all", "/breakdown?range=all&by=project", "/sessions?range=all"] {
        let html = html(&page, target).await;
        assert!(!html.contains("<script>alert") && !html.contains("onload=\"y\""), "{html}");
        assert!(!html.contains('\u{202e}') && !html.contains('\u{1b}'), "{html}");
        // A link to each of them works.
        let links: BTreeSet<_> =
            attribute(&html, "href").filter(|link| link.starts_with("/sessions/")).collect();
        for link in links {
            assert_eq!(get(&page, &link).await.status, 200, "{link}");
        }
    }
}

#[tokio::test]
async fn the_policy_allows_this_service_only_and_the_page_needs_no_more() {
    let answer = get(&with_hostile_names().await, "/?range=all").await;
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for forbidden in [" style=\"", " onclick=", "<style", "http://", "https://", "javascript:"] {
        assert!(!answer.text.contains(forbidden), "{forbidden} in {}", answer.text);
    }
    // The data of charts is no program.
    for script in answer.text.split("<script").skip(1) {
        assert!(
            script.starts_with(" src=\"/assets/") || script.starts_with(" type=\"application/json\">"),
            "{script}"
        );
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_a_page_that_names_it() {
    let page = page_of(stored().await);
    for (target, name) in [
        ("/?range=ever", "range"),
        ("/?from=2026-02-31", "from"),
        ("/sessions?offset=x", "offset"),
        ("/?EVIL=1", "EVIL"),
    ] {
        let answer = get(&page, target).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (400, "text/html; charset=utf-8")
        );
        assert!(answer.text.contains(&format!("{name}: ")), "{}", answer.text);
    }
    assert_eq!(get(&page, "/sessions/unknown").await.status, 404);
    assert_eq!(get(&page, "/assets/../page.rs").await.status, 404);
}

#[tokio::test]
async fn a_range_of_dates_includes_both_in_the_zone_of_the_page() {
    let zone = "Asia/Kathmandu".parse().unwrap();
    let page = router(stored().await, fresh().with_page(PageOptions::default().with_zone(zone)));
    let whole = html(&page, "/?from=2026-01-01&to=2026-12-31").await;
    assert!(whole.contains("from=2025-12-31T18%3A15%3A00.000Z"), "{whole}");
    assert!(whole.contains(r#"value="2026-01-01""#) && whole.contains(r#"value="2026-12-31""#), "{whole}");
}

#[tokio::test]
async fn links_stay_below_the_path_that_the_router_is_nested_at() {
    let page = Router::new().nest("/tokens", page_of(stored().await));
    let overview = html(&page, "/tokens?range=all").await;
    let links: Vec<_> = attribute(&overview, "href").filter(|link| link.starts_with('/')).collect();
    assert!(!links.is_empty() && links.iter().all(|link| link.starts_with("/tokens")), "{links:?}");
    for link in links {
        assert_eq!(get(&page, &link).await.status, 200, "{link}");
    }
}

/// A page over a history with two responses in the five hours before the clock, which is at midnight, and a line of its own.
async fn with_block(line: &str, options: PageOptions) -> Router {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        line_at("s", 1, 1_000, "2026-02-28T12:00:00Z"),
        line_at("s", 2, 2_000, "2026-02-28T21:30:00Z"),
        line_at("s", 3, 4_000, "2026-02-28T23:00:00Z"),
        line.to_owned(),
    ];
    std::fs::write(folder.path().join("s.jsonl"), lines.concat()).unwrap();
    let clock = Arc::new(ManualClock::new(now()));
    let bridge = crate::builder(Arc::new(InMemoryStore::default()), &[folder.path()]).clock(clock).build();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert!(bridge.dashboard().use_prices(bridge::pricing::Catalog::shipped()).await.unwrap());
    router(bridge, fresh().with_page(options))
}

/// Returns the text of the card of the current block.
fn block_card(html: &str) -> Option<String> {
    let (_, card) = html.split_once(r#"<section class="card block-card">"#)?;
    let card = card.split("</section>").next().unwrap();
    let texts = card.split('<').map(|part| part.split_once('>').map_or("", |(_, text)| text));
    let texts: Vec<_> = texts.filter(|text| !text.trim().is_empty()).map(str::trim).collect();
    Some(texts.join(" ").replace('\u{a0}', " "))
}

#[tokio::test]
async fn the_overview_shows_the_current_block_with_its_pace_and_its_end() {
    let priced = line_at("s", 4, 1_000_000, "2026-02-28T23:30:00Z")
        .replace(r#""stop_reason""#, r#""model":"claude-sonnet-4-5","stop_reason""#);
    let page = with_block(&priced, PageOptions::default()).await;
    // 1,006,000 tokens and $15 in 150 minutes of 270; 6,000 of them have no price.
    let expected = "Current five-hour block Tokens 1.00 M 3 responses Cost ≥ $15.00 so far \
                    At this pace 1.81 M ≥ $27.00 by 02:00 Time left 2 h 0 min until 02:00 \
                    21:00 by rule, as no limit is recorded 02:00";
    assert_eq!(block_card(&html(&page, "/").await).unwrap(), expected);
    assert_eq!(block_card(&html(&page, "/?range=all&session=s").await).unwrap(), expected);
    let elsewhere = "Current five-hour block Tokens 1.00 M 3 responses Cost ≥ $15.00 so far \
                     At this pace 1.81 M ≥ $27.00 by 07:45 Time left 2 h 0 min until 07:45 \
                     02:45 by rule, as no limit is recorded 07:45";
    assert_eq!(block_card(&html(&page, "/?zone=Asia/Kathmandu").await).unwrap(), elsewhere);
    // Neither a past range nor another session has the present block.
    assert_eq!(block_card(&html(&page, "/?from=2026-02-28&to=2026-02-28").await), None);
    assert_eq!(block_card(&html(&page, "/?session!=s").await), None);
    let hidden = with_block(&priced, PageOptions::default().without_cost()).await;
    let card = block_card(&html(&hidden, "/").await).unwrap();
    assert!(card.contains("At this pace 1.81 M by 02:00") && !card.contains('$'), "{card}");
}

#[tokio::test]
async fn a_recorded_limit_bounds_the_current_block_and_is_named() {
    // It resets at 01:20.
    let limited = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-02-28T23:40:00Z","isApiErrorMessage":true,"error":"rate_limit","quotaLimits":{"status":"rejected","rateLimitType":"five_hour","resetsAt":1772328000},"message":{"id":"msg_limit","model":"<synthetic>","content":[],"usage":{"output_tokens":0}}}"#;
    let page = with_block(&format!("{limited}\n"), PageOptions::default().without_cost()).await;
    let card = block_card(&html(&page, "/").await).unwrap();
    assert!(card.starts_with("Current five-hour block limit hit at 23:40 Tokens 6.00 K"), "{card}");
    assert!(card.ends_with("1 h 20 min until 01:20 20:20 as the client recorded its limit 01:20"), "{card}");
}

#[tokio::test]
async fn developers_have_a_card_if_any_is_recorded() {
    let store = Arc::new(InMemoryStore::default());
    store.upsert(&[response("a", 1, 10)], &UpsertOptions::default()).await.unwrap();
    let page = page_of(bridge_of(store.clone()));
    assert!(!html(&page, "/?range=all").await.contains("Developers"), "no developer is recorded");
    let mut row = response("b", 2, 32);
    row.assignment.developer = AttributionValue::new("dana").ok();
    store.upsert(&[row], &UpsertOptions::default()).await.unwrap();
    let overview = html(&page, "/?range=all").await;
    let (_, card) = overview.split_once("<h2>Developers</h2>").unwrap();
    let card = card.split("</section>").next().unwrap();
    for part in
        [r#"href="/?range=all&amp;developer=dana""#, "<bdi>dana</bdi>", ">32<", "(none)", "by=developer"]
    {
        assert!(card.contains(part), "{part} in {card}");
    }
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again() {
    let page = page_of(stored().await);
    let first = get(&page, "/?range=all").await;
    let again = Request::get("/?range=all").header("if-none-match", first.header("etag"));
    let again: Answer = send(&page, again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
}

#[tokio::test]
async fn an_outage_is_a_page_that_says_so_and_status_works_without_the_database() {
    let (proxy, store) = behind_proxy(|options| options).await;
    let page = page_of(bridge_of(store));
    proxy.set(Fault::Closed);
    let answer = get(&page, "/").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    assert!(answer.text.contains("The database is not available"), "{}", answer.text);
    let status = html(&page, "/status").await;
    assert!(status.contains("unhealthy") && status.contains("connectivity"), "{status}");
    // Once it is known, every page says so.
    let answer = get(&page, "/").await;
    assert!(
        answer.text.contains(r#"<p id="health"><a class="badge bad" href="/status">unhealthy</a>"#),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn an_empty_store_says_what_will_appear() {
    let page = page_of(bridge_of(Arc::new(InMemoryStore::default())));
    for target in ["/", "/?range=all", "/?project=p"] {
        assert!(html(&page, target).await.contains("Nothing is stored yet"), "{target}");
    }
}

#[tokio::test]
async fn filters_that_match_nothing_say_so() {
    let page = page_of(stored().await);
    let html = html(&page, "/?range=all&project=unknown").await;
    assert!(html.contains("No responses here") && html.contains("Show everything"), "{html}");
}

#[tokio::test]
async fn the_filter_form_narrows_to_a_value_or_to_the_others() {
    let page = page_of(stored().await);
    for (condition, total) in [("is", "30"), ("is-not", "17")] {
        let target = format!("/?range=all&filter=session&condition={condition}&value=a");
        let html = html(&page, &target).await;
        assert!(html.contains(&format!(r#"<span class="total">{total}</span>"#)), "{target}: {html}");
    }
}

/// Returns the suggested values of a page, each with the dimension that it is labeled with.
fn suggested(html: &str) -> Vec<(String, Option<String>)> {
    let (_, list) = html.split_once("<datalist").unwrap_or_else(|| panic!("no suggestions in {html}"));
    let options = list.split("</datalist>").next().unwrap().split("<option").skip(1);
    let named = |option: &str, name| attribute(option, name).next();
    options.map(|option| (named(option, "value").unwrap(), named(option, "label"))).collect()
}

#[tokio::test]
async fn the_filter_form_suggests_the_values_that_the_page_shows() {
    let page = page_of(stored().await);
    let all = |label: &str, values: &[&str]| -> Vec<_> {
        values.iter().map(|value| ((*value).to_owned(), Some(label.to_owned()))).collect()
    };
    let overview = suggested(&html(&page, "/?range=all").await);
    for expected in
        [all("Model", &["m-a", "m-b", "m-c"]), all("Session", &["a", "b", "c"]), all("Project", &["p"])]
    {
        assert!(expected.iter().all(|option| overview.contains(option)), "{overview:?}");
    }
    for (target, label, values, selected) in [
        ("/breakdown?range=all&by=model", "Model", &["m-a", "m-b", "m-c"], "model"),
        ("/sessions?range=all", "Session", &["a", "b", "c"], "session"),
    ] {
        let html = html(&page, target).await;
        assert_eq!(suggested(&html), all(label, values));
        assert!(html.contains(&format!(r#"<option value="{selected}" selected>"#)), "{html}");
    }
}

#[tokio::test]
async fn the_most_used_values_of_a_dimension_are_suggested_under_the_other_filters() {
    let page = page_of(stored().await);
    for (target, values) in [
        ("/suggestions?range=all&by=model", &["m-a", "m-b", "m-c"][..]),
        // What is entered replaces a condition on the same dimension.
        ("/suggestions?range=all&by=model&model=m-b", &["m-a", "m-b", "m-c"]),
        ("/suggestions?range=all&by=model&session=b&session=c", &["m-b", "m-c"]),
        ("/suggestions?from=2001-01-01&to=2001-01-02&by=model", &[]),
    ] {
        let expected: Vec<_> = values.iter().map(|value| ((*value).to_owned(), None)).collect();
        assert_eq!(suggested(&html(&page, target).await), expected, "{target}");
    }
    assert_eq!(get(&page, "/suggestions?by=mood").await.status, 400);
}

#[tokio::test]
async fn suggestions_are_bounded_and_are_text_whatever_they_hold() {
    let store = Arc::new(InMemoryStore::default());
    let named = |(key, name): (u128, &str)| {
        let mut row = response("s", key, 10_000);
        row.project = Some(ProjectName::new(name).unwrap());
        row
    };
    let many = (100..160).map(|key| {
        let mut row = response("s", key, 10);
        row.project = Some(ProjectName::new(format!("project-{key}")).unwrap());
        row
    });
    let rows: Vec<_> = (1..).zip(HOSTILE).map(named).chain(many).collect();
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let page = page_of(bridge_of(store));
    for target in ["/suggestions?range=all&by=project", "/breakdown?range=all&by=project"] {
        let html = html(&page, target).await;
        assert!(!html.contains("<script>alert") && !html.contains("onload=\"y"), "{html}");
        assert!(!html.contains('\u{202e}') && !html.contains('\u{1b}'), "{html}");
        let names: Vec<_> = suggested(&html).into_iter().map(|(name, _)| name).collect();
        // Two of the 50 hold control characters, which an input cannot show.
        let shown = [HOSTILE[0], HOSTILE[3]].iter().all(|name| names.iter().any(|known| known == name));
        assert!(shown && names.len() == 48, "{names:?}");
    }
}

#[tokio::test]
async fn a_part_of_a_session_has_the_figures_of_that_part_and_a_link_to_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let answer = |id: &str, minute: u32, tokens: u32| {
        format!(
            r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:{minute:02}:00Z","message":{{"id":"{id}","usage":{{"output_tokens":{tokens}}}}}}}"#
        )
    };
    let lines = [answer("msg_1", 0, 30), answer("msg_2", 10, 12)];
    std::fs::write(folder.path().join("s.jsonl"), lines.join("\n") + "\n").unwrap();
    let bridge = crate::builder(Arc::new(InMemoryStore::default()), &[folder.path()]).build();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let page = page_of(bridge);
    let whole = html(&page, "/sessions/s").await;
    assert!(
        whole.contains(r#"<span class="total">42</span>"#) && !whole.contains("Show the whole"),
        "{whole}"
    );
    let part = html(&page, "/sessions/s?from=2026-01-31T12:05:00Z&to=2026-01-31T12:30:00Z").await;
    assert!(part.contains(r#"<span class="total">12</span>"#) && part.contains("Part of session"), "{part}");
    let link = attribute(&part, "href").find(|link| *link == "/sessions/s");
    assert!(link.is_some(), "{part}");
}

#[tokio::test]
async fn the_trend_is_split_by_the_dimension_that_the_url_names() {
    let page = page_of(stored().await);
    let names = |html: &str| -> Vec<String> {
        let data =
            html.split(r#"<script type="application/json">"#).nth(1).unwrap().split("</script>").next();
        let data: serde_json::Value = serde_json::from_str(data.unwrap()).unwrap();
        let series = data["series"].as_array().unwrap().iter();
        series.map(|series| series["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&html(&page, "/?range=all").await), ["m-a", "m-b", "m-c"]);
    assert_eq!(names(&html(&page, "/?range=all&split=project").await), ["p"]);
    assert_eq!(names(&html(&page, "/?range=all&split=host").await), ["(none)"]);
}

#[tokio::test]
async fn the_page_of_a_session_shows_its_turns_and_tools() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = r#"{"type":"user","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{"content":"secret"}}"#;
    let answer = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:02:00Z","message":{"id":"msg_1","content":[{"type":"tool_use","name":"Bash"}],"usage":{"output_tokens":42}}}"#;
    std::fs::write(folder.path().join("s.jsonl"), format!("{prompt}\n{answer}\n")).unwrap();
    let bridge = crate::builder(Arc::new(InMemoryStore::default()), &[folder.path()]).build();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let session = html(&page_of(bridge), "/sessions/s").await;
    for part in [r#"<span class="total">42</span>"#, "Turns", "tool calls: 1", "2 min", "Bash"] {
        assert!(session.contains(part), "{part} in {session}");
    }
    assert!(!session.contains("secret"), "{session}");
}

#[tokio::test]
async fn the_filter_form_refuses_what_the_link_of_a_filter_does() {
    let page = page_of(stored().await);
    let long = "x".repeat(513);
    for target in [
        "/?filter=session&condition=is-not&value=",
        "/?session=",
        &format!("/?filter=session&condition=is&value={long}"),
        &format!("/?session={long}"),
    ] {
        let answer = get(&page, target).await;
        assert_eq!(answer.status, 400, "{target}");
        let name = if target.contains("value") { "value: " } else { "session: " };
        assert!(answer.text.contains(name), "{target}: {}", answer.text);
    }
    // Responses without a project.
    let html = html(&page, "/?range=all&filter=project&condition=is-not&value=").await;
    assert!(html.contains(r#"<span class="total">47</span>"#), "{html}");
}

#[tokio::test]
async fn the_status_says_why_a_check_is_not_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("<missing>\u{202e}");
    let bridge = crate::builder(Arc::new(InMemoryStore::default()), &[&missing]).build();
    let status = html(&page_of(bridge), "/status").await;
    let (_, reason) = status.split_once(">sources<").unwrap();
    assert!(reason.contains("check that sources.paths exist and are readable"), "{status}");
    assert!(reason.contains("&lt;missing&gt;"), "{status}");
    assert!(!status.contains("<missing>") && !status.contains('\u{202e}'), "{status}");
}

#[tokio::test]
async fn weeks_and_months_of_the_calendar_are_ranges_in_the_zone_of_the_page() {
    let store = Arc::new(InMemoryStore::default());
    let rows = [
        // Sunday and Monday, and the last of March and the first of April, in Berlin.
        ("2026-04-12T21:59:59Z", 1),
        ("2026-04-12T22:00:00Z", 10),
        ("2026-03-31T21:59:59Z", 100),
        ("2026-03-31T22:00:00Z", 1000),
        // The same parts of the week and of the month before, which had another clock.
        ("2026-04-07T12:00:00Z", 5),
        ("2026-03-15T12:59:59Z", 7),
        ("2026-03-15T13:00:00Z", 200),
    ];
    let rows = rows.map(|(time, tokens)| {
        let mut row = response("s", u128::from(tokens), tokens);
        row.time = time.parse().unwrap();
        row
    });
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let clock = Arc::new(ManualClock::new("2026-04-15T12:00:00Z".parse().unwrap()));
    let bridge = crate::builder(store, &["none".as_ref()]).clock(clock).build();
    let zone = "Europe/Berlin".parse().unwrap();
    let page = router(bridge, fresh().with_page(PageOptions::default().with_zone(zone)));
    for (range, total, phrase, before) in [
        ("week", "10", "this week", "5 by the same point"),
        ("month", "1,016", "this month", "7 by the same point"),
    ] {
        let html = html(&page, &format!("/?range={range}")).await;
        assert!(html.contains(&format!(r#"<span class="total">{total}</span>"#)), "{range}: {html}");
        assert!(html.contains(&format!("Tokens, {phrase}")), "{range}: {html}");
        assert!(html.contains(&format!(r#"title="{before}"#)), "{range}: {html}");
    }
}

#[tokio::test]
async fn pages_state_the_age_of_the_data_and_warn_when_synchronizing_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.jsonl"), line("s", 1, 40)).unwrap();
    let clock = Arc::new(ManualClock::new(now()));
    let store = Arc::new(InMemoryStore::default());
    let bridge = crate::builder(store, &[folder.path()]).clock(Arc::clone(&clock) as Arc<dyn Clock>).build();
    let page = page_of(bridge.clone());
    let is_stale =
        async || html(&page, "/?range=all").await.contains("Synchronization seems to have stopped");
    // A bridge that only reads does not know.
    assert!(!is_stale().await);
    let synchronized = now().to_string();
    let _ = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    for target in ["/?range=all", "/breakdown?range=all", "/sessions?range=all"] {
        let html = html(&page, target).await;
        let stored = html.split(r#"<p class="as-of">"#).nth(1).unwrap_or_default();
        assert!(stored.split("</time>").next().unwrap().contains(&synchronized), "{target}: {html}");
    }
    clock.set(now().saturating_add(Duration::from_mins(15)));
    assert!(!is_stale().await);
    clock.set(now().saturating_add(Duration::from_mins(15) + Duration::from_millis(1)));
    assert!(is_stale().await);
    for target in ["/sessions?range=all", "/receipt", "/status"] {
        let html = html(&page, target).await;
        assert!(html.contains("Synchronization seems to have stopped"), "{target}: {html}");
        assert!(
            html.contains(&format!(r#"<time data-relative datetime="{synchronized}""#)),
            "{target}: {html}"
        );
    }
    // Nothing has changed, which is no reason for a warning.
    let _ = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    assert!(!is_stale().await);
}
