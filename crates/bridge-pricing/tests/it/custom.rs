//! A user's own entries, good and bad.

use bridge_core::Timestamp;
use bridge_pricing::{
    Alias, Catalog, Currency, CustomPrice, CustomPrices, Discount, EntryLocation, Period, Price, PriceError,
    Problem, Rates, Unpriced, Usage,
};

fn instant(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn period(from: &str, to: &str) -> Period {
    Period { from: Some(instant(from)), to: Some(instant(to)) }
}

fn location(name: &str, line: u64) -> EntryLocation {
    EntryLocation { name: name.to_owned(), line: Some(line) }
}

fn price(input: &str, output: &str) -> Rates {
    Rates { input: input.parse().ok(), output: output.parse().ok(), ..Rates::default() }
}

fn own(line: u64, model: &str, period: Period) -> CustomPrice {
    CustomPrice {
        location: location("pricing.prices", line),
        model: model.to_owned(),
        period,
        rates: vec![price("1", "2")],
        ..CustomPrice::default()
    }
}

fn amount(catalog: &Catalog, model: &str, date: &str) -> Result<String, Unpriced> {
    let usage = Usage { input: 1_000_000, ..Usage::new(model, instant(date)) };
    catalog.price(&usage).map(|bill| bill.amount.exact())
}

fn problems(custom: &CustomPrices) -> Vec<String> {
    let problems = Catalog::shipped().with(custom).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn own_prices_replace_the_catalog_in_their_period_for_all_names() {
    let prices = vec![own(3, "claude-haiku-4-5-20251001", period("2026-05-01", "2026-06-01"))];
    let catalog = Catalog::shipped().with(&CustomPrices { prices, ..Default::default() }).unwrap();
    for model in ["claude-haiku-4-5", "claude-haiku-4-5-20251001"] {
        let found = ["2026-04-30", "2026-05-01", "2026-05-31", "2026-06-01"]
            .map(|date| amount(&catalog, model, date));
        assert_eq!(found, ["1", "1", "1", "1"].map(|amount| Ok(amount.to_owned())));
        let usage = Usage { output: 1_000_000, ..Usage::new(model, instant("2026-05-15")) };
        assert_eq!(catalog.price(&usage).unwrap().amount.exact(), "2");
        let usage = Usage { cache_read: 1, ..usage };
        assert_eq!(catalog.price(&usage), Err(Unpriced::TokenKind), "not the price of the catalog");
    }
    assert_ne!(catalog.digest(), Catalog::shipped().digest());
}

#[test]
fn a_name_has_the_prices_in_its_period_only() {
    let alias = Alias {
        location: location("pricing.aliases", 9),
        name: "my-haiku".to_owned(),
        model: "claude-haiku-4-5".to_owned(),
        period: period("2026-05-01", "2026-06-01"),
    };
    let catalog =
        Catalog::shipped().with(&CustomPrices { aliases: vec![alias], ..Default::default() }).unwrap();
    assert_eq!(amount(&catalog, "my-haiku", "2026-05-31"), Ok("1".to_owned()));
    assert_eq!(amount(&catalog, "my-haiku", "2026-06-01"), Err(Unpriced::Date));
    assert_eq!(amount(&catalog, "claude-haiku-4-5", "2026-06-01"), Ok("1".to_owned()));
}

#[test]
fn a_discount_leaves_the_list_price_in_the_bill() {
    let discount = Discount {
        location: location("pricing.discounts", 1),
        provider: Some("anthropic".to_owned()),
        model: Some("claude-haiku-4-5".to_owned()),
        period: period("2026-05-01", "2026-06-01"),
        percent: "33.3".parse().unwrap(),
    };
    let custom = CustomPrices { discounts: vec![discount], ..Default::default() };
    let catalog = Catalog::shipped().with(&custom).unwrap();
    let usage =
        Usage { input: 1_000_000, web_searches: 1, ..Usage::new("claude-haiku-4-5", instant("2026-05-01")) };
    let bill = catalog.price(&usage).unwrap();
    assert_eq!((bill.list.exact(), bill.amount.exact()), ("1.01".to_owned(), "0.67367".to_owned()));
    assert_eq!(amount(&catalog, "claude-haiku-4-5", "2026-06-01"), Ok("1".to_owned()));
    assert_eq!(amount(&catalog, "claude-opus-4-6", "2026-05-01"), Ok("5".to_owned()));
}

#[test]
fn each_bad_entry_is_named_with_its_line() {
    let prices = vec![
        own(3, "claude-haiku-4-5", period("2026-05-01", "2026-06-01")),
        own(4, "claude-haiku-4-5-20251001", period("2026-05-31", "2026-07-01")),
        own(5, "claude-opus-4-6", period("2026-05-01", "2026-05-01")),
        CustomPrice { rates: vec![], ..own(6, "claude-opus-4-5", Period::default()) },
        CustomPrice {
            rates: vec![price("1", "2"), price("1", "2")],
            ..own(7, "claude-opus-4-8", Period::default())
        },
        own(8, "nobody-sells-this", Period::default()),
    ];
    let custom = CustomPrices { prices, ..Default::default() };
    assert_eq!(
        problems(&custom),
        [
            "pricing.prices (line 4): its period overlaps with that of pricing.prices (line 3)",
            "pricing.prices (line 5): its period must end after it starts",
            "pricing.prices (line 6): it must have the prices of input and output in the standard mode",
            "pricing.prices (line 7): it has the prices of one mode and size twice",
            "pricing.prices (line 8): its provider must not be empty",
        ]
    );
}

#[test]
fn bad_names_and_discounts_are_named_with_their_line() {
    let alias = |line, name: &str, model: &str| Alias {
        location: location("pricing.aliases", line),
        name: name.to_owned(),
        model: model.to_owned(),
        period: Period::default(),
    };
    let of = |line, provider| discount(line, Some(provider), None);
    let custom = CustomPrices {
        prices: Vec::new(),
        aliases: vec![alias(1, "mine", "not-known"), alias(2, "claude-opus-4-5", "claude-opus-4-6")],
        discounts: vec![of(3, "openai"), of(4, "openai"), of(5, "nobody")],
    };
    assert_eq!(
        problems(&custom),
        [
            "pricing.aliases (line 1): the price catalog does not have not-known at that time",
            "pricing.aliases (line 2): claude-opus-4-5 has its own price at that time",
            "pricing.discounts (line 4): its period overlaps with that of pricing.discounts (line 3)",
            "pricing.discounts (line 5): the price catalog does not have nobody at that time",
        ]
    );
}

/// A name with a date, or with the width of the context, is that of the model without.
#[test]
fn another_form_of_a_claudes_name_is_the_same_model_in_every_entry() {
    let (form, model) = ("claude-opus-4-6[1m]", "claude-opus-4-6");
    let alias = |name: &str, model: &str| Alias {
        location: location("pricing.aliases", 1),
        name: name.to_owned(),
        model: model.to_owned(),
        period: Period::default(),
    };
    let aliases = vec![alias(form, "claude-haiku-4-5")];
    assert_eq!(
        problems(&CustomPrices { aliases, ..Default::default() }),
        ["pricing.aliases (line 1): claude-opus-4-6[1m] has its own price at that time"]
    );
    let date = "2026-05-01";
    let with = |custom: CustomPrices| Catalog::shipped().with(&custom).unwrap();
    let listed = amount(Catalog::shipped(), model, date);
    let catalog = with(CustomPrices { aliases: vec![alias("mine", form)], ..Default::default() });
    assert_eq!(amount(&catalog, "mine", date), listed);

    let prices = vec![own(2, form, Period::default())];
    let custom = CustomPrices { prices, ..Default::default() };
    let catalog = with(custom.clone());
    assert_eq!([form, model].map(|name| amount(&catalog, name, date)), [Ok("1".into()), Ok("1".into())]);
    assert_eq!(custom.unused(&catalog, &[model].into()), []);
    assert_eq!(custom.lacking(Catalog::shipped()).len(), 1, "it lacks the prices of the cache");

    let discounts = vec![discount(3, None, Some(form))];
    let discounted = amount(&with(CustomPrices { discounts, ..Default::default() }), model, date);
    assert!(discounted.is_ok() && discounted != listed, "{discounted:?}");
}

#[test]
fn more_sizes_or_geographies_than_dashboards_tell_apart_are_refused() {
    let sized = |line, sizes: std::ops::Range<u64>| {
        let above = |limit| Rates { above: 300_000 + limit, ..price("1", "2") };
        let rates = std::iter::once(price("1", "2")).chain(sizes.map(above)).collect();
        let model = format!("own-{line}");
        let provider = Some("us".to_owned());
        CustomPrice { rates, provider, ..own(line, &model, Period::default()) }
    };
    let placed = |line, places: std::ops::Range<u32>| CustomPrice {
        geographies: places.map(|place| (format!("place-{place}"), "1.1".parse().unwrap())).collect(),
        ..sized(line, 0..0)
    };
    let shipped: std::collections::BTreeSet<_> =
        Catalog::shipped().entries().iter().flat_map(|entry| &entry.rates).map(|rates| rates.above).collect();
    // The set has the 0 of prices without a limit, too.
    let room = 8 - u64::try_from(shipped.len()).unwrap();
    let custom = |prices| CustomPrices { prices, ..Default::default() };
    assert!(Catalog::shipped().with(&custom(vec![sized(1, 0..room)])).is_ok());
    assert_eq!(
        problems(&custom(vec![sized(1, 0..room), sized(2, room..room + 1), sized(3, 0..0)])),
        ["pricing.prices (line 2): a price list has at most 7 different limits of size"]
    );
    assert_eq!(
        problems(&custom(vec![placed(1, 0..6), placed(2, 6..12)])),
        ["pricing.prices (line 2): a price list has at most 10 different geographies"]
    );
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn discount(line: u64, provider: Option<&str>, model: Option<&str>) -> Discount {
    Discount {
        location: location("pricing.discounts", line),
        provider: provider.map(str::to_owned),
        model: model.map(str::to_owned),
        period: Period::default(),
        percent: "10".parse().unwrap(),
    }
}

#[test]
fn discounts_that_overlap_name_one_another_and_not_a_third() {
    let of = |line, provider| discount(line, Some(provider), None);
    let discounts = vec![
        of(1, "openai"),
        of(2, "anthropic"),
        of(3, "google"),
        discount(4, None, Some("claude-opus-4-6")),
    ];
    let custom = CustomPrices { discounts, ..Default::default() };
    let overlap = "pricing.discounts (line 4): its period overlaps with that of pricing.discounts (line 2)";
    assert_eq!(problems(&custom), [overlap]);
}

#[test]
fn an_entry_for_a_model_that_no_response_has_is_a_warning() {
    let alias = |line, name: &str| Alias {
        location: location("pricing.aliases", line),
        name: name.to_owned(),
        model: "claude-opus-4-8".to_owned(),
        period: Period::default(),
    };
    let custom = CustomPrices {
        prices: vec![
            own(3, "claude-haiku-4-5", Period::default()),
            own(4, "claude-opus-4-6", Period::default()),
        ],
        aliases: vec![alias(5, "gateway/opus"), alias(6, "mine")],
        discounts: vec![
            discount(7, None, Some("claude-opus-4-8")),
            discount(8, None, Some("claude-opus-4-5")),
        ],
    };
    let catalog = Catalog::shipped().with(&custom).unwrap();
    let unused = texts(&custom.unused(&catalog, &["claude-opus-4-6", "gateway/opus"].into()));
    assert_eq!(
        unused,
        [
            "pricing.prices (line 3): no response has the model claude-haiku-4-5",
            "pricing.aliases (line 6): no response has the model mine",
            "pricing.discounts (line 8): no response has the model claude-opus-4-5",
        ]
    );
}

#[test]
fn an_entry_is_used_by_every_name_that_it_prices() {
    let custom = CustomPrices {
        prices: vec![own(3, "claude-haiku-4-5", Period::default())],
        discounts: vec![discount(4, None, Some("claude-opus-4-5-20251101"))],
        ..Default::default()
    };
    let catalog = Catalog::shipped().with(&custom).unwrap();
    for models in [
        ["claude-haiku-4-5-20251001", "claude-opus-4-5"],
        ["claude-haiku-4-5-20251001[1m]", "claude-opus-4-5-20251101"],
    ] {
        assert_eq!(custom.unused(&catalog, &models.into()), [], "{models:?}");
    }
    // Names of other services are not priced by it.
    assert_eq!(custom.unused(&catalog, &["anthropic/claude-haiku-4.5"].into()).len(), 2);
}

#[test]
fn an_own_price_that_lacks_what_it_replaces_is_a_warning() {
    let full = Rates {
        cache_read: "0.1".parse().ok(),
        cache_write_5m: "1.25".parse().ok(),
        cache_write_1h: "2".parse().ok(),
        ..price("1", "5")
    };
    let prices = vec![
        own(3, "claude-haiku-4-5-20251001", period("2026-05-01", "2026-06-01")),
        CustomPrice { rates: vec![full.clone()], ..own(4, "claude-opus-4-6", Period::default()) },
        CustomPrice {
            rates: vec![full],
            web_search: "10".parse().ok(),
            ..own(5, "claude-opus-4-5", Period::default())
        },
        // Nothing is replaced: of a new model, and before the model was there.
        CustomPrice { provider: Some("us".to_owned()), ..own(6, "own-model", Period::default()) },
        own(7, "claude-opus-4-8", period("2020-01-01", "2020-02-01")),
    ];
    let custom = CustomPrices { prices, ..Default::default() };
    let lacks = |line, what| {
        format!("pricing.prices (line {line}): it has no price of {what}, which the replaced prices have")
    };
    assert_eq!(
        texts(&custom.lacking(Catalog::shipped())),
        [lacks(3, "cache_read, cache_write_5m, cache_write_1h, web_search"), lacks(4, "web_search")]
    );
}

#[test]
fn negative_prices_and_other_currencies_cannot_be_written() {
    assert_eq!("-0.5".parse::<Price>(), Err(PriceError::Negative));
    assert_eq!("EUR".parse::<Currency>().unwrap_err().to_string(), "the currency of prices must be USD");
    assert_eq!("USD".parse(), Ok(Currency::Usd));
}

#[test]
fn a_bad_file_names_its_line() {
    let line = r#"{"format":1,"currency":"USD"}"#;
    let error = format!("{line}\n{{}}").parse::<Catalog>().unwrap_err();
    assert_eq!(error.to_string(), "line 2 of the price catalog is invalid");
    assert!("".parse::<Catalog>().is_err());
    assert!(r#"{"format":1,"currency":"EUR"}"#.parse::<Catalog>().is_err());
    let entry = Catalog::shipped().to_string().lines().nth(1).unwrap().to_owned();
    let error = format!("{line}\n{entry}\n{entry}").parse::<Catalog>().unwrap_err().to_string();
    assert!(error.contains("overlaps"), "{error}");
}
