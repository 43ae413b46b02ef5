//! The worked bills of docs/pricing.md.

use std::path::Path;

use bridge_core::{Origin, Timestamp};
use bridge_pricing::{
    Alias, Catalog, CustomPrice, CustomPrices, Discount, EntryLocation, Period, Price, Rates, Usage,
};

fn custom() -> Catalog {
    let from: Option<Timestamp> = "2026-11-01T00:00:00Z".parse().ok();
    let price = |text: &str| -> Option<Price> { text.parse().ok() };
    let rates = Rates { input: price("0.0375"), output: price("0.15"), ..Rates::default() };
    let prices = CustomPrices {
        prices: vec![CustomPrice {
            location: EntryLocation::new("pricing.prices[0]"),
            provider: Some("house".to_owned()),
            model: "house-model".to_owned(),
            rates: vec![rates],
            ..CustomPrice::default()
        }],
        aliases: vec![Alias {
            name: "gateway/sonnet".to_owned(),
            model: "claude-sonnet-5-5".to_owned(),
            ..Alias::default()
        }],
        discounts: vec![Discount {
            location: EntryLocation::new("pricing.discounts[0]"),
            provider: Some("anthropic".to_owned()),
            model: None,
            period: Period { from, to: None },
            percent: "12.5".parse().unwrap(),
        }],
    };
    Catalog::shipped().with(&prices).unwrap()
}

fn origin(name: &str) -> Origin {
    let all = [Origin::Declined, Origin::Compaction, Origin::Advisor, Origin::Summed];
    all.into_iter().find(|origin| origin.name() == name).unwrap()
}

/// Returns the price of one row of the table, in all digits, or the reason why there is none.
fn priced(row: &[String]) -> String {
    let number = |place: usize| row[place].replace(',', "").parse::<u64>().unwrap();
    let time = if row[3].len() == 10 { format!("{}T12:00:00Z", row[3]) } else { row[3].clone() };
    let model = row[2].replace('\\', "");
    let mut usage = Usage::new(&model, time.parse().unwrap());
    (usage.input, usage.output, usage.cache_read) = (number(4), number(5), number(6));
    (usage.cache_creation, usage.cache_creation_1h, usage.web_searches) = (number(7), number(8), number(9));
    let mut catalog = Catalog::shipped().clone();
    for reported in row[10].split(", ").filter(|text| !text.is_empty()) {
        match reported.split_once(' ') {
            Some(("speed", speed)) => usage.speed = Some(speed),
            Some(("tier", tier)) => usage.service_tier = Some(tier),
            Some(("geo", geography)) => usage.inference_geo = Some(geography),
            Some(("origin", name)) => usage.origin = origin(name),
            _ if reported == "custom" => catalog = custom(),
            _ => panic!("{reported}"),
        }
    }
    match catalog.price(&usage) {
        Ok(bill) => bill.amount.exact(),
        Err(reason) => format!("unpriced: {}", reason.name()),
    }
}

#[test]
fn each_bill_computed_by_hand_is_what_the_code_computes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pricing.md");
    // A published package has no pages.
    let Ok(page) = std::fs::read_to_string(path) else { return };
    let (_, table) = page.split_once("## Worked bills").unwrap();
    let mut count = 0;
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")) {
        let row: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        assert_eq!(priced(&row), row[12], "{line}");
        count += 1;
    }
    assert_eq!(count, 32);
}
