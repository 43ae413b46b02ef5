//! The state of the budgets over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, Budgets};
use bridge::pricing::Catalog;
use bridge::storage::{InMemoryStore, TokenStore, UpsertOptions};
use bridge::web::{PageOptions, router};
use bridge::{Actor, AuditFilter, Dimension, ManualClock};
use bridge_testkit::fixtures::now;
use serde_json::{Value, json};

use crate::web::{fresh, get, row, send};

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
    let store = priced_store().await;
    store.upsert(&[row("b", 2, 250_000)], &UpsertOptions::default()).await.unwrap();
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

/// Returns a store with the shipped prices, and a response of $25 and a million tokens.
async fn priced_store() -> Arc<dyn TokenStore> {
    let store: Arc<dyn TokenStore> = Arc::new(InMemoryStore::default());
    let catalog = Catalog::shipped();
    let prices: Vec<_> = catalog.rows().collect();
    let in_use = store.prices().unwrap().use_prices(&catalog.digest().to_string(), &prices, now()).await;
    assert!(in_use.unwrap());
    let mut priced = row("a", 1, 1_000_000);
    (priced.model, priced.time) = (Some("claude-opus-4-5".parse().unwrap()), now());
    store.upsert(&[priced], &UpsertOptions::default()).await.unwrap();
    store
}

/// Returns a bridge with a budget of $30 of which $25 are spent, and one of a million tokens, which are spent.
async fn with_money() -> bridge::EnhancedTokenDatabaseBridge {
    let store = priced_store().await;
    let money = Budget::new("money", BudgetAmount::Money("30".parse().unwrap()), BudgetPeriod::Month);
    let tokens = Budget::new("tokens", BudgetAmount::Tokens(1_000_000), BudgetPeriod::Day);
    let noon = now().saturating_add(Duration::from_hours(12));
    let builder = crate::builder(store, &["none".as_ref()]).clock(Arc::new(ManualClock::new(noon)));
    builder.budgets(Budgets::new([money.unwrap(), tokens.unwrap()]).unwrap()).build()
}

#[tokio::test]
async fn a_page_without_costs_shows_no_amounts_of_budgets() {
    let bridge = with_money().await;
    let page =
        async |options| get(&router(bridge.clone(), fresh().with_page(options)), "/?range=all").await.text;
    let with_cost = page(PageOptions::default()).await;
    assert!(with_cost.contains("$25.00 of $30.00, this month · at this pace $"), "{with_cost}");
    let without = page(PageOptions::default().without_cost()).await;
    assert!(!without.contains('$'), "{without}");
    for shown in
        ["83.3\u{a0}% of the limit, this month", "tokens, today", r#"<span class="badge fair">warning"#]
    {
        assert!(without.contains(shown), "{shown} in {without}");
    }
}

#[tokio::test]
async fn each_actor_whose_page_shows_budgets_is_on_record() {
    let bridge = with_money().await;
    let options = fresh().with_answer_ttl(Duration::from_hours(1)).with_page(PageOptions::default());
    let page = router(bridge.clone(), options);
    for user in ["alice", "bob", "alice"] {
        let mut request = Request::get("/?range=all").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Actor::new(user).unwrap());
        assert_eq!(send(&page, request).await.status, 200);
    }
    let audit = bridge.audit_log(&AuditFilter::default()).await.unwrap();
    let of_budgets = audit.iter().filter(|record| record.operation.as_str() == "budgets");
    let mut actors: Vec<_> =
        of_budgets.filter_map(|record| record.actor.as_ref()).map(Actor::as_str).collect();
    actors.sort_unstable();
    assert_eq!(actors, ["alice", "bob"]);
}
