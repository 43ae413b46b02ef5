//! Blocks over HTTP, and that they do not depend on the range.

use std::sync::Arc;

use bridge::pricing::Catalog;
use bridge::storage::{InMemoryStore, TokenStore, UpsertOptions};
use bridge::web::router;
use bridge::{BackfillOptions, ManualClock, ResponseKey, ResponseUsage, SessionId};
use bridge_testkit::fixtures::line_at;
use serde_json::{Value, json};

use crate::web::{fresh, get};

fn bounds(answer: &Value) -> Vec<String> {
    let blocks = answer["blocks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap()[..16].to_owned();
    blocks
        .map(|block| {
            format!("{} {} {}", text(&block["start"]), text(&block["end"]), block["source"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_block_is_the_same_for_every_range() {
    let store = Arc::new(InMemoryStore::default());
    let times =
        ["2026-02-01T01:30:00Z", "2026-02-01T06:10:00Z", "2026-02-01T06:50:00Z", "2026-02-03T12:00:00Z"];
    let rows = times.iter().zip(1..).map(|(time, key)| {
        let mut row =
            ResponseUsage::new(ResponseKey(key), SessionId::new("s").unwrap(), time.parse().unwrap());
        row.counts.output = 10;
        row
    });
    store.upsert(&rows.collect::<Vec<_>>(), &UpsertOptions::default()).await.unwrap();
    let clock = Arc::new(ManualClock::new("2026-02-03T13:00:00Z".parse().unwrap()));
    let service = router(crate::builder(store, &["none".as_ref()]).clock(clock).build(), fresh());
    let blocks = async |query: &str| get(&service, &format!("/api/v1/blocks{query}")).await.of("Blocks", 200);

    let all = blocks("").await;
    let expected = [
        "2026-02-01T01:00 2026-02-01T06:00 rule",
        "2026-02-01T06:00 2026-02-01T11:00 rule",
        "2026-02-03T12:00 2026-02-03T17:00 rule",
    ];
    assert_eq!(bounds(&all), expected);
    let active: Vec<_> =
        all["blocks"].as_array().unwrap().iter().map(|block| block["active"].as_bool().unwrap()).collect();
    assert_eq!(active, [false, false, true]);
    assert_eq!(all["blocks"][1]["tokens"]["total"], json!("20"));
    // The block that the range begins in is complete, and begins where it does without a range.
    let part = blocks("?from=2026-02-01T06:30:00Z&to=2026-02-01T06:45:00Z").await;
    assert_eq!(part["blocks"], json!([all["blocks"][1]]));
    assert_eq!(bounds(&blocks("?from=2026-02-01T11:00:00Z&to=2026-02-02T00:00:00Z").await), [""; 0]);
    assert_eq!(bounds(&blocks("?length=seven_days").await), ["2026-02-01T01:00 2026-02-08T01:00 rule"]);
    assert_eq!(get(&service, "/api/v1/blocks?length=day").await.of("Problem", 400)["status"], 400);
}

#[tokio::test]
async fn a_limit_that_a_session_hit_bounds_its_block_and_no_other_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let limited = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-02-01T09:00:00Z","isApiErrorMessage":true,"error":"rate_limit","quotaLimits":{"status":"rejected","rateLimitType":"five_hour","resetsAt":1769941200},"message":{"id":"msg_limit","model":"<synthetic>","content":[],"usage":{"output_tokens":0}}}"#;
    let lines = [
        line_at("s", 1, 10, "2026-02-01T05:10:00Z"),
        line_at("s", 2, 10, "2026-02-01T05:30:00Z"),
        format!("{limited}\n"),
        line_at("s", 3, 10, "2026-02-01T10:30:00Z"),
    ];
    std::fs::write(folder.path().join("s.jsonl"), lines.concat()).unwrap();
    std::fs::write(folder.path().join("t.jsonl"), line_at("t", 4, 10, "2026-02-01T05:10:00Z")).unwrap();
    let bridge = crate::builder(Arc::new(InMemoryStore::default()), &[folder.path()]).build();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let limits = bridge.sessions().limit_events(bridge::TimeRange::ALL).await.unwrap();
    assert_eq!(limits.len(), 1, "{limits:?}");
    let service = router(bridge, fresh());
    let blocks = async |query: &str| get(&service, &format!("/api/v1/blocks{query}")).await.of("Blocks", 200);
    let all = blocks("").await;
    let expected = [
        "2026-02-01T05:00 2026-02-01T05:20 rule",
        "2026-02-01T05:20 2026-02-01T10:20 recorded",
        "2026-02-01T10:20 2026-02-01T15:00 rule",
    ];
    assert_eq!(bounds(&all), expected);
    assert_eq!(
        (&all["blocks"][0]["tokens"]["total"], &all["blocks"][1]["tokens"]["total"]),
        (&json!("20"), &json!("10"))
    );
    assert!(all["blocks"][1]["limit_hit_at"].as_str().unwrap().starts_with("2026-02-01T09:00"));
    assert_eq!(bounds(&blocks("?session=t").await), ["2026-02-01T05:00 2026-02-01T10:00 rule"]);
}

#[tokio::test]
async fn costs_of_blocks_name_their_price_list_and_what_of_them_has_no_price() {
    let store: Arc<dyn TokenStore> = Arc::new(InMemoryStore::default());
    let catalog = Catalog::shipped();
    let (digest, prices) = (catalog.digest().to_string(), catalog.rows().collect::<Vec<_>>());
    let times = ["2026-02-01T01:30:00Z", "2026-02-02T01:30:00Z", "2026-02-03T12:00:00Z"];
    let models = ["claude-before", "claude-opus-4-5", "claude-next"];
    let rows = times.iter().zip(models).zip(1..).map(|((time, model), key)| {
        let mut row =
            ResponseUsage::new(ResponseKey(key), SessionId::new("s").unwrap(), time.parse().unwrap());
        (row.model, row.counts.output) = (Some(model.parse().unwrap()), 1_000_000);
        row
    });
    store.upsert(&rows.collect::<Vec<_>>(), &UpsertOptions::default()).await.unwrap();
    let clock = Arc::new(ManualClock::new("2026-02-03T13:00:00Z".parse().unwrap()));
    let builder = crate::builder(Arc::clone(&store), &["none".as_ref()]).clock(clock);
    let service = router(builder.build(), fresh());
    let blocks = async |query: &str| get(&service, &format!("/api/v1/blocks{query}")).await.of("Blocks", 200);

    let from = "?cost=true&from=2026-02-02T02:00:00Z";
    assert_eq!(blocks(from).await.get("priced_by"), None, "there is no price list");
    let now = "2026-02-03T13:00:00Z".parse().unwrap();
    assert!(store.prices().unwrap().use_prices(&digest, &prices, now).await.unwrap());
    let answer = blocks(from).await;
    assert_eq!(answer["blocks"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer["priced_by"]["digest"], json!(digest));
    // Not of the block before, which the answer lacks.
    let unpriced = answer["priced_by"]["unpriced"].as_array().unwrap();
    assert_eq!((unpriced.len(), &unpriced[0]["model"]), (1, &json!("claude-next")));
    assert_eq!(blocks("?from=2026-02-02T02:00:00Z").await.get("priced_by"), None);
}
