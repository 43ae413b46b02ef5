//! Pushed entries are counted once, and whatever else is sent is refused without being quoted.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bridge::pricing::Catalog;
use bridge::storage::{InMemoryStore, PriceStore};
use bridge::web::{EntriesOptions, router};
use bridge::{Actor, AuditFilter};
use bridge_testkit::fixtures::{line, now};
use serde_json::{Value, json};

use crate::web::{bridge_of, fresh, get, push, send, service};

const LINES: &str = "application/x-ndjson";
const ARRAY: &str = "application/json";

/// A service with an empty store that takes entries.
fn taking(options: EntriesOptions) -> Router {
    router(bridge_of(Arc::new(InMemoryStore::default())), fresh().with_entries(options))
}

async fn pushed(service: &Router, query: &str, media_type: &str, body: impl Into<Body>) -> Value {
    let target = format!("/api/v1/sessions/s/entries{query}");
    send(service, push(&target, media_type, body)).await.of("Entries", 200)
}

async fn total(service: &Router) -> Value {
    get(service, "/api/v1/totals").await.of("Totals", 200)["totals"]["tokens"]["total"].clone()
}

#[tokio::test]
async fn entries_count_once_however_often_and_in_whichever_format_they_are_pushed() {
    let service = taking(EntriesOptions::default());
    let (first, second) = (line("s", 1, 40), line("s", 2, 2));
    let answer = pushed(&service, "", LINES, first.clone() + &second).await;
    let facts = ["success", "expected", "lines_read", "lines_known", "new_responses", "tokens"];
    let facts_of = |answer: &Value| facts.map(|fact| answer[fact].clone());
    assert_eq!(facts_of(&answer), [json!(true), json!("2"), json!("2"), json!("0"), json!("2"), json!("42")]);

    let again = [json!(true), json!("2"), json!("0"), json!("2"), json!("0"), json!("0")];
    let array = format!("[{first},{second}]");
    for (query, media_type, body) in [
        ("", LINES, first.clone() + &second),
        ("?first=0", "Application/X-NDJSON; charset=utf-8", first.clone() + &second),
        ("?first=0", ARRAY, array),
    ] {
        assert_eq!(facts_of(&pushed(&service, query, media_type, body).await), again, "{query} {media_type}");
    }
    // A beginning that is known, and an entry that is not.
    let answer = pushed(&service, "?first=1", LINES, second + &line("s", 3, 8)).await;
    let rest = [json!(true), json!("3"), json!("1"), json!("1"), json!("1"), json!("8")];
    assert_eq!(facts_of(&answer), rest);
    assert_eq!(total(&service).await, "50");
    assert_eq!(get(&service, "/api/v1/sessions/s").await.of("Session", 200)["lines"], "3");
}

#[tokio::test]
async fn a_push_states_its_cost_if_it_is_asked_to() {
    let store = Arc::new(InMemoryStore::default());
    let catalog = Catalog::shipped();
    let prices: Vec<_> = catalog.rows().collect();
    store.use_prices(&catalog.digest().to_string(), &prices, now()).await.unwrap();
    let options = fresh().with_entries(EntriesOptions::default());
    let service = router(bridge_of(store), options);
    let priced = |id, output| {
        let mut entry: Value = serde_json::from_str(&line("s", id, output)).unwrap();
        entry["message"]["model"] = json!("claude-opus-4-20250514");
        entry.to_string() + "\n"
    };
    let (partial, whole) = (priced(1, 1_000), priced(1, 2_000));
    let answer = pushed(&service, "?first=0", LINES, partial.clone()).await;
    assert_eq!(
        (&answer["tokens"], answer.get("cost_change")),
        (&json!("1000"), None),
        "it was not asked for"
    );
    // Another snapshot of the response: a thousand more tokens of output at $75 per million.
    let answer = pushed(&service, "?first=1&cost=true", LINES, whole.clone()).await;
    let change = &answer["cost_change"];
    let amounts = [&change["amount"], &change["added"]["amount"], &change["removed"]["amount"]];
    assert_eq!(amounts, ["0.075", "0.15", "0.075"]);
    let answer = pushed(&service, "?first=1&cost=true", LINES, whole).await;
    assert_eq!((&answer["tokens"], answer.get("cost_change")), (&json!("0"), None), "nothing changed");
    let unpriced = pushed(&taking(EntriesOptions::default()), "?cost=true", LINES, partial).await;
    assert_eq!(
        (&unpriced["tokens"], unpriced.get("cost_change")),
        (&json!("1000"), None),
        "there are no prices"
    );
}

#[tokio::test]
async fn a_subagent_a_project_and_a_host_are_named_by_parameters() {
    let service = taking(EntriesOptions::default());
    let _ = pushed(&service, "", LINES, line("s", 1, 40)).await;
    let query = "?first=0&subpath=subagents/agent-7&project_key=-home-me-app&host=runner";
    assert_eq!(pushed(&service, query, LINES, line("s", 2, 2)).await["tokens"], "2");
    let session = get(&service, "/api/v1/sessions/s").await.of("Session", 200);
    assert_eq!((&session["files"], &session["hosts"]), (&json!("2"), &json!(["host", "runner"])));
    assert_eq!(session["projects"], json!(["-home-me-app"]));
}

