//! The state of the budgets over HTTP.

use std::sync::Arc;

use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, Budgets};
use bridge::pricing::Catalog;
use bridge::storage::{InMemoryStore, TokenStore, UpsertOptions};
use bridge::web::router;
use bridge::{Dimension, ManualClock};
use bridge_testkit::fixtures::now;
use serde_json::{Value, json};

use crate::web::{fresh, get, row};

#[tokio::test]
async fn budgets_are_narrowed_and_in_order() {
    let store = Arc::new(InMemoryStore::default());
    store.upsert(&[row("a", 1, 30), row("b", 2, 12)], &UpsertOptions::default()).await.unwrap();
    let tokens =
        |name: &str, limit| Budget::new(name, BudgetAmount::Tokens(limit), BudgetPeriod::Day).unwrap();
    let money = BudgetAmount::Money("0.5".parse().unwrap());
    let budgets = Budgets::new([
        tokens("z", 41),
        tokens("a", 37).of(Dimension::Model, ["m-a"]),
        tokens("none", 1).of(Dimension::Project, [""]),
        Budget::new("money", money, BudgetPeriod::Month).unwrap(),
    ]);
    let builder = crate::builder(store, &["none".as_ref()]).clock(Arc::new(ManualClock::new(now())));
    let service = router(builder.budgets(budgets.unwrap()).build(), fresh());

    let answer = get(&service, "/api/v1/budgets").await.of("Budgets", 200);
    let of = |place: usize| &answer["budgets"][place];
    let states: Vec<_> =
        (0..4).map(|place| (of(place)["name"].as_str(), of(place)["state"].as_str())).collect();
    let expected = [("z", "exceeded"), ("a", "warning"), ("none", "ok"), ("money", "unknown")];
    assert_eq!(states, expected.map(|(name, state)| (Some(name), Some(state))));
    assert_eq!((&of(0)["spent"], &of(2)["spent"]), (&json!({"tokens": "42"}), &json!({"tokens": "0"})));
    assert_eq!((&of(3)["limit"], &of(3)["spent"]), (&json!({"usd": "0.5"}), &Value::Null));
    assert_eq!(get(&service, "/api/v1/budgets?name=z").await.of("Problem", 400)["status"], 400);
}

#[tokio::test]
async fn money_is_at_the_price_of_each_response_and_says_what_it_lacks() {
    let store: Arc<dyn TokenStore> = Arc::new(InMemoryStore::default());
    let catalog = Catalog::shipped();
    let prices: Vec<_> = catalog.rows().collect();
    let in_use = store.prices().unwrap().use_prices(&catalog.digest().to_string(), &prices, now()).await;
    assert!(in_use.unwrap());
    let mut priced = row("a", 1, 1_000_000);
    (priced.model, priced.time) = (Some("claude-opus-4-5".parse().unwrap()), now());
    store.upsert(&[priced, row("b", 2, 250_000)], &UpsertOptions::default()).await.unwrap();
    let budget = Budget::new("all", BudgetAmount::Money("30".parse().unwrap()), BudgetPeriod::Day).unwrap();
    let builder = crate::builder(store, &["none".as_ref()]).clock(Arc::new(ManualClock::new(now())));
    let service = router(builder.budgets(Budgets::new([budget]).unwrap()).build(), fresh());

    let answer = get(&service, "/api/v1/budgets").await.of("Budgets", 200);
    let status = &answer["budgets"][0];
    // A million tokens of output at $25; what model m-b costs is not known.
    assert_eq!((&status["state"], &status["spent"]), (&json!("warning"), &json!({"usd": "25"})));
    assert_eq!((&status["at_least"], &status["unpriced_share"]), (&json!(true), &json!(0.2)));
    assert_eq!(status["unpriced_tokens"], json!("250000"));
    let blocks = get(&service, "/api/v1/blocks?cost=true").await.of("Blocks", 200);
    assert_eq!(blocks["blocks"][0]["cost"]["amount"], json!("25"));
}
