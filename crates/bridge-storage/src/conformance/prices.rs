//! Promises of price lists.

use bridge_core::{
    AttributionValue, BridgeError, Cost, Origin, PriceRow, Processing, ResponseUsage, ServiceTier, Speed,
    StorageKind, Unpriced,
};
use proptest::prelude::*;

use super::dashboard::dashboard_filter;
use super::{Rows, at, prices, response, session};
use crate::{
    CostRow, DashboardFilter, Dimension, GroupPage, InMemoryStore, PriceStore, ResponseFilter, SummaryFilter,
    TokenStore, UpsertOptions,
};

/// The number of price lists that are put in use, each followed by dashboards of all kinds.
const LISTS: usize = 6;

/// A price of the model `n0` at any time, for this many 10^-18 dollars a token.
pub(super) fn price(token: u64) -> PriceRow {
    PriceRow {
        provider: "maker".to_owned(),
        model: "n0".to_owned(),
        name: "n0".to_owned(),
        from: at(-1_000_000),
        to: None,
        speed: Speed::Standard,
        processing: Processing::Standard,
        above: 0,
        geography: String::new(),
        input: Some(token),
        output: Some(2 * token),
        cache_read: Some(token),
        cache_write_5m: Some(2 * token),
        cache_write_1h: Some(3 * token),
        web_search: Some(1_000),
        discount: 0,
        source: "a test".to_owned(),
    }
}

pub(super) fn of_n0(key: u128) -> ResponseUsage {
    ResponseUsage { model: "n0".parse().ok(), ..response(key, 10) }
}

async fn amount(store: &dyn TokenStore, prices: Option<&str>) -> Option<i128> {
    let filter =
        DashboardFilter { cost: true, prices: prices.map(str::to_owned), ..DashboardFilter::default() };
    store.dashboard(&filter).await.unwrap().totals.cost.map(|cost| cost.amount.attodollars())
}

/// The list that was put in use last prices everything that is stored; others remain, by their digests.
pub async fn the_list_put_in_use_last_prices_everything(store: &dyn TokenStore) {
    store.upsert(&[of_n0(1)], &UpsertOptions::default()).await.unwrap();
    assert_eq!(prices(store).prices_in_use().await.unwrap(), None);
    assert_eq!(amount(store, None).await, None, "without a price list there is no cost");
    let costs = prices(store).costs(&ResponseFilter::default()).await.unwrap();
    assert_eq!((costs.len(), costs[0].unpriced), (1, Some(Unpriced::UnknownModel)));

    assert!(prices(store).use_prices("a", &[price(1_000)], at(1)).await.unwrap());
    assert!(!prices(store).use_prices("a", &[price(1_000)], at(2)).await.unwrap(), "it is in use already");
    assert_eq!(amount(store, None).await, Some(20_000));
    assert!(prices(store).use_prices("b", &[price(5_000)], at(3)).await.unwrap());
    assert_eq!(prices(store).prices_in_use().await.unwrap().as_deref(), Some("b"));
    assert_eq!(amount(store, None).await, Some(100_000));
    assert_eq!(amount(store, Some("a")).await, Some(20_000), "an old answer can be had again");
    assert!(prices(store).use_prices("a", &[price(1_000)], at(4)).await.unwrap());
    assert_eq!(amount(store, None).await, Some(20_000));
    let filter =
        DashboardFilter { cost: true, prices: Some("no such list".to_owned()), ..DashboardFilter::default() };
    let error = store.dashboard(&filter).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::UnknownPrices, .. }), "{error}");

    // A model that appears later has its price at once, or is listed without one.
    let mut later = of_n0(2);
    later.model = "n7".parse().ok();
    store.upsert(&[of_n0(3), later], &UpsertOptions::default()).await.unwrap();
    let data = store.dashboard(&DashboardFilter { cost: true, ..DashboardFilter::default() }).await.unwrap();
    let priced_by = data.priced_by.unwrap();
    assert_eq!(priced_by.digest, "a");
    let unpriced: Vec<_> = priced_by
        .unpriced
        .iter()
        .map(|row| (row.model.as_ref().map(|model| model.as_str()), row.reason, row.tokens))
        .collect();
    assert_eq!(unpriced, [(Some("n7"), Unpriced::UnknownModel, 10)]);
    let cost = data.totals.cost.unwrap();
    assert_eq!((cost.amount.attodollars(), cost.priced_tokens, cost.unpriced_tokens), (40_000, 20, 10));
}

