//! The view `token_costs`: the same function as `Catalog::price`, in SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bridge_core::{
    AttributionValue, Cost, ModelName, Origin, PriceRow, ProjectName, ResponseUsage, ServiceTier, SessionId,
    Timestamp,
};
use bridge_pricing::{Alias, Catalog, CustomPrices, Discount, EntryLocation, Period, Unpriced, Usage};
use bridge_storage::{
    ClickHouseStore, CostRow, DashboardData, DashboardFilter, Dimension, GroupPage, InMemoryStore,
    PriceStore, ResponseFilter, TokenStore, UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;
use clickhouse::Row;
use serde::Deserialize;

use crate::{client, fresh, migrated, options, response};

const RESPONSES: u64 = 3_000;
/// Responses that are stored at a time.
const PART: u64 = 50_000;

/// A choice of values, the same in each run.
struct Choice(fastrand::Rng);

impl Choice {
    fn new() -> Self {
        Self(fastrand::Rng::with_seed(17))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0.u64(..end)
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }

    /// Returns a counter: often 0, sometimes as large as the analyzer accepts.
    fn count(&mut self) -> u64 {
        match self.below(8) {
            0..3 => 0,
            7 => self.below(1_000_000_001),
            _ => self.below(150_000),
        }
    }
}

/// The shipped prices with a discount and a name of a user's own.
fn catalog() -> Catalog {
    let instant = |text: &str| -> Option<Timestamp> { text.parse().ok() };
    let custom = CustomPrices {
        prices: Vec::new(),
        aliases: vec![Alias {
            name: "gateway/opus".to_owned(),
            model: "claude-opus-4-6".to_owned(),
            ..Alias::default()
        }],
        discounts: vec![Discount {
            location: EntryLocation::new("a discount"),
            provider: None,
            model: None,
            period: Period { from: instant("2026-03-01T00:00:00Z"), to: instant("2026-09-15T12:00:00Z") },
            percent: "17.5".parse().unwrap(),
        }],
    };
    Catalog::shipped().with(&custom).unwrap()
}

const SPEEDS: [&str; 6] = ["", "", "standard", "standard", "fast", "odd"];
const TIERS: [&str; 8] = ["", "", "standard", "default", "batch", "priority", "flex", "odd"];
const PLACES: [&str; 6] = ["", "", "global", "not_available", "us", "eu"];
const ORIGINS: [Origin; 5] =
    [Origin::Assistant, Origin::Advisor, Origin::Compaction, Origin::Declined, Origin::Summed];

/// So that a dashboard need not list all sessions.
fn project(key: u64) -> ProjectName {
    ProjectName::new(format!("p{}", key / 20_000)).unwrap()
}

/// Returns a response of any price: around the bounds of its period and of its sizes, in any mode.
fn random(key: u64, prices: &[PriceRow], choice: &mut Choice) -> ResponseUsage {
    let price = &prices[usize::try_from(choice.below(prices.len() as u64)).unwrap()];
    let bound = choice.pick(&[Some(price.from), price.to]).unwrap_or(price.from);
    let millis = bound.as_millis() + choice.pick(&[-1, 0, 1, 3_600_000, 86_400_000]);
    let name = match choice.below(20) {
        0 => "claude-unheard-of".to_owned(),
        1 => format!("{}[1m]", price.name),
        2 => format!("anthropic/{}", price.name),
        _ => price.name.clone(),
    };
    let mut row = response(u128::from(key + 1) << 64, choice.count());
    row.time = Timestamp::from_millis(millis).unwrap();
    row.model = ModelName::new(name).ok().filter(|_| choice.below(50) > 0);
    row.counts.input = choice.count();
    row.counts.cache_creation = choice.count();
    row.counts.cache_read = choice.count();
    if choice.below(2) == 0 {
        // A request of about the size from which on the price applies.
        let rest = row.counts.cache_creation.min(price.above);
        (row.counts.cache_creation, row.counts.cache_read) = (rest, 0);
        row.counts.input = price.above - rest + choice.below(3);
    }
    row.cache_creation_1h = choice.pick(&[0, row.counts.cache_creation, row.counts.cache_creation / 3]);
    row.cache_creation_5m = row.counts.cache_creation - row.cache_creation_1h;
    row.web_search_requests = choice.pick(&[None, None, Some(0), Some(3)]);
    row.attribution.speed = AttributionValue::new(choice.pick(&SPEEDS)).ok();
    row.attribution.inference_geo = AttributionValue::new(choice.pick(&PLACES)).ok();
    row.service_tier = ServiceTier::new(choice.pick(&TIERS)).ok();
    row.origin = choice.pick(&ORIGINS);
    // So that the dashboard's sessions are responses.
    row.session = SessionId::new(format!("s{key}")).unwrap();
    row.project = Some(project(key));
    row
}

#[derive(Debug, Row, Deserialize)]
struct CostOfResponse {
    key: u128,
    reason: String,
    list: i128,
    amount: i128,
}

type Found = Result<(i128, i128), String>;

async fn computed(database: &TestDatabase) -> BTreeMap<u128, Found> {
    // NULL is read as -1.
    let number =
        |cost| format!("reinterpret(ifNull({cost}, toDecimal128('-0.000000000000000001', 18)), 'Int128')");
    let query = &format!(
        "SELECT key, toString(unpriced) AS reason, {} AS list, {} AS amount FROM token_costs",
        number("list_cost"),
        number("cost"),
    );
    let rows: Vec<CostOfResponse> = client(database).query(query).fetch_all().await.unwrap();
    let cost = |row: CostOfResponse| match (row.list, row.amount) {
        (-1, -1) if !row.reason.is_empty() => Err(row.reason),
        both => Ok(both),
    };
    rows.into_iter().map(|row| (row.key, cost(row))).collect()
}

fn expected(catalog: &Catalog, row: &ResponseUsage) -> Found {
    match catalog.price(&Usage::from(row)) {
        Ok(bill) => Ok((bill.list.attodollars(), bill.amount.attodollars())),
        Err(reason) => Err(reason.name().to_owned()),
    }
}

async fn with_prices(catalog: &Catalog) -> ClickHouseStore {
    // A dashboard over a million sessions, which the long run asks for, takes longer than usual calls may.
    let options = options(&TestDatabase::of_this_test().writer_url());
    let store = migrated(options.with_operation_timeout(Duration::from_mins(10))).await;
    let rows: Vec<_> = catalog.rows().collect();
    let now = "2026-11-26T00:00:00Z".parse().unwrap();
    assert!(store.use_prices(&catalog.digest().to_string(), &rows, now).await.unwrap());
    store
}

/// Model, reason for having no price, responses, tokens, cost in attodollars.
type SummedCosts = (Option<String>, Option<String>, u64, u64, i128);

/// Adds up what `costs` returns as the library adds up bills.
fn summed(rows: &[CostRow]) -> Vec<SummedCosts> {
    let row = |row: &CostRow| {
        let model = row.model.as_ref().map(ToString::to_string);
        let reason = row.unpriced.map(|reason| reason.name().to_owned());
        (model, reason, row.responses, row.tokens, row.amount.attodollars())
    };
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn the_database_prices_each_response_as_the_library_does() {
    let catalog = catalog();
    let store = with_prices(&catalog).await;
    let prices: Vec<_> = catalog.rows().collect();
    let number = std::env::var("BRIDGE_PRICED_RESPONSES").ok().and_then(|number| number.parse().ok());
    let (number, mut choice) = (number.unwrap_or(RESPONSES), Choice::new());
    let mut rows = BTreeMap::new();
    for first in (0..number).step_by(usize::try_from(PART).unwrap()) {
        let part: Vec<_> =
            (first..number.min(first + PART)).map(|key| random(key, &prices, &mut choice)).collect();
        store.upsert(&part, &UpsertOptions::default()).await.unwrap();
        rows.extend(part.into_iter().map(|row| (row.key.0, row)));
    }
    let found = computed(&TestDatabase::of_this_test()).await;
    assert_eq!(found.len(), rows.len());
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (key, cost) in found {
        let row = &rows[&key];
        assert_eq!(cost, expected(&catalog, row), "{row:?}");
        *seen.entry(cost.err().unwrap_or_default()).or_default() += 1;
    }
    let reasons = Unpriced::ALL.into_iter().filter(|reason| *reason != Unpriced::TooLarge);
    for reason in reasons.map(Unpriced::name).chain([""]) {
        assert!(seen.contains_key(reason), "no response was {reason:?}: {seen:?}");
    }

    let (mut amount, mut expected) = (0, BTreeMap::<_, (u64, u64)>::new());
    for usage in rows.values().map(Usage::from) {
        match catalog.price(&usage) {
            Ok(bill) => amount += bill.amount.attodollars(),
            Err(reason) => {
                let key = (usage.model.map(str::to_owned), reason.name().to_owned());
                let sums = expected.entry(key).or_default();
                *sums = (sums.0 + 1, sums.1 + usage.tokens());
            }
        }
    }
    let costs = summed(&store.costs(&ResponseFilter::default()).await.unwrap());
    assert_eq!(costs.iter().map(|row| row.4).sum::<i128>(), amount);
    let unpriced: BTreeMap<_, _> =
        costs.iter().filter_map(|row| Some(((row.0.clone(), row.1.clone()?), (row.2, row.3)))).collect();
    assert_eq!(unpriced, expected);
    assert_dashboard(&store, &catalog, &rows.into_values().collect::<Vec<_>>()).await;
}

/// A dashboard by session, each of which is a response, has the costs that the library computes; all its sums are
/// those of the store in memory, that has its own code.
async fn assert_dashboard(store: &ClickHouseStore, catalog: &Catalog, rows: &[ResponseUsage]) {
    let projects: BTreeSet<_> = rows.iter().filter_map(|row| row.project.clone()).collect();
    for project in projects {
        let mut filter =
            DashboardFilter::default().with_breakdown(Dimension::Session, GroupPage::top(u32::MAX));
        filter.cost = true;
        filter.responses = ResponseFilter::default().with_values(Dimension::Project, [project.as_str()]);
        let data = store.dashboard(&filter).await.unwrap();
        let listed = &data.breakdowns[&Dimension::Session].rows;
        let by_session: BTreeMap<_, _> = listed.iter().map(|row| (&*row.name, row.sums.cost)).collect();
        for row in rows.iter().filter(|row| row.project.as_ref() == Some(&project)) {
            assert_eq!(by_session[row.session.as_str()], Some(cost_of(catalog, row)), "{row:?}");
        }
    }
    let mut filter = DashboardFilter::default().with_breakdown(Dimension::Session, GroupPage::top(10));
    filter.cost = true;

    let model = InMemoryStore::default();
    let prices: Vec<_> = catalog.rows().collect();
    model.use_prices(&catalog.digest().to_string(), &prices, Timestamp::MIN).await.unwrap();
    model.upsert(rows, &UpsertOptions::default()).await.unwrap();
    let starts = ["2025-01-01T00:00:00Z", "2025-10-01T00:00:00Z", "2026-06-01T00:00:00Z"];
    filter.trend_starts = starts.map(|start| start.parse().unwrap()).into();
    filter.trend_by = Some(Dimension::Model);
    filter = filter.with_breakdown(Dimension::Speed, GroupPage::top(10));
    let (data, expected) =
        (ordered(store.dashboard(&filter).await.unwrap()), ordered(model.dashboard(&filter).await.unwrap()));
    assert_eq!(data.priced_by, expected.priced_by);
    assert_eq!(data, expected);
    assert_eq!(sorted_costs(store).await, sorted_costs(&model).await);
}

/// The cost that the library computes.
fn cost_of(catalog: &Catalog, row: &ResponseUsage) -> Cost {
    let tokens = row.counts.total();
    match catalog.price(&Usage::from(row)) {
        Err(_) => Cost { unpriced_tokens: tokens, ..Cost::default() },
        Ok(bill) => Cost {
            amount: bill.amount,
            list: bill.list,
            without_cache: bill.without_cache(),
            priced_tokens: tokens,
            unpriced_tokens: 0,
        },
    }
}

/// Equal tokens are in any order.
fn ordered(mut data: DashboardData) -> DashboardData {
    if let Some(priced_by) = &mut data.priced_by {
        priced_by.unpriced.sort_by_key(|sums| (sums.model.clone(), sums.reason));
    }
    data
}

async fn sorted_costs(store: &dyn PriceStore) -> Vec<CostRow> {
    let mut costs = store.costs(&ResponseFilter::default()).await.unwrap();
    costs.sort_by_key(|row| (row.model.clone(), row.unpriced));
    costs
}

#[tokio::test]
async fn the_price_list_that_was_put_in_use_last_prices_everything() {
    let store = with_prices(Catalog::shipped()).await;
    let mut row = response(1, 1_000_000);
    row.model = ModelName::new("claude-opus-4-20250514").ok();
    store.upsert(&[row], &UpsertOptions::default()).await.unwrap();
    let dollars =
        |rows: Vec<CostRow>| rows.iter().map(|row| row.amount.attodollars()).sum::<i128>() / 10_i128.pow(18);
    assert_eq!(dollars(store.costs(&ResponseFilter::default()).await.unwrap()), 75);

    let discount = Discount {
        location: EntryLocation::new("a discount"),
        provider: None,
        model: None,
        period: Period::default(),
        percent: "20".parse().unwrap(),
    };
    let custom = CustomPrices { discounts: vec![discount], ..CustomPrices::default() };
    let catalog = Catalog::shipped().with(&custom).unwrap();
    let (digest, rows) = (catalog.digest().to_string(), catalog.rows().collect::<Vec<_>>());
    let later = "2026-11-27T00:00:00Z".parse().unwrap();
    assert!(store.use_prices(&digest, &rows, later).await.unwrap());
    assert!(!store.use_prices(&digest, &rows, later).await.unwrap(), "it is in use already");
    assert_eq!(store.prices_in_use().await.unwrap(), Some(digest));
    assert_eq!(dollars(store.costs(&ResponseFilter::default()).await.unwrap()), 60);

    // The list from before comes back by its digest.
    let (digest, rows) =
        (Catalog::shipped().digest().to_string(), Catalog::shipped().rows().collect::<Vec<_>>());
    let latest = "2026-11-28T00:00:00Z".parse().unwrap();
    assert!(store.use_prices(&digest, &rows, latest).await.unwrap());
    assert_eq!(dollars(store.costs(&ResponseFilter::default()).await.unwrap()), 75);
}

#[tokio::test]
async fn without_a_price_list_everything_is_unpriced() {
    let store = fresh().await;
    let mut row = response(1, 1_000_000);
    row.model = ModelName::new("claude-opus-4-20250514").ok();
    store.upsert(&[row], &UpsertOptions::default()).await.unwrap();
    assert_eq!(store.prices_in_use().await.unwrap(), None);
    let costs = store.costs(&ResponseFilter::default()).await.unwrap();
    assert_eq!(costs.len(), 1);
    assert_eq!((costs[0].unpriced, costs[0].tokens), (Some(Unpriced::UnknownModel), 1_000_000));
}
