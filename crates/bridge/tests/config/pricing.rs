//! `pricing`: the price list of a built bridge, and what is wrong with its entries.

use bridge::config::BridgeConfig;
use bridge::storage::UpsertOptions;
use bridge::{DashboardQuery, EnhancedTokenDatabaseBridge, ModelName, TimeRange};
use bridge_testkit::fixtures::response;

use crate::config::on_engine;

/// A bridge with a million output tokens of this model.
async fn spent(model: &str, keys: &[(&str, &str)]) -> EnhancedTokenDatabaseBridge {
    let bridge = on_engine(keys).build().await.unwrap();
    let mut row = response("s", 1, 1_000_000);
    row.model = Some(ModelName::new(model).unwrap());
    bridge.token_store().upsert(&[row], &UpsertOptions::default()).await.unwrap();
    bridge
}

/// The total of the dashboard, and whether all of it has a price.
async fn cost(bridge: &EnhancedTokenDatabaseBridge) -> Option<String> {
    let query = DashboardQuery::new(TimeRange::ALL).with_cost();
    let metrics = bridge.dashboard().get_dashboard_token_metrics(query).await.unwrap();
    metrics.totals.cost.map(|cost| cost.to_string())
}

#[tokio::test]
async fn pricing_enabled() {
    assert_eq!(cost(&spent("claude-opus-4-20250514", &[("pricing.enabled", "false")]).await).await, None);
    let bridge = on_engine(&[]).build().await.unwrap();
    assert_eq!(cost(&bridge).await.as_deref(), Some("$75.00"));
}

#[tokio::test]
async fn pricing_prices() {
    let bridge = spent("house", &[]).await;
    assert_eq!(cost(&bridge).await.as_deref(), Some("at least $0.00"));
    let own = "[{model: house, provider: us, input: 1, output: 2.5}]";
    let bridge = on_engine(&[("pricing.prices", own)]).build().await.unwrap();
    assert_eq!(cost(&bridge).await.as_deref(), Some("$2.50"));
}

#[tokio::test]
async fn pricing_aliases() {
    let aliases = "[{name: gateway/opus, model: claude-opus-4, from: 2026-01-01}]";
    let bridge = spent("gateway/opus", &[("pricing.aliases", aliases)]).await;
    assert_eq!(cost(&bridge).await.as_deref(), Some("$75.00"));
}

#[tokio::test]
async fn pricing_discounts() {
    let discounts = "[{provider: anthropic, percent: 20%, from: 2026-01-01}]";
    let bridge = spent("claude-opus-4-20250514", &[("pricing.discounts", discounts)]).await;
    assert_eq!(cost(&bridge).await.as_deref(), Some("$60.00"));
}

#[test]
fn every_key_of_an_entry_is_read() {
    let text = "enhanced_token_bridge:\n  pricing:\n    prices:\n      - model: own\n        provider: us\n        from: 2026-01-01\n        \
        to: 2026-02-01T12:00:00Z\n        currency: USD\n        input: 3\n        output: 15\n        cache_read: 0.3\n        \
        cache_write_5m: 3.75\n        cache_write_1h: 6\n        web_search: 10\n        geographies: {us: 1.1}\n        modes:\n          \
        - {speed: fast, input: 6, output: 30}\n          - {above: 200000, input: 6, output: 22.5}\n";
    let config = BridgeConfig::from_yaml_str(text).unwrap();
    let price = &config.pricing.prices[0];
    assert_eq!((price.place.name.as_str(), price.place.line), ("pricing.prices[0]", Some(4)));
    let catalog = config.catalog().unwrap();
    let usage = bridge::pricing::Usage {
        input: 300_000,
        web_searches: 2,
        inference_geo: Some("us"),
        ..bridge::pricing::Usage::new("own", "2026-02-01T11:59:59Z".parse().unwrap())
    };
    assert_eq!(catalog.price(&usage).unwrap().amount.exact(), "2");
    let fast = bridge::pricing::Usage { speed: Some("fast"), web_searches: 0, inference_geo: None, ..usage };
    assert_eq!(catalog.price(&fast).unwrap().amount.exact(), "1.8");
}

fn problems(entries: &str) -> Vec<String> {
    let text = format!("enhanced_token_bridge:\n  pricing:\n{entries}");
    let config = match BridgeConfig::from_yaml_str(&text) {
        Err(error) => return error.problems().iter().map(shown).collect(),
        Ok(config) => config,
    };
    config.catalog().unwrap_err().problems().iter().map(shown).collect()
}

fn shown(problem: &bridge::config::ConfigProblem) -> String {
    let text = problem.to_string().replace("enhanced_token_bridge.pricing.", "…");
    let (line, rest) = text.split_once(", column ").unwrap();
    format!("{line}: {}", rest.split_once(": ").unwrap().1)
}

#[test]
fn a_bad_entry_is_an_error_with_its_name_and_line() {
    for (entries, expected) in [
        (
            "    prices:\n      - {model: a, provider: b, input: -1, output: 2}\n",
            "line 4: …prices[0].input: \"-1\" is not allowed; allowed is dollars for a million tokens",
        ),
        ("    prices:\n      - {model: a, provider: b, input: 1}\n", "line 4: …prices[0].output: is missing"),
        (
            "    prices:\n      - {model: a, provider: b, input: 1, output: 2, currency: EUR}\n",
            "line 4: …prices[0].currency: \"EUR\" is not allowed; allowed is USD",
        ),
        (
            "    prices:\n      - {model: a, provider: b, input: 1, output: 2}\n      - {model: a, provider: b, input: 1, output: 2, from: 2026-01-01}\n",
            "line 5: …prices[1]: its period overlaps with that of pricing.prices[0] (line 4)",
        ),
        (
            "    aliases:\n      - {name: a, model: no-such-model}\n",
            "line 4: …aliases[0]: the price catalog does not have no-such-model at that time",
        ),
        (
            "    discounts:\n      - {percent: 5, from: 2026-02-01, to: 2026-01-01}\n",
            "line 4: …discounts[0]: its period must end after it starts",
        ),
        ("    discounts:\n      - {percent: 105}\n", "line 4: …discounts[0].percent: \"105\" is not allowed"),
        (
            "    prices:\n      - {model: a, provider: b, input: 1, output: 2, modes: [{sped: fast, input: 1}]}\n",
            "line 4: …prices[0].modes[0].sped: is no key (did you mean speed?)",
        ),
    ] {
        let found = problems(entries);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:#?}\ninstead of {expected}");
    }
}