/// The list that is put in use by a host whose clock is behind that of the last one is in use, too.
pub async fn a_list_is_in_use_whatever_the_clock_of_its_host_says(store: &dyn TokenStore) {
    store.upsert(&[of_n0(1)], &UpsertOptions::default()).await.unwrap();
    let steps = [("a", 1_000, 1_000), ("b", 5_000, 10), ("a", 1_000, 20), ("c", 2_000, 5)];
    for (digest, token, now) in steps {
        assert!(prices(store).use_prices(digest, &[price(token)], at(now)).await.unwrap(), "{digest}");
        assert_eq!(prices(store).prices_in_use().await.unwrap().as_deref(), Some(digest));
        assert_eq!(amount(store, None).await, Some(20 * i128::from(token)), "{digest}");
        assert!(!prices(store).use_prices(digest, &[price(token)], at(now)).await.unwrap(), "{digest}");
    }
}

/// Responses without a price are listed, also if there are no others, and if its time is before all prices.
pub async fn whatever_has_no_price_is_listed(store: &dyn TokenStore) {
    let unpriced = async || {
        let filter = DashboardFilter { cost: true, ..DashboardFilter::default() };
        let data = store.dashboard(&filter).await.unwrap();
        let rows = data.priced_by.unwrap().unpriced;
        assert_eq!(data.totals.cost.unwrap().unpriced_tokens, rows.iter().map(|row| row.tokens).sum::<u64>());
        rows.iter()
            .map(|row| (row.model.clone().map(|model| model.to_string()), row.reason))
            .collect::<Vec<_>>()
    };
    let from = PriceRow { from: at(1_000), ..price(1_000) };
    prices(store).use_prices("a", &[from], at(1)).await.unwrap();
    let early = ResponseUsage { time: at(0), ..of_n0(1) };
    store.upsert(&[early], &UpsertOptions::default()).await.unwrap();
    assert_eq!(unpriced().await, [(Some("n0".to_owned()), Unpriced::Date)]);
    let nameless = ResponseUsage { model: None, time: at(0), ..response(2, 1) };
    store.upsert(&[nameless], &UpsertOptions::default()).await.unwrap();
    let both = [(Some("n0".to_owned()), Unpriced::Date), (None, Unpriced::NoModel)];
    assert_eq!(unpriced().await, both);
}

/// A price may change hundreds of times: each response has the one of its time.
pub async fn prices_change_on_any_number_of_dates(store: &dyn TokenStore) {
    let changes = 0..300_u64;
    let second = |number: u64| at(i64::try_from(number).expect("the number is small") * 1_000);
    let of_second = |number| PriceRow {
        from: second(number),
        to: Some(second(number + 1)),
        ..price((number + 1) * 1_000)
    };
    let list: Vec<_> = changes.clone().map(of_second).collect();
    prices(store).use_prices("a", &list, at(1)).await.unwrap();
    let responses: Vec<_> = changes
        .clone()
        .map(|number| ResponseUsage { time: second(number), ..of_n0(u128::from(number)) })
        .collect();
    store.upsert(&responses, &UpsertOptions::default()).await.unwrap();
    let expected = changes.map(|number| 20 * (i128::from(number) + 1) * 1_000).sum();
    assert_eq!(amount(store, None).await, Some(expected));
}

