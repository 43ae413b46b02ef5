//! The comparison for people and programs.

use bridge::Origin;
use bridge::pricing::Money;
use bridge_examples::number::number;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde_json::{Value, json};

use super::causes::{Cause, Comparison, Effect, ModelComparison, PriceCause};
use super::skip::Skip;
use crate::args::Format;
use crate::ascii_json;
use crate::documents::markdown_text;
use crate::table::shown;

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Formats the comparison.
pub(crate) fn format(comparison: &Comparison, format: Format) -> String {
    let grids = [models(comparison), causes(comparison)];
    match format {
        Format::Json => ascii_json::to_ascii_line(&json(comparison)) + "\n",
        Format::Markdown => grids.map(|grid| grid.markdown()).join("\n"),
        Format::Csv => grids.map(|grid| grid.csv()).join("\r\n"),
        Format::Table => grids.map(|grid| grid.table()).join("\n\n") + "\n",
    }
}

/// Rows of texts, the first column of which are names.
struct Grid {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(STYLE).set_header(&self.header);
        for row in &self.rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<_> =
            (0..self.header.len()).map(|at| if at == 0 { "---" } else { "---:" }.to_owned()).collect();
        let escaped = |row: &Vec<String>| row.iter().map(|cell| markdown_text(cell)).collect::<Vec<_>>();
        let rows = self.rows.iter().map(|row| line(&escaped(row)));
        line(&self.header) + &line(&rule) + &rows.collect::<String>()
    }

    fn csv(&self) -> String {
        let rows = std::iter::once(&self.header).chain(&self.rows);
        rows.map(|row| crate::documents::csv_line(row.iter().map(|cell| crate::documents::csv_text(cell))))
            .collect()
    }
}

fn models(comparison: &Comparison) -> Grid {
    let other = comparison.counter.to_string();
    let header = [
        "model",
        "here",
        &other,
        "difference",
        "unexplained",
        "cost here",
        &format!("cost of {other}"),
        "difference",
    ];
    let row = |name: String, model: &ModelComparison| {
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
    };
    let mut total = ModelComparison::default();
    let mut rows = Vec::new();
    for (name, model) in &comparison.models {
        total.merge(model);
        rows.push(row(shown(name), model));
    }
    rows.push(row("total".to_owned(), &total));
    Grid { header: header.map(str::to_owned).to_vec(), rows }
}

impl ModelComparison {
    fn merge(&mut self, other: &Self) {
        self.own_tokens += other.own_tokens;
        self.own_unpriced += other.own_unpriced;
        self.other_tokens += other.other_tokens;
        self.own_cost = self.own_cost.saturating_add(other.own_cost);
        self.other_cost = self.other_cost.saturating_add(other.other_cost);
        for (cause, effect) in &other.causes {
            let sum = self.causes.entry(*cause).or_default();
            sum.responses += effect.responses;
            sum.tokens += effect.tokens;
            sum.money = sum.money.saturating_add(effect.money);
        }
    }
}

fn causes(comparison: &Comparison) -> Grid {
    let header = ["cause", "model", "responses", "tokens", "dollars"].map(str::to_owned).to_vec();
    let mut rows = Vec::new();
    for (name, model) in &comparison.models {
        for (cause, Effect { responses, tokens, money }) in &model.causes {
            rows.push(vec![
                describe(*cause, comparison),
                shown(name),
                number(*responses),
                signed(*tokens),
                signed_money(*money),
            ]);
        }
        if let Some(cause) = model.price_cause() {
            let difference = signed_money(model.price_difference());
            let text = describe_price(cause, model, comparison);
            rows.push(vec![text, shown(name), String::new(), String::new(), difference]);
        }
        if model.unexplained_tokens() != 0 {
            let tokens = signed(model.unexplained_tokens());
            rows.push(vec!["unexplained".to_owned(), shown(name), String::new(), tokens, String::new()]);
        }
    }
    rows.sort();
    Grid { header, rows }
}

fn describe(cause: Cause, comparison: &Comparison) -> String {
    let other = comparison.counter;
    match cause {
        Cause::Iteration(Origin::Declined) => {
            format!("attempts that were declined, which {other} does not read")
        }
        Cause::Iteration(origin) => {
            format!("{origin}: iterations that {other} does not read", origin = origin.name())
        }
        Cause::Raised => format!("iterations say more than the top level, which {other} takes"),
        Cause::NestedOnly => format!("only in progress records, which {other} does not read"),
        Cause::Skipped(Skip::Null) => format!("a field is null, and {other} skips the line"),
        Cause::Skipped(Skip::RepeatedName) => {
            format!("an object has a name twice, and {other} skips the line")
        }
        Cause::Skipped(Skip::Spaces) => format!("the JSON has spaces, and {other} skips the line"),
        Cause::OtherModel => format!("{other} takes a snapshot that names another model"),
        Cause::Unreadable => format!("no line of the response is plain JSON that {other} reads"),
        Cause::OtherSnapshot => format!("{other} takes another snapshot of the response"),
        Cause::Repeated => format!("{other} counts the response again, for another request or session"),
        Cause::NotHere => "not counted here".to_owned(),
    }
}

fn describe_price(cause: PriceCause, model: &ModelComparison, comparison: &Comparison) -> String {
    let other = comparison.counter;
    match cause {
        PriceCause::NoPriceThere => format!("{other} states no cost"),
        PriceCause::NoPriceHere => {
            format!("no price here for {} tokens at their time, or another price", number(model.own_unpriced))
        }
        PriceCause::ShortWrites => {
            format!("{other} prices cache writes for an hour like those for five minutes")
        }
        PriceCause::Price => "another price".to_owned(),
        PriceCause::Unexplained => "unexplained".to_owned(),
    }
}

fn signed(count: i128) -> String {
    let size = number(u64::try_from(count.unsigned_abs()).unwrap_or(u64::MAX));
    match count.signum() {
        0 => "0".to_owned(),
        1 => format!("+{size}"),
        _ => format!("−{size}"),
    }
}

fn signed_money(money: Money) -> String {
    let size = Money::from_attodollars(money.attodollars().saturating_abs());
    match money.attodollars().signum() {
        0 => "$0".to_owned(),
        1 => format!("+{size:.4}"),
        _ => format!("−{size:.4}"),
    }
}

fn json(comparison: &Comparison) -> Value {
    let cause = |(cause, effect): (&Cause, &Effect)| {
        json!({
            "cause": describe(*cause, comparison),
            "responses": effect.responses,
            "tokens": effect.tokens.to_string(),
            "usd": effect.money.exact(),
        })
    };
    let model = |(name, model): (&String, &ModelComparison)| {
        json!({
            "model": name,
            "own_tokens": model.own_tokens,
            "other_tokens": model.other_tokens,
            "own_usd": model.own_cost.exact(),
            "own_unpriced_tokens": model.own_unpriced,
            "other_usd": model.other_cost.exact(),
            "causes": model.causes.iter().map(cause).collect::<Vec<_>>(),
            "unexplained_tokens": model.unexplained_tokens().to_string(),
            "price_difference_usd": model.price_difference().exact(),
            "price_cause": model.price_cause().map(|cause| describe_price(cause, model, comparison)),
        })
    };
    json!({
        "counter": comparison.counter.to_string(),
        "models": comparison.models.iter().map(model).collect::<Vec<_>>(),
    })
}