#[tokio::test]
async fn a_gap_is_a_conflict_that_says_which_entry_comes_next() {
    let service = taking(EntriesOptions::default());
    let _ = pushed(&service, "?first=0", LINES, line("s", 1, 40)).await;
    let request = push("/api/v1/sessions/s/entries?first=3", LINES, line("s", 9, 2));
    let problem = send(&service, request).await.of("Problem", 409);
    assert_eq!(problem["type"], "urn:problem-type:bridge:out-of-order");
    assert_eq!(problem["expected"], "1");
    assert_eq!(problem["detail"], "begins at entry 3, but entry 1 comes next");
    assert_eq!(total(&service).await, "40");
}

#[tokio::test]
async fn damage_is_counted_and_what_is_no_array_is_refused_without_being_quoted() {
    let service = taking(EntriesOptions::default());
    let text = line("s", 1, 40) + "{\"secret\": tru}\n" + &line("s", 2, 2) + "{\"secret\": ";
    let answer = pushed(&service, "", LINES, text).await;
    let damage = json!({"bad_lines": "1", "bad_usage": "0", "oversize_lines": "0", "pending_lines": "1"});
    assert_eq!(
        (&answer["damage"], &answer["tokens"], &answer["expected"]),
        (&damage, &json!("42"), &json!("3"))
    );

    for body in ["{\"a\": \"secret\"}", "[{\"a\": \"secret\"}, secret]", "\"secret", ""] {
        let answer = send(&service, push("/api/v1/sessions/s/entries", ARRAY, body)).await;
        assert_eq!(answer.of("Problem", 400)["type"], "urn:problem-type:bridge:invalid-entries");
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
    assert_eq!(total(&service).await, "42");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let text = line("s", 1, 40);
    let service = taking(EntriesOptions::default().with_body_bytes_max(text.len()));
    let longer = format!("{text}\n");
    let announced = Request::post("/api/v1/sessions/s/entries")
        .header("content-type", LINES)
        .header("content-length", longer.len())
        .body(Body::empty());
    for request in [announced.unwrap(), push("/api/v1/sessions/s/entries", LINES, longer)] {
        let problem = send(&service, request).await.of("Problem", 413);
        assert_eq!(problem["detail"], format!("the body exceeds {} bytes", text.len()));
    }
    assert_eq!(pushed(&service, "", LINES, text).await["tokens"], "40");

    // Other resources read no body, and their limit is another one.
    let service = taking(EntriesOptions::default());
    let many: String = (0..200).map(|id| line("s", id, 1)).collect();
    let announced = Request::get("/api/v1/totals").header("content-length", many.len()).body(Body::empty());
    let _ = send(&service, announced.unwrap()).await.of("Problem", 413);
    assert_eq!(pushed(&service, "", LINES, many).await["new_responses"], "200");
}

#[tokio::test]
async fn only_uncompressed_ndjson_and_json_are_taken() {
    let service = taking(EntriesOptions::default());
    let request = || Request::post("/api/v1/sessions/s/entries");
    for request in [
        request(),
        request().header("content-type", "text/plain"),
        request().header("content-type", "application/jsonx"),
        request().header("content-type", "application/x-www-form-urlencoded"),
        request().header("content-type", LINES).header("content-encoding", "gzip"),
    ] {
        let problem = send(&service, request.body(line("s", 1, 40).into()).unwrap()).await.of("Problem", 415);
        assert_eq!(problem["type"], "urn:problem-type:bridge:unsupported-media-type");
    }
    assert_eq!(total(&service).await, "0");
}

#[tokio::test]
async fn parameters_that_are_not_valid_are_named() {
    let service = taking(EntriesOptions::default());
    for (target, wrong) in [
        ("s/entries?first=-1", "first"),
        ("s/entries?first=18446744073709551616", "first"),
        ("s/entries?subpath=", "subpath"),
        ("s/entries?project_key=", "project_key"),
        ("s/entries?host=", "host"),
        ("s/entries?position=1", "position"),
        ("%FF/entries", "id"),
    ] {
        let request = push(&format!("/api/v1/sessions/{target}"), LINES, line("s", 1, 40));
        let problem = send(&service, request).await.of("Problem", 400);
        assert_eq!(problem["errors"][0]["parameter"], wrong, "{target}");
    }
    assert_eq!(total(&service).await, "0");
}

#[tokio::test]
async fn entries_are_taken_only_if_the_options_say_so() {
    let request = || push("/api/v1/sessions/a/entries", LINES, line("a", 9, 40));
    let reading = service().await;
    let _ = send(&reading, request()).await.of("Problem", 404);
    assert_eq!(total(&reading).await, "47");

    let service = taking(EntriesOptions::default());
    let answer = get(&service, "/api/v1/sessions/a/entries").await;
    let _ = answer.of("Problem", 405);
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn who_pushed_and_in_which_trace_is_on_record() {
    let bridge = bridge_of(Arc::new(InMemoryStore::default()));
    let options = fresh().with_entries(EntriesOptions::default()).with_actor(|_| Actor::new("runner").ok());
    let service = router(bridge.clone(), options);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4702";
    let mut request = push("/api/v1/sessions/s/entries", LINES, line("s", 1, 40));
    let header = format!("00-{trace}-00f067aa0ba902b7-01");
    request.headers_mut().insert("traceparent", header.parse().unwrap());
    let answer = send(&service, request).await;
    let _ = answer.of("Entries", 200);
    assert_eq!(answer.header("x-correlation-id"), trace);
    let audit = bridge.audit_log(&AuditFilter::default()).await.unwrap();
    let record = &audit[0];
    assert_eq!((audit.len(), record.operation.as_str(), record.tokens), (1, "append", 40));
    assert_eq!(record.actor.as_ref().map(Actor::as_str), Some("runner"));
    assert_eq!(record.correlation_id.to_string(), trace);
}