/// A summary has the cost of its session's responses if that was asked for and a price list is in use. What has no
/// price is part of it.
pub async fn summaries_have_the_costs_of_their_responses(store: &dyn TokenStore) {
    let mut unknown = ResponseUsage { session: session("t"), ..of_n0(2) };
    unknown.model = "n7".parse().ok();
    let rows = [of_n0(1), unknown, ResponseUsage { session: session("t"), ..of_n0(3) }];
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let with_cost = SummaryFilter::default().with_cost(true);
    assert_eq!(costs_of_summaries(store, &with_cost).await, [None, None], "there is no price list");

    prices(store).use_prices("a", &[price(1_000)], at(1)).await.unwrap();
    assert_eq!(costs_of_summaries(store, &SummaryFilter::default()).await, [None, None]);
    let list = prices(store).price_list("a").await.unwrap();
    assert_eq!(list.digest(), "a");
    assert!(prices(store).price_list("no such list").await.is_err());
    let mut costs = [list.cost(&rows[0]), list.cost(&rows[1])];
    costs[1].add(&list.cost(&rows[2]));
    let amounts = costs.map(|cost| (cost.amount.attodollars(), cost.priced_tokens, cost.unpriced_tokens));
    assert_eq!(amounts, [(20_000, 10, 0), (20_000, 10, 10)]);
    assert_eq!(costs_of_summaries(store, &with_cost).await, costs.map(Some));
    let page = with_cost.clone().with_limit(1);
    assert_eq!(costs_of_summaries(store, &page).await, [Some(costs[0])]);
    assert_eq!(costs_of_summaries(store, &page.after(rows[0].session.clone())).await, [Some(costs[1])]);
    let of_t = with_cost.of_sessions(vec![session("t")]);
    assert_eq!(costs_of_summaries(store, &of_t).await, [Some(costs[1])]);
}

async fn costs_of_summaries(store: &dyn TokenStore, filter: &SummaryFilter) -> Vec<Option<Cost>> {
    store.summaries(filter).await.unwrap().into_iter().map(|summary| summary.cost).collect()
}

/// Whatever the prices and responses, each sum of a dashboard has the cost that the model gives, and so do the costs by
/// model.
pub async fn any_cost_is_what_the_model_gives(store: &dyn TokenStore) {
    let model = InMemoryStore::default();
    let mut rows = Rows::new(9);
    for step in 0..LISTS {
        let number = rows.draw(&(0_usize..40));
        let written: Vec<_> = rows.rows(number).into_iter().map(|row| rows.draw(&priceable(row))).collect();
        let list = rows.draw(&price_list());
        let now = at(i64::try_from(step).unwrap());
        for store in [store, &model as &dyn TokenStore] {
            store.upsert(&written, &UpsertOptions::default()).await.unwrap();
            prices(store).use_prices(&format!("list {step}"), &list, now).await.unwrap();
        }
        for _ in 0..6 {
            let mut filter = rows.draw(&dashboard_filter());
            filter.cost = true;
            let data = store.dashboard(&filter).await.unwrap();
            assert_eq!(data, model.dashboard(&filter).await.unwrap(), "step {step}: {filter:?}");
        }
        assert_eq!(costs(prices(store)).await, costs(&model).await);
        let filter = SummaryFilter::default().with_cost(true);
        assert_eq!(costs_of_summaries(store, &filter).await, costs_of_summaries(&model, &filter).await);
        let list = prices(store).price_list(&format!("list {step}")).await.unwrap();
        let sum = written.iter().map(|row| list.cost(row)).collect::<Vec<_>>();
        let models_list = model.price_list(&format!("list {step}")).await.unwrap();
        assert_eq!(sum, written.iter().map(|row| models_list.cost(row)).collect::<Vec<_>>());
    }
}

async fn costs(store: &dyn PriceStore) -> Vec<CostRow> {
    let mut costs = store.costs(&ResponseFilter::default()).await.unwrap();
    costs.sort_by_key(|row| (row.model.clone(), row.unpriced));
    costs
}

