//! Recent tokens without a price: metrics and health.

use std::sync::Arc;
use std::time::Duration;

use bridge::pricing::Catalog;
use bridge::storage::{InMemoryStore, TokenStore, UpsertOptions};
use bridge::{
    EnhancedTokenDatabaseBridge, HealthLimits, HealthState, ManualClock, MonitoringOptions, Probe,
    ProbeResult, ResponseUsage,
};
use bridge_testkit::fixtures::{now, response};

use crate::observability::bridge;
use crate::observability::recorder::Escaped;

const DAY: Duration = Duration::from_hours(24);

struct Setup {
    store: Arc<InMemoryStore>,
    clock: Arc<ManualClock>,
    shown: Arc<Escaped>,
    bridge: EnhancedTokenDatabaseBridge,
}

/// Metrics of models are registered when the models are first seen, so the recorder must be set all the time.
fn setup(shown: &Arc<Escaped>, limits: HealthLimits) -> Setup {
    let (store, clock) = (Arc::new(InMemoryStore::default()), Arc::new(ManualClock::new(now())));
    let monitoring = MonitoringOptions::default().with_limits(limits);
    let bridge = bridge(store.clone(), "none".as_ref()).clock(clock.clone()).monitoring(monitoring).build();
    Setup { store, clock, shown: Arc::clone(shown), bridge }
}

impl Setup {
    /// Stores a response of this many tokens.
    async fn spend(&self, key: u128, model: &str, tokens: u64, ago: Duration) {
        let row = response("s", key, tokens);
        let row = ResponseUsage { model: model.parse().ok(), time: now().saturating_sub(ago), ..row };
        self.store.upsert(&[row], &UpsertOptions::default()).await.unwrap();
    }

    async fn probe(&self) -> Option<ProbeResult> {
        self.bridge.health_check().await.probe(Probe::Prices).cloned()
    }

    /// The tokens of a model with and without a price.
    fn tokens(&self, model: &str) -> (f64, f64) {
        let of = |name| self.shown.value(&format!("bridge_{name}_tokens{{model={model}}}"));
        (of("priced"), of("unpriced"))
    }
}

#[tokio::test]
async fn tokens_without_a_price_are_counted_by_model_and_reported_above_their_limit() {
    let shown = Arc::new(Escaped::default());
    let _recorder = metrics::set_default_local_recorder(&shown);
    let setup = setup(&shown, HealthLimits::default().with_unpriced_share_max(0.1));
    let probe = setup.probe().await.unwrap();
    assert_eq!(probe.state, HealthState::Degraded, "{probe}");
    assert!(probe.detail.starts_with("no price list is in use"), "{probe}");

    let _ = setup.bridge.dashboard().use_prices(Catalog::shipped()).await.unwrap();
    setup.spend(1, "claude-opus-4-6", 90, Duration::ZERO).await;
    setup.spend(2, "brand-new", 10, DAY).await;
    setup.spend(3, "brand-new", 1_000, 8 * DAY).await;
    let probe = setup.probe().await.unwrap();
    assert_eq!((probe.state, setup.tokens("brand-new")), (HealthState::Healthy, (0.0, 10.0)), "{probe}");
    assert_eq!(probe.detail, "10 % of the tokens of the last 7 days have no price");
    assert_eq!(setup.tokens("claude-opus-4-6"), (90.0, 0.0));

    // Read again after five minutes, not with every check.
    setup.spend(4, "brand-new", 2, Duration::ZERO).await;
    let mut nameless = response("s", 5, 3);
    nameless.model = None;
    setup.store.upsert(&[nameless], &UpsertOptions::default()).await.unwrap();
    assert_eq!(
        (setup.probe().await.unwrap().state, setup.tokens("brand-new").1),
        (HealthState::Healthy, 10.0)
    );
    setup.clock.set(now().saturating_add(Duration::from_mins(5)));
    let probe = setup.probe().await.unwrap();
    assert_eq!((setup.tokens("brand-new"), setup.tokens("other")), ((0.0, 12.0), (0.0, 3.0)));
    assert_eq!(probe.state, HealthState::Degraded);
    let expected = "14.3 % of the tokens of the last 7 days have no price, more than 10.00 %: brand-new (unknown_model) since \
         2026-02-28T00:00:00.000Z and 1 other; add a price to pricing.prices, or update the price list";
    assert_eq!(probe.detail, expected);

    // Nothing is left of a model that was not used for a week.
    setup.clock.set(now().saturating_add(8 * DAY));
    assert_eq!(setup.probe().await.unwrap().state, HealthState::Healthy);
    assert_eq!((setup.tokens("brand-new"), setup.tokens("claude-opus-4-6")), ((0.0, 0.0), (0.0, 0.0)));
}

#[tokio::test]
async fn another_price_list_counts_at_once() {
    let shown = Arc::new(Escaped::default());
    let _recorder = metrics::set_default_local_recorder(&shown);
    let setup = setup(&shown, HealthLimits::default().with_unpriced_share_max(0.0));
    let _ = setup.bridge.dashboard().use_prices(Catalog::shipped()).await.unwrap();
    setup.spend(1, "house-model", 10, Duration::ZERO).await;
    assert_eq!(setup.probe().await.unwrap().state, HealthState::Degraded);
    let mut custom = bridge::pricing::CustomPrices::default();
    custom.aliases.push(bridge::pricing::Alias {
        name: "house-model".to_owned(),
        model: "claude-opus-4-6".to_owned(),
        ..Default::default()
    });
    // Of two lists the one that was put in use later is in use.
    setup.clock.set(now().saturating_add(Duration::from_secs(1)));
    let _ = setup.bridge.dashboard().use_prices(&Catalog::shipped().with(&custom).unwrap()).await.unwrap();
    assert_eq!(setup.probe().await.unwrap().state, HealthState::Healthy);
    assert_eq!(setup.tokens("house-model"), (10.0, 0.0));
}

/// Metrics are for alerts, which have limits of their own.
#[tokio::test]
async fn without_a_limit_there_are_metrics_and_no_probe() {
    let shown = Arc::new(Escaped::default());
    let _recorder = metrics::set_default_local_recorder(&shown);
    let setup = setup(&shown, HealthLimits::default());
    let _ = setup.bridge.dashboard().use_prices(Catalog::shipped()).await.unwrap();
    setup.spend(1, "brand-new", 10, Duration::ZERO).await;
    assert_eq!(setup.probe().await, None);
    assert_eq!(setup.tokens("brand-new"), (0.0, 10.0));
}
