//! The dashboards and alert rules in `dashboards`: every query runs on the engine, every metric exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bridge::pricing::Catalog;
use bridge::storage::{
    AuditStore, ClickHouseOptions, ClickHouseStore, PriceStore, ProjectStore, SourceRecord, TokenStore,
    UpsertOptions,
};
use bridge::{Clock, HostName, ModelName, ProjectName, ResponseUsage, SessionId, SystemClock, Timestamp};
use bridge_core::{
    Assignment, AttributionValue, AuditId, AuditRecord, CorrelationId, OperationName, ProjectRecord,
};
use bridge_testkit::engine::{TestDatabase, engine};
use bridge_testkit::fixtures::response;
use clickhouse::Client;
use serde_json::Value;

fn read(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dashboards").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dashboard(file: &str) -> Value {
    serde_json::from_str(&read(file)).unwrap()
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no {pointer}")).iter()
}

/// The values of the dashboard's variables, as their queries return them; `None` for "All".
#[derive(Clone, Copy)]
struct Variables<'a> {
    host: Option<&'a str>,
    project: Option<&'a str>,
    model: Option<&'a str>,
    developer: Option<&'a str>,
}

const ALL: Variables<'_> = Variables { host: None, project: None, model: None, developer: None };

/// Expands the macros of the ClickHouse data source 4.x, over the hour around `now`.
fn expand(sql: &str, now: Timestamp, variables: &Variables<'_>) -> String {
    let millis = |offset: i64| format!("fromUnixTimestamp64Milli({})", now.as_millis() + offset);
    let (from, to) = (millis(-1_800_000), millis(1_800_000));
    let mut sql = sql
        .replace("$__timeFilter_ms(time)", &format!("time >= {from} AND time <= {to}"))
        .replace("$__timeInterval(time)", "toStartOfInterval(toDateTime(time), INTERVAL 60 second)")
        .replace("${prefix:raw}", "");
    let values = [
        ("host", variables.host),
        ("project", variables.project),
        ("model", variables.model),
        ("developer", variables.developer),
    ];
    for (name, value) in values {
        let quoted = format!("${{{name}:singlequote}}");
        let end = format!(", ${name})");
        while let Some(at) = sql.find(&end) {
            let start = sql[..at].rfind("$__conditionalAll(").unwrap();
            let condition = &sql[start + "$__conditionalAll(".len()..at];
            let expanded = match value {
                Some(value) => condition.replace(&quoted, &single_quoted(value)),
                None => "1=1".to_owned(),
            };
            sql.replace_range(start..at + end.len(), &expanded);
        }
    }
    assert!(!sql.contains('$'), "an unknown macro or variable in {sql}");
    sql
}

/// Grafana's format `singlequote`, which escapes nothing but quotes.
fn single_quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "\\'"))
}

