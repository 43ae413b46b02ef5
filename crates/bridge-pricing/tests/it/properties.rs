//! Properties of prices over all entries.

use std::sync::LazyLock;

use bridge_core::{Origin, Timestamp};
use bridge_pricing::{Catalog, CustomPrices, Discount, EntryLocation, Money, Period, PriceKind, Usage};
use proptest::prelude::*;
use proptest::sample::select;

use crate::reference::{self, Fraction};

const ORIGINS: [Origin; 6] = [
    Origin::Assistant,
    Origin::Nested,
    Origin::Advisor,
    Origin::Compaction,
    Origin::Declined,
    Origin::Summed,
];

/// The shipped catalog with a discount in a period, so that discounts and cut periods are covered.
fn discounted() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        let instant = |text: &str| -> Option<Timestamp> { text.parse().ok() };
        let period = Period { from: instant("2026-03-01T00:00:00Z"), to: instant("2026-09-15T12:00:00Z") };
        let percent = "17.5".parse().unwrap();
        let discount =
            Discount { location: EntryLocation::default(), provider: None, model: None, period, percent };
        Catalog::shipped()
            .with(&CustomPrices { discounts: vec![discount], ..CustomPrices::default() })
            .unwrap()
    });
    &CATALOG
}

/// Instants at which a price may change, and around them.
fn instants(entry: &bridge_pricing::Entry) -> Vec<Timestamp> {
    let bounds = [Some(entry.from), entry.to].into_iter().flatten();
    let around = |time: Timestamp| [-1, 0, 1, 3_600_000].map(|millis| time.as_millis() + millis);
    bounds.flat_map(around).filter_map(|millis| Timestamp::from_millis(millis).ok()).collect()
}

/// Usages of all models, times, modes and sizes, most of them with a price.
fn usage(catalog: &'static Catalog) -> impl Strategy<Value = Usage<'static>> {
    let names: Vec<_> = catalog
        .entries()
        .iter()
        .flat_map(|entry| entry.names().map(move |name| (name, entry)))
        .chain([("unknown", &catalog.entries()[0])])
        .collect();
    let place = select(names).prop_flat_map(|(name, entry)| (Just(name), select(instants(entry))));
    let limits: Vec<u64> =
        catalog.entries().iter().flat_map(|entry| entry.rates.iter().map(|rates| rates.above)).collect();
    let count = || prop_oneof![3 => Just(0_u64), 5 => 0..200_000_u64, 1 => 0..=1_000_000_000_u64];
    let input =
        prop_oneof![3 => count(), 2 => (select(limits), 0_u64..3).prop_map(|(limit, more)| limit + more)];
    let speed = select(vec![None, None, Some("standard"), Some("fast"), Some(""), Some("odd")]);
    let tiers =
        vec![None, None, Some("standard"), Some("batch"), Some("priority"), Some("flex"), Some("odd")];
    let geographies = vec![None, None, Some("global"), Some("not_available"), Some("us"), Some("eu")];
    let reported = (speed, select(tiers), select(geographies), select(ORIGINS.to_vec()));
    let counts = (input, count(), count(), count(), count(), prop_oneof![4 => Just(0_u64), 1 => 0..20_u64]);
    (place, counts, reported).prop_map(
        |((model, time), counts, (speed, service_tier, inference_geo, origin))| {
            let (input, output, cache_read, cache_creation, cache_creation_1h, web_searches) = counts;
            Usage {
                model: Some(model),
                time,
                input,
                output,
                cache_read,
                cache_creation,
                cache_creation_1h,
                speed,
                service_tier,
                inference_geo,
                web_searches,
                origin,
            }
        },
    )
}

/// The same, as the reference reads it.
fn entries() -> &'static [serde_json::Value] {
    static ENTRIES: LazyLock<Vec<serde_json::Value>> =
        LazyLock::new(|| reference::entries(&discounted().to_string()));
    &ENTRIES
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64),
    ) })]

    #[test]
    fn prices_equal_the_slow_reference(usage in usage(discounted())) {
        let found = discounted().price(&usage).map(|bill| bill.amount);
        match (reference::price(entries(), &usage), found) {
            (Ok(expected), Ok(amount)) => {
                let amount = Fraction { over: amount.attodollars(), decimals: 18 };
                prop_assert!(amount.equals(expected), "{amount:?} is not {expected:?}");
            }
            (expected, found) => {
                prop_assert_eq!(expected.err(), found.map_err(|reason| reason.name()).err());
            }
        }
    }

    #[test]
    fn the_parts_of_a_bill_are_its_amount(usage in usage(discounted())) {
        let Ok(bill) = discounted().price(&usage) else { return Ok(()) };
        prop_assert_eq!(Money::checked_sum(bill.parts.iter().map(|part| part.amount)), Some(bill.amount));
        prop_assert_eq!(Money::checked_sum(bill.parts.iter().map(|part| part.list)), Some(bill.list));
        let tokens: u64 =
            bill.parts.iter().filter(|part| part.kind != PriceKind::WebSearch).map(|part| part.quantity).sum();
        prop_assert_eq!(tokens, usage.tokens());
    }

    #[test]
    fn any_change_of_the_content_changes_the_digest(
        place in 0_usize..200,
        micros in 0..1_000_000_000_u64,
    ) {
        let catalog = discounted();
        let mut entries = catalog.entries().to_vec();
        let place = place % entries.len();
        let before = entries[place].rates[0].input;
        entries[place].rates[0].input = bridge_pricing::Price::from_micros(micros);
        let same = entries[place].rates[0].input == before;
        let changed = Catalog::new(entries).unwrap();
        prop_assert_eq!(changed.digest() == catalog.digest(), same);
        prop_assert_eq!(&changed == catalog, same);
    }
}

#[test]
fn a_catalog_comes_back_from_its_text() {
    for catalog in [discounted(), Catalog::shipped()] {
        let again: Catalog = catalog.to_string().parse().unwrap();
        assert_eq!(&again, catalog);
        assert_eq!(again.digest(), catalog.digest());
        assert_eq!(again.to_string(), catalog.to_string());
    }
}

#[test]
fn the_order_of_the_lines_does_not_matter() {
    let mut entries = discounted().entries().to_vec();
    entries.reverse();
    assert_eq!(Catalog::new(entries).unwrap().digest(), discounted().digest());
}

#[test]
fn amounts_beyond_128_bits_have_no_price() {
    let time = "2026-06-01T00:00:00Z".parse().unwrap();
    let usage = Usage { output: u64::MAX, web_searches: u64::MAX, ..Usage::new("claude-opus-4-6", time) };
    assert!(Catalog::shipped().price(&usage).is_ok(), "list prices are far below the limit");
    let rates = bridge_pricing::Rates {
        input: "10000".parse().ok(),
        output: "10000".parse().ok(),
        ..Default::default()
    };
    let mut entry = discounted().entries()[0].clone();
    (entry.rates, entry.web_search) = (vec![rates], "10000".parse().ok());
    let model = entry.model.clone();
    let time = entry.from;
    let catalog = Catalog::new(vec![entry]).unwrap();
    let usage = Usage { web_searches: u64::MAX, ..Usage::new(&model, time) };
    assert_eq!(catalog.price(&usage).map(|bill| bill.amount), Err(bridge_pricing::Unpriced::TooLarge));
}