/// A cost that does not fit 128 bits is none, and a sum of costs ends at the greatest amount.
pub async fn costs_end_at_the_greatest_amount(store: &dyn TokenStore) {
    let row = |key: u128, tokens: u64| {
        let mut row = of_n0(key);
        (row.counts.input, row.counts.output, row.counts.cache_read) = (tokens, tokens / 2, tokens / 4);
        row
    };
    let most = 10_u64.pow(18);
    let dear = PriceRow { input: Some(10 * most), web_search: Some(10 * most), ..price(most) };
    let rows = [row(1, u64::MAX), row(2, u64::MAX / 2), row(3, 1), row(4, 1 << 40), row(5, u64::MAX / 2)];
    let model = InMemoryStore::default();
    for store in [store, &model as &dyn TokenStore] {
        store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
        prices(store).use_prices("dear", std::slice::from_ref(&dear), at(1)).await.unwrap();
    }
    let mut filter = DashboardFilter::default().with_breakdown(Dimension::Day, GroupPage::default());
    filter.cost = true;
    let data = store.dashboard(&filter).await.unwrap();
    assert_eq!(data, model.dashboard(&filter).await.unwrap());
    let reasons: Vec<_> = data.priced_by.unwrap().unpriced.iter().map(|row| row.reason).collect();
    assert_eq!(reasons, [Unpriced::TooLarge]);
    assert_eq!(data.totals.cost.unwrap().amount.attodollars(), i128::MAX);
}

/// The row with a mode that price lists know, sometimes as the sum of a session.
fn priceable(row: ResponseUsage) -> impl Strategy<Value = ResponseUsage> {
    let name = |names: &[&'static str]| prop::sample::select(names.to_vec());
    let mode = (
        name(&["", "standard", "fast", "n0"]),
        name(&["", "standard", "default", "batch", "priority", "flex", "n0"]),
        name(&["", "global", "not_available", "us", "n0"]),
    );
    (mode, any::<bool>()).prop_map(move |((speed, tier, place), is_sum)| {
        let mut row = row.clone();
        row.attribution.speed = AttributionValue::new(speed).ok();
        row.attribution.inference_geo = AttributionValue::new(place).ok();
        row.service_tier = ServiceTier::new(tier).ok();
        if is_sum && row.counts.input.is_multiple_of(4) {
            row.origin = Origin::Summed;
        }
        row
    })
}

/// Prices of two models in two periods, in some modes, sizes and geographies.
fn price_list() -> impl Strategy<Value = Vec<PriceRow>> {
    let day = |day: i64| at(day * 86_400_000);
    let mut places = Vec::new();
    for name in ["n0", "n1"] {
        for (from, to) in [(day(-20_000), Some(day(1))), (day(1), Some(day(3)))] {
            for (speed, processing) in [
                (Speed::Standard, Processing::Standard),
                (Speed::Fast, Processing::Standard),
                (Speed::Standard, Processing::Batch),
            ] {
                for above in [0, 1_000, 500_000_000] {
                    let (name, geography) = (name.to_owned(), String::new());
                    places.push(PriceRow { name, from, to, speed, processing, above, geography, ..price(0) });
                }
            }
        }
    }
    let lists: Vec<_> = places.into_iter().map(prices_of_mode).collect();
    lists.prop_map(|rows| rows.into_iter().flatten().collect())
}

/// A mode that a list has or does not have, with the geography "us" where it has it.
fn prices_of_mode(row: PriceRow) -> impl Strategy<Value = Vec<PriceRow>> {
    let amount =
        || prop::option::weighted(0.8, (0_u64..1_000_000_000).prop_map(|thousands| thousands * 1_000));
    let amounts = (amount(), amount(), amount(), amount(), amount(), amount());
    let discount = prop_oneof![Just(0_u16), 0_u16..=1_000];
    (prop::bool::weighted(0.7), amounts, discount).prop_map(move |(is_there, amounts, discount)| {
        let (input, output, cache_read, cache_write_5m, cache_write_1h, web_search) = amounts;
        let anywhere = PriceRow {
            input,
            output,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            web_search,
            discount,
            ..row.clone()
        };
        let us = PriceRow { geography: "us".to_owned(), input: None, ..anywhere.clone() };
        // Every mode has prices without a limit of size.
        if is_there || row.above == 0 { vec![anywhere, us] } else { Vec::new() }
    })
}