/// Responses of two hosts, one of them of a model without a price, and the transcript of the first.
async fn stored(now: Timestamp) -> (TestDatabase, Client) {
    let database = TestDatabase::of_this_test();
    let store = ClickHouseStore::new(ClickHouseOptions::from_url(&database.writer_url()).unwrap()).unwrap();
    store.migrate().await.unwrap();
    let row = |session, key, tokens, host, model| -> ResponseUsage {
        let mut row = response(session, key, tokens);
        row.time = now;
        row.host = HostName::new(host).ok();
        row.model = ModelName::new(model).ok();
        // Renamed since.
        row.project = ProjectName::new("/projects/old").ok();
        row
    };
    let mut renamed = ProjectRecord::new(ProjectName::new("/projects/old").unwrap(), now);
    renamed.current = ProjectName::new("/projects/p").unwrap();
    store.put_project_records(&[renamed]).await.unwrap();
    let rows = [row("a", 1, 1_000, "laptop", "claude-opus-4-6"), row("b", 2, 500, "ci", "claude-next")];
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let mut source =
        SourceRecord::new(HostName::new("laptop").unwrap(), "a.jsonl".into(), SessionId::new("a").unwrap());
    (source.snapshots, source.snapshot_tokens, source.read_at) = (3, 2_000, now);
    let day_ago = now.saturating_sub(Duration::from_hours(24));
    let of_host = |name: &str| SourceRecord {
        host: HostName::new(name).unwrap(),
        read_at: day_ago,
        snapshots: 0,
        snapshot_tokens: 0,
        ..source.clone()
    };
    store.put_sources(&[of_host("idle"), of_host("gone"), source.clone()]).await.unwrap();
    let operation = OperationName::new("sync_all_sessions").unwrap();
    let mut synchronized = AuditRecord::new(AuditId::new(now, 1, 1), now, CorrelationId(1), operation);
    synchronized.host = HostName::new("idle").ok();
    store.put_audit(&[synchronized]).await.unwrap();
    let catalog = Catalog::shipped();
    store.use_prices(&catalog.digest().to_string(), &catalog.rows().collect::<Vec<_>>(), now).await.unwrap();
    // As the user of dashboards, who may only read.
    let endpoint = engine().endpoint();
    let client = Client::default()
        .with_url(&endpoint.url)
        .with_database(&database.name)
        .with_user(&endpoint.reader.user)
        .with_password(&*endpoint.reader.password);
    (database, client)
}

async fn query(client: &Client, sql: &str) -> Vec<Value> {
    let read = async { client.query(sql).fetch_bytes("JSONCompact")?.collect().await };
    let answer = read.await.unwrap_or_else(|error| panic!("{error}\nin {sql}"));
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    items(&answer, "/data").cloned().collect()
}

