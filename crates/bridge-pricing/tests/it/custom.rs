//! A user's own entries, good and bad.

use bridge_core::Timestamp;
use bridge_pricing::{
    Alias, Catalog, Currency, CustomPrice, CustomPrices, Discount, Period, Place, Price, PriceError, Rates,
    Unpriced, Usage,
};

fn instant(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn period(from: &str, to: &str) -> Period {
    Period { from: Some(instant(from)), to: Some(instant(to)) }
}

fn place(name: &str, line: u64) -> Place {
    Place { name: name.to_owned(), line: Some(line) }
}

fn price(input: &str, output: &str) -> Rates {
    Rates { input: input.parse().ok(), output: output.parse().ok(), ..Rates::default() }
}

fn own(line: u64, model: &str, period: Period) -> CustomPrice {
    CustomPrice {
        place: place("cost.prices", line),
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
        place: place("cost.aliases", 9),
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
        place: place("cost.discounts", 1),
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
            "cost.prices (line 4): its period overlaps with that of cost.prices (line 3)",
            "cost.prices (line 5): its period must end after it begins",
            "cost.prices (line 6): it must have the prices of input and output in the standard mode",
            "cost.prices (line 7): it has the prices of one mode and size twice",
            "cost.prices (line 8): its provider must not be empty",
        ]
    );
}

#[test]
fn bad_names_and_discounts_are_named_with_their_line() {
    let alias = |line, name: &str, model: &str| Alias {
        place: place("cost.aliases", line),
        name: name.to_owned(),
        model: model.to_owned(),
        period: Period::default(),
    };
    let discount = |line, provider: &str| Discount {
        place: place("cost.discounts", line),
        provider: Some(provider.to_owned()),
        model: None,
        period: Period::default(),
        percent: "10".parse().unwrap(),
    };
    let custom = CustomPrices {
        prices: Vec::new(),
        aliases: vec![alias(1, "mine", "not-known"), alias(2, "claude-opus-4-5", "claude-opus-4-6")],
        discounts: vec![discount(3, "openai"), discount(4, "openai"), discount(5, "nobody")],
    };
    assert_eq!(
        problems(&custom),
        [
            "cost.aliases (line 1): the price catalog does not have not-known at that time",
            "cost.aliases (line 2): claude-opus-4-5 has a price of its own at that time",
            "cost.discounts (line 4): its period overlaps with that of cost.discounts (line 3)",
            "cost.discounts (line 5): the price catalog does not have nobody at that time",
        ]
    );
}

#[test]
fn an_entry_for_a_model_that_no_response_has_is_a_warning() {
    let prices =
        vec![own(3, "claude-haiku-4-5", Period::default()), own(4, "claude-opus-4-6", Period::default())];
    let custom = CustomPrices { prices, ..Default::default() };
    let warnings: Vec<_> =
        custom.unused(&["claude-opus-4-6"].into()).iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["cost.prices (line 3): no response has the model claude-haiku-4-5"]);
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
