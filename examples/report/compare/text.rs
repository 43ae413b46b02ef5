//! The comparison for people.

use bridge::Origin;
use bridge::pricing::Money;
use bridge_examples::number::number;

use super::causes::{Cause, Comparison, Effect, ModelComparison, PriceCause};
use super::counter::Counter;
use super::documents;
use super::grid::{Grid, signed, signed_money};
use super::price::PriceFactor;
use super::skip::Skip;
use crate::args::Format;
use crate::ascii_json;
use crate::table::{shown, terminal_width};

/// Formats the comparison.
pub(crate) fn format(comparison: &Comparison, format: Format) -> String {
    let grids = || [models(comparison), causes(comparison)];
    match format {
        Format::Json => ascii_json::to_ascii_line(&documents::json(comparison)) + "\n",
        Format::Csv => documents::csv(comparison),
        Format::Markdown => grids().map(|grid| grid.markdown()).join("\n"),
        Format::Table => grids().map(|grid| grid.table(terminal_width())).join("\n\n") + "\n",
    }
}

fn models(comparison: &Comparison) -> Grid {
    let other = comparison.counter.to_string();
    let cost_of_other = format!("cost of {other}");
    let header = [
        "model",
        "here",
        &other,
        "difference",
        "unexplained",
        "cost here",
        &cost_of_other,
        "cost difference",
    ];
    let mut total = ModelComparison::default();
    let mut rows = Vec::new();
    for (name, model) in &comparison.models {
        total.merge(model);
        rows.push(model_row(shown(name), model));
    }
    rows.push(model_row("total".to_owned(), &total));
    // The differences stay; unexplained tokens are among the causes, too.
    Grid { header: header.map(str::to_owned).to_vec(), rows, dispensable: &[4, 1, 5, 2, 6] }
}

fn model_row(name: String, model: &ModelComparison) -> Vec<String> {
    let at_least = if model.own_unpriced > 0 { "≥ " } else { "" };
    vec![
        name,
        number(model.own_tokens),
        number(model.other_tokens),
        signed(i128::from(model.other_tokens) - i128::from(model.own_tokens)),
        signed(model.unexplained_tokens()),
        format!("{at_least}{:.4}", model.own_cost),
        format!("{:.4}", model.other_cost),
        signed_money(model.other_cost.saturating_sub(model.own_cost)),
    ]
}

/// Returns the causes, those with the most dollars first.
fn causes(comparison: &Comparison) -> Grid {
    let header = ["cause", "model", "responses", "tokens", "dollars"].map(str::to_owned).to_vec();
    let mut rows = Vec::new();
    for (name, model) in &comparison.models {
        let mut add = |text: String, responses: String, tokens: i128, money: Money| {
            let tokens_text = if tokens == 0 { String::new() } else { signed(tokens) };
            let size = (money.attodollars().unsigned_abs(), tokens.unsigned_abs());
            rows.push((size, vec![text, shown(name), responses, tokens_text, signed_money(money)]));
        };
        for (cause, Effect { responses, tokens, money }) in &model.causes {
            add(describe(*cause, comparison.counter), number(*responses), *tokens, *money);
        }
        for (cause, money) in model.price_causes() {
            add(describe_price(cause, comparison.counter), String::new(), 0, money);
        }
        if model.unexplained_tokens() != 0 {
            add(
                "unexplained".to_owned(),
                String::new(),
                model.unexplained_tokens(),
                model.unexplained_money(),
            );
        }
    }
    rows.sort_by(|(a, a_row), (b, b_row)| b.cmp(a).then_with(|| a_row.cmp(b_row)));
    Grid { header, rows: rows.into_iter().map(|(_, row)| row).collect(), dispensable: &[2] }
}

pub(super) fn describe(cause: Cause, other: Counter) -> String {
    match cause {
        Cause::Iteration(Origin::Declined) => {
            format!("attempts that were declined, which {other} does not read")
        }
        Cause::Iteration(origin) => {
            format!("{origin}: iterations that {other} does not read", origin = origin.name())
        }
        Cause::Raised => format!("iterations exceed the top-level count that {other} uses"),
        Cause::NestedOnly => format!("only in progress records, which {other} does not read"),
        Cause::Skipped(Skip::Null) => format!("a field is null, and {other} skips the line"),
        Cause::Skipped(Skip::RepeatedName) => {
            format!("an object has a name twice, and {other} skips the line")
        }
        Cause::Skipped(Skip::Spaces) => format!("the JSON has spaces, and {other} skips the line"),
        Cause::OtherModel => format!("{other} takes a snapshot that names another model"),
        Cause::Unreadable => format!("{other} cannot parse any line of the response"),
        Cause::OtherSnapshot => format!("{other} takes another snapshot of the response"),
        Cause::Repeated => format!("{other} counts the response again, for another request or session"),
        Cause::NotHere => "not counted here".to_owned(),
    }
}

pub(super) fn describe_price(cause: PriceCause, other: Counter) -> String {
    match cause {
        PriceCause::NoPriceThere => format!("{other} states no cost"),
        PriceCause::NoPriceYet(tokens) => {
            format!("no price for {} tokens at that date; valued at the model's first price", number(tokens))
        }
        PriceCause::NoPriceHere(tokens) => format!("no price here for {} tokens", number(tokens)),
        PriceCause::LeftOut(factor) => match factor {
            PriceFactor::HourWrites => {
                format!("{other} prices cache writes for an hour like those for five minutes")
            }
            PriceFactor::WebSearches => format!("{other} does not price web searches"),
            PriceFactor::Speed => format!("{other} prices the fast mode like the standard one"),
            PriceFactor::ServiceTier => format!("{other} prices all service tiers like the standard one"),
            PriceFactor::Geography => format!("{other} prices all geographies alike"),
            PriceFactor::Size => format!("{other} prices large requests like small ones"),
            PriceFactor::Discount => format!("{other} prices without the discounts"),
        },
        PriceCause::Price => "different price".to_owned(),
    }
}
