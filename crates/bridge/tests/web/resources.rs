//! Each resource answers what the store holds, in the form of the schema.

use std::sync::Arc;

use bridge::storage::{InMemoryStore, PriceStore, TokenStore, UpsertOptions};
use bridge::web::{WebOptions, router};
use bridge::{Actor, ModelName, StoreOptions, SummaryQuery};
use bridge_core::AttributionValue;
use bridge_testkit::fixtures::{analysis, now};
use serde_json::{Value, json};

use crate::web::{bridge_of, fresh, get, row, service, stored};

fn names(page: &Value) -> Vec<&str> {
    page["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn totals_are_those_of_the_responses_that_the_parameters_select() {
    let service = service().await;
    for (query, total, responses) in [
        ("", "47", "4"),
        ("?session=a", "30", "2"),
        ("?model=m-b&project=p", "12", "1"),
        ("?project=", "0", "0"),
        ("?host=other", "0", "0"),
        ("?from=2026-03-01T00:00:00Z", "47", "4"),
        ("?to=2026-03-01T00:00:00Z", "0", "0"),
        ("?days=1&zone=Europe/Berlin", "47", "4"),
    ] {
        let totals = get(&service, &format!("/api/v1/totals{query}")).await.of("Totals", 200);
        let found = (&totals["totals"]["tokens"]["total"], &totals["totals"]["responses"]);
        assert_eq!(found, (&json!(total), &json!(responses)), "{query}");
    }
}

#[tokio::test]
async fn pages_of_sessions_add_up_and_are_ordered() {
    let service = service().await;
    let page =
        async |query: &str| get(&service, &format!("/api/v1/sessions{query}")).await.of("GroupPage", 200);
    let first = page("?limit=2").await;
    assert_eq!(
        (names(&first), &first["next_offset"], &first["groups"]),
        (vec!["a", "b"], &json!(2), &json!("3"))
    );
    assert_eq!((&first["other_tokens"], &first["other_responses"]), (&json!("5"), &json!("1")));
    let second = page("?limit=2&offset=2").await;
    assert_eq!((names(&second), &second["next_offset"]), (vec!["c"], &Value::Null));
    let beyond = page("?offset=4294967295").await;
    assert_eq!((names(&beyond), &beyond["next_offset"]), (vec![], &Value::Null));
    assert_eq!(names(&page("?order=name&direction=ascending").await), ["a", "b", "c"]);
    assert_eq!(names(&page("?order=name").await), ["c", "b", "a"]);
    assert_eq!(names(&page("?model=m-c").await), ["c"]);
}

#[tokio::test]
async fn breakdowns_are_by_the_dimension_asked_for() {
    let service = service().await;
    for (by, rows) in [
        ("", vec!["m-a", "m-b", "m-c"]),
        ("?by=model", vec!["m-a", "m-b", "m-c"]),
        ("?by=project", vec!["p"]),
        ("?by=host", vec![""]),
        ("?by=session&limit=1", vec!["a"]),
    ] {
        let page = get(&service, &format!("/api/v1/breakdown{by}")).await.of("GroupPage", 200);
        assert_eq!(names(&page), rows, "{by}");
    }
}

/// A store whose responses come from branches and skills.
async fn attributed() -> axum::Router {
    let store = Arc::new(InMemoryStore::default());
    let of = |key: u128, output, branch: &str, skill: &str| {
        let mut row = row("s", key, output);
        row.attribution.branch = AttributionValue::new(branch).ok();
        row.attribution.skill = AttributionValue::new(skill).ok();
        row.thinking_tokens = (branch == "main").then_some(output / 2);
        row
    };
    let rows =
        [of(1, 8, "main", ""), of(2, 4, "release", "pdf"), of(3, 2, "", "pdf"), of(4, 1, "main", "xlsx")];
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    router(bridge_of(store), fresh())
}

#[tokio::test]
async fn any_dimension_selects_responses() {
    let service = attributed().await;
    for (query, total) in [
        ("branch=main", "9"),
        ("branch=main&branch=release", "13"),
        ("branch!=main", "6"),
        ("branch!=main&branch!=release", "2"),
        ("branch=main&skill!=", "1"),
        ("branch=", "2"),
        ("skill=pdf&branch!=", "4"),
        ("day=2026-03-01&origin=assistant", "15"),
        ("speed=fast", "0"),
    ] {
        let totals = get(&service, &format!("/api/v1/totals?{query}")).await.of("Totals", 200);
        assert_eq!(totals["totals"]["tokens"]["total"], total, "{query}");
    }
}

#[tokio::test]
async fn any_dimension_is_broken_down_and_listed_beside_the_others() {
    let service = attributed().await;
    let page = get(&service, "/api/v1/breakdown?by=branch&extra=true").await.of("GroupPage", 200);
    assert_eq!(names(&page), ["main", "release", ""]);
    let thinking: Vec<_> =
        page["rows"].as_array().unwrap().iter().map(|row| &row["thinking_tokens"]).collect();
    assert_eq!(thinking, [&json!("4"), &Value::Null, &Value::Null]);
    let dashboard = get(&service, "/api/v1/dashboard?by=skill&by=branch&by=model").await.of("Dashboard", 200);
    assert_eq!(names(&dashboard["breakdowns"]["skill"]), ["", "pdf", "xlsx"]);
    assert_eq!(names(&dashboard["breakdowns"]["branch"]), ["main", "release", ""]);
    assert_eq!(
        (dashboard["breakdowns"].as_object().unwrap().len(), names(&dashboard["models"])),
        (2, vec!["m-s"])
    );
    let session = get(&service, "/api/v1/sessions/s").await.of("Session", 200);
    assert_eq!(session["attribution"], json!({"branch": ["main", "release"], "skill": ["pdf", "xlsx"]}));
    assert_eq!(session["thinking_tokens"], "4");
    let problem = get(&service, "/api/v1/breakdown?by=mood").await.of("Problem", 400);
    assert!(problem["detail"].as_str().unwrap().contains("mcp_server"), "{problem}");
}

#[tokio::test]
async fn the_period_before_is_beside_the_range() {
    let service = service().await;
    let before = "from=2026-03-02T00:00:00Z&to=2026-03-04T00:00:00Z&previous=true";
    for (resource, definition) in [("totals", "Totals"), ("trend", "Trend"), ("dashboard", "Dashboard")] {
        let answer = get(&service, &format!("/api/v1/{resource}?{before}")).await.of(definition, 200);
        let range = json!({"start": "2026-02-28T00:00:00.000Z", "end": "2026-03-02T00:00:00.000Z"});
        assert_eq!(answer["previous"]["range"], range);
        assert_eq!(answer["previous"]["totals"]["tokens"]["total"], "47");
    }
    for without in ["previous=true", "from=2026-03-02T00:00:00Z", "from=2026-03-02T00:00:00Z&previous=false"]
    {
        let totals = get(&service, &format!("/api/v1/totals?{without}")).await.of("Totals", 200);
        assert_eq!(totals["previous"], Value::Null, "{without}");
    }
}

#[tokio::test]
async fn a_trend_has_the_steps_asked_for() {
    let service = service().await;
    let target =
        "/api/v1/trend?from=2026-02-27T23:00:00Z&to=2026-03-01T23:00:00Z&step=day&zone=Europe/Berlin";
    let trend = get(&service, target).await.of("Trend", 200);
    let buckets = trend["buckets"].as_array().unwrap();
    let starts: Vec<_> = buckets.iter().map(|bucket| bucket["local_start"].as_str().unwrap()).collect();
    assert_eq!(starts, ["2026-02-28T00:00:00+01:00", "2026-03-01T00:00:00+01:00"]);
    assert_eq!(buckets[1]["tokens"]["total"], "47");
    assert_eq!((&trend["step"], &trend["zone"]), (&json!("day"), &json!("Europe/Berlin")));
}

#[tokio::test]
async fn a_dashboard_is_everything_of_one_moment() {
    let service = service().await;
    let dashboard = get(&service, "/api/v1/dashboard?limit=1&step=month").await.of("Dashboard", 200);
    assert_eq!(dashboard["totals"]["tokens"]["total"], "47");
    assert_eq!(names(&dashboard["sessions"]), ["a"]);
    assert_eq!(dashboard["models"]["groups"], "3");
    assert_eq!(dashboard["trend"]["step"], "month");
}

#[tokio::test]
async fn a_session_is_found_by_its_id_whatever_characters_it_has() {
    let store = Arc::new(InMemoryStore::default());
    let odd = "a/b c\u{1b}\u{e9}?#%";
    store.upsert(&[row("s", 1, 42), row(odd, 2, 7)], &UpsertOptions::default()).await.unwrap();
    let service = router(bridge_of(store), fresh());
    let session = get(&service, "/api/v1/sessions/s").await.of("Session", 200);
    assert_eq!((&session["session_id"], &session["tokens"]["total"]), (&json!("s"), &json!("42")));
    assert_eq!(session["models"], json!(["m-s"]));
    let session = get(&service, "/api/v1/sessions/a%2Fb%20c%1B%C3%A9%3F%23%25").await.of("Session", 200);
    assert_eq!((&session["session_id"], &session["tokens"]["total"]), (&json!(odd), &json!("7")));
    let problem = get(&service, "/api/v1/sessions/none").await.of("Problem", 404);
    assert_eq!(problem["type"], "urn:problem-type:bridge:unknown-session");
    assert_eq!(problem["instance"], "/api/v1/sessions/none");
}

#[tokio::test]
async fn the_receipt_adds_up() {
    let receipt = get(&service().await, "/api/v1/receipt").await.of("Receipt", 200);
    assert_eq!(receipt["total"], json!({"count": "4", "tokens": "47"}));
    assert_eq!(receipt["kept"], receipt["total"]);
}

/// A sum beyond 2^53 is exact, up to the greatest number of 64 bits.
#[tokio::test]
async fn great_numbers_keep_every_digit() {
    let store = Arc::new(InMemoryStore::default());
    let rows = [row("s", 1, (1 << 53) + 1), row("t", 2, u64::MAX)];
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let service = router(bridge_of(store), fresh());
    let page = get(&service, "/api/v1/sessions").await.of("GroupPage", 200);
    let totals: Vec<_> = page["rows"].as_array().unwrap().iter().map(|row| &row["tokens"]["total"]).collect();
    assert_eq!(totals, ["18446744073709551615", "9007199254740993"]);
    assert_eq!(
        get(&service, "/api/v1/totals").await.json()["totals"]["tokens"]["total"],
        "18446744073709551615"
    );
}

#[tokio::test]
async fn pages_of_the_audit_add_up_and_are_filtered() {
    let bridge = stored().await;
    let mallory = Actor::new("mallory\u{202e}").unwrap();
    for key in 0..5 {
        let asked = if key % 2 == 0 { bridge.clone() } else { bridge.with_actor(mallory.clone()) };
        let analysis = analysis("a", 100 + key, &[1]);
        let _ = asked.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap();
        let _ = asked.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    }
    let service = router(bridge, fresh());
    let page = async |query: &str| get(&service, &format!("/api/v1/audit{query}")).await.of("AuditPage", 200);
    let ids = |page: &Value| {
        let records = page["records"].as_array().unwrap().iter();
        records.map(|record| record["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let whole = page("").await;
    assert_eq!((ids(&whole).len(), &whole["next"]), (10, &Value::Null));
    let (mut listed, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = page(&query).await;
        listed.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=3&after={next}");
    }
    assert_eq!(listed, ids(&whole));
    for (query, records) in [
        ("?operation=store_enhanced_analysis", 5),
        ("?operation=store_enhanced_analysis&limit=5", 5),
        ("?actor=mallory%E2%80%AE", 4),
        ("?actor=nobody", 0),
        ("?session=a", 5),
        ("?outcome=failed", 0),
        ("?to=2026-03-01T00:00:00Z", 0),
        ("?correlation_id=00000000000000000000000000000000", 0),
    ] {
        let page = page(query).await;
        assert_eq!((ids(&page).len(), &page["next"]), (records, &Value::Null), "{query}");
    }
    let id = whole["records"][0]["correlation_id"].as_str().unwrap();
    let one = page(&format!("?correlation_id={id}")).await;
    assert_eq!(one["records"], json!([whole["records"][0]]));
}

#[tokio::test]
async fn health_has_the_states_of_the_probes_and_no_texts() {
    let service = service().await;
    let health = get(&service, "/api/v1/health").await;
    // The transcripts' folder does not exist.
    assert!(!health.text.contains("none"), "{}", health.text);
    let health = health.of("Health", 503);
    let states = health["probes"].as_array().unwrap();
    assert!(states.contains(&json!({"probe": "connectivity", "state": "healthy", "duration_seconds": states[0]["duration_seconds"]})));
    assert_eq!(get(&service, "/health/live").await.of("Status", 200)["status"], "live");
    assert_eq!(get(&service, "/health/ready").await.of("Status", 200)["status"], "ready");
}

#[tokio::test]
async fn metrics_are_what_the_embedder_renders() {
    let bridge = stored().await;
    let rendering = WebOptions::default().with_metrics(|| "bridge_health_state 0\n".to_owned());
    let metrics = get(&router(bridge.clone(), rendering), "/metrics").await;
    assert_eq!((metrics.status.as_u16(), &*metrics.text), (200, "bridge_health_state 0\n"));
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let _ = get(&router(bridge, fresh()), "/metrics").await.of("Problem", 404);
}

/// With the parameter, each sum of each answer has its cost; without it none has, and without a price nothing is 0.
#[tokio::test]
async fn costs_are_in_every_sum_that_asks_for_them() {
    let store = Arc::new(InMemoryStore::default());
    let opus = |session, key| {
        let mut row = row(session, key, 1_000);
        row.model = Some(ModelName::new("claude-opus-4-20250514").unwrap());
        row
    };
    let rows = [opus("a", 1), opus("b", 2), row("c", 3, 50)];
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let catalog = bridge::pricing::Catalog::shipped();
    let (digest, prices) = (catalog.digest().to_string(), catalog.rows().collect::<Vec<_>>());
    store.use_prices(&digest, &prices, now()).await.unwrap();
    let router = router(bridge_of(store), fresh());
    for (target, definition, pointer, value) in [
        ("totals?cost=1", "Totals", "/totals/cost/amount", "0.15"),
        ("totals?cost=true", "Totals", "/totals/cost/unpriced_tokens", "50"),
        ("totals?cost=1", "Totals", "/priced_by/unpriced/0/model", "m-c"),
        ("totals?cost=1", "Totals", "/priced_by/digest", &digest),
        ("totals?cost=1&previous=true&days=1", "Totals", "/previous/totals/cost/amount", "0"),
        ("trend?cost=1&split=model&step=month", "Trend", "/series/0/costs/0/amount", "0.15"),
        ("sessions?cost=1&limit=1", "GroupPage", "/other_cost/amount", "0.075"),
        ("sessions?order=cost&direction=ascending", "GroupPage", "/rows/0/name", "c"),
        ("breakdown?by=speed&cost=1", "GroupPage", "/rows/0/cost/list", "0.15"),
        ("dashboard?cost=1", "Dashboard", "/models/rows/0/cost/without_cache", "0.15"),
        (&format!("totals?prices={digest}"), "Totals", "/totals/cost/amount", "0.15"),
        ("sessions/a?cost=1", "Session", "/cost/amount", "0.075"),
        ("sessions/c?cost=true", "Session", "/cost/unpriced_tokens", "50"),
    ] {
        let answer = get(&router, &format!("/api/v1/{target}")).await.of(definition, 200);
        assert_eq!(answer.pointer(pointer), Some(&json!(value)), "{target}: {answer:#}");
    }
    let without = get(&router, "/api/v1/dashboard").await.text;
    assert!(!without.contains("cost") && !without.contains("priced"), "{without}");
    let without = get(&router, "/api/v1/sessions/a").await.of("Session", 200);
    assert_eq!(without.get("cost"), None);
    let _ = get(&router, "/api/v1/totals?prices=EVIL").await.of("Problem", 400);
    let never_stored = format!("/api/v1/totals?prices={}", "0".repeat(32));
    let problem = get(&router, &never_stored).await.of("Problem", 404);
    assert_eq!(problem["type"], "urn:problem-type:bridge:unknown-prices");
}