#[tokio::test]
async fn every_query_of_the_token_dashboard_runs_and_shows_what_is_stored() {
    let now = SystemClock.now();
    let (_database, client) = stored(now).await;
    let dashboard = dashboard("grafana/tokens.json");
    for variable in items(&dashboard, "/templating/list").filter(|variable| variable["type"] == "query") {
        let sql = expand(variable["query"].as_str().unwrap(), now, &ALL);
        let expected = usize::from(variable["name"] != "developer");
        assert!(query(&client, &sql).await.len() >= expected, "{}", variable["name"]);
    }
    let laptop = Variables { host: Some("laptop"), project: Some("/projects/p"), ..ALL };
    let absent = Variables { model: Some("gpt-5"), developer: Some("absent"), ..ALL };
    for panel in items(&dashboard, "/panels") {
        let title = panel["title"].as_str().unwrap();
        for target in items(panel, "/targets") {
            let sql = target["rawSql"].as_str().unwrap();
            let rows = query(&client, &expand(sql, now, &ALL)).await;
            assert!(!rows.is_empty(), "{title} shows nothing");
            let narrowed = query(&client, &expand(sql, now, &laptop)).await;
            query(&client, &expand(sql, now, &absent)).await;
            let integers = || (rows[0][0].as_u64(), narrowed[0][0].as_u64());
            match title {
                "Tokens" => assert_eq!(integers(), (Some(1_500), Some(1_000))),
                "Sessions" => assert_eq!(integers(), (Some(2), Some(1))),
                "Unpriced tokens" => {
                    assert_eq!(rows[0][0].as_f64(), Some(500.0 / 1_500.0));
                    assert_eq!(narrowed[0][0].as_f64(), Some(0.0));
                }
                // 1,000 tokens of output at $25 a million.
                "Cost, at least" => {
                    assert_eq!((rows[0][0].as_f64(), narrowed[0][0].as_f64()), (Some(0.025), Some(0.025)))
                }
                "Unpriced models" => assert_eq!(rows[0][0], "claude-next"),
                // Renamed; 1,000 of the 1,500 tokens have a price.
                "Projects" => assert_eq!(rows, [serde_json::json!(["/projects/p", 1_500, 0.025, 2])]),
                "Hosts" => assert_eq!(rows[1], serde_json::json!(["ci", 500, null, 1])),
                "Sessions by tokens" => {
                    let (projects, cost) = (&rows[0][1], rows[0][4].as_f64());
                    assert_eq!((projects.as_str(), cost), (Some("/projects/p"), Some(0.025)));
                }
                "Freshness by host" => {
                    let silent: Vec<_> = rows.iter().map(|row| (&row[0], row[2].as_u64())).collect();
                    let host = |name: &str| silent.iter().find(|(host, _)| *host == name).unwrap().1;
                    // The one has stored nothing for a day, and synchronized since.
                    assert!(host("idle") < Some(600), "{silent:?}");
                    assert!(host("gone") > Some(86_000), "{silent:?}");
                }
                "Receipt of the whole store" => {
                    let tokens: Vec<_> = rows.iter().map(|row| row[1].as_i64().unwrap()).collect();
                    assert_eq!(tokens, [2_000, 500, -1_000, 1_500]);
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn variables_filter_by_names_of_any_form() {
    let now = SystemClock.now();
    let (database, client) = stored(now).await;
    let store = ClickHouseStore::new(ClickHouseOptions::from_url(&database.writer_url()).unwrap()).unwrap();
    let names = [r"C:\new", r"C:\work\", r"\\server\share", "O'Brien", r"a\'b", r"\'"];
    for (tokens, name) in (1_u64..).zip(names) {
        let mut row = response("c", 100 + u128::from(tokens), tokens);
        row.time = now;
        row.project = ProjectName::new(name).ok();
        let developer = AttributionValue::new(name).ok();
        row.assignment = Assignment { developer, ..Assignment::default() }.into();
        store.upsert(&[row], &UpsertOptions::default()).await.unwrap();
    }
    let dashboard = dashboard("grafana/tokens.json");
    let panel = items(&dashboard, "/panels").find(|panel| panel["title"] == "Tokens").unwrap();
    let panel = panel.pointer("/targets/0/rawSql").and_then(Value::as_str).unwrap();
    for variable in ["project", "developer"] {
        let mut variables = items(&dashboard, "/templating/list");
        let query_of = variables.find(|candidate| candidate["name"] == variable).unwrap()["query"].as_str();
        // The data source takes the first column for the value, and the second for the text that is shown.
        let values = query(&client, &expand(query_of.unwrap(), now, &ALL)).await;
        for (tokens, name) in (1_u64..).zip(names) {
            let value = values.iter().find(|value| value[1] == *name).unwrap_or_else(|| panic!("no {name}"));
            let value = value[0].as_str();
            let selected = match variable {
                "project" => Variables { project: value, ..ALL },
                _ => Variables { developer: value, ..ALL },
            };
            let rows = query(&client, &expand(panel, now, &selected)).await;
            assert_eq!(rows[0][0].as_u64(), Some(tokens), "{variable} {name}");
        }
    }
}

#[test]
fn panels_do_not_overlap_and_take_their_source_from_the_variable() {
    for file in ["grafana/tokens.json", "grafana/service.json"] {
        let dashboard = dashboard(file);
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in items(&dashboard, "/panels") {
            let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{}", panel["title"]);
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{file}: {} covers another panel", panel["title"]);
                }
            }
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {} twice", panel["id"]);
            assert_eq!(panel["datasource"]["uid"], "${datasource}");
        }
    }
}

#[test]
fn dashboards_and_alerts_name_metrics_that_exist() {
    let known: BTreeSet<_> = bridge::metrics::METRICS.iter().map(|metric| metric.name).collect();
    for file in ["grafana/service.json", "prometheus/alerts.yml", "prometheus/alerts_test.yml"] {
        let text = read(file);
        let mut named = 0;
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if word.starts_with("bridge_") {
                let name = word.strip_suffix("_bucket").unwrap_or(word);
                assert!(known.contains(name), "{file}: {word} is no metric");
                named += 1;
            }
        }
        assert!(named > 5, "{file} names {named} metrics");
    }
}
