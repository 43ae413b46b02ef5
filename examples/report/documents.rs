//! The report as JSON, CSV and Markdown.

use bridge::pricing::Cost;
use bridge::{Escaped, UsageSums};
use serde_json::{Map, Value, json};

use crate::column::Column;
use crate::rows::{Report, Row};
use crate::table::shown;

/// Formats the report as one JSON object.
pub(crate) fn json(report: &Report) -> Value {
    let rows: Vec<_> = report.rows.iter().map(|row| row_json(row, report.columns())).collect();
    let mut other = Map::from_iter([("groups".to_owned(), report.others.groups.into())]);
    let known = report.columns().iter().filter(|column| column.is_known_of_others());
    other.extend(known.map(|column| (column.key().to_owned(), column.json(&report.others.sums))));
    json!({
        "by": report.by.to_string(),
        "time_zone": report.zone.name(),
        "range": report.range,
        "rows": rows,
        "other": other,
        "totals": sums_json(&report.totals, report.columns()),
    })
}

fn row_json(row: &Row, columns: &[Column]) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), row.name.clone().into());
    if let Some(time) = row.time {
        object.insert("start".to_owned(), json!(time.start));
        object.insert("end".to_owned(), json!(time.end));
    }
    object.extend(sums_json(&row.sums, columns));
    Value::Object(object)
}

fn sums_json(sums: &UsageSums, columns: &[Column]) -> Map<String, Value> {
    let amounts = columns.iter().map(|column| (column.key().to_owned(), column.json(sums)));
    let mut object = Map::from_iter(amounts);
    if let Some(cost) = sums.cost {
        object.insert("list_usd".to_owned(), cost.list.exact().into());
        object.insert("cache_savings_usd".to_owned(), cost.cache_savings().exact().into());
        object.insert("unpriced_tokens".to_owned(), cost.unpriced_tokens.into());
    }
    object.insert("unfinished_responses".to_owned(), sums.unfinished_responses.into());
    object.insert("first_time".to_owned(), json!(sums.first_time));
    object.insert("last_time".to_owned(), json!(sums.last_time));
    object
}

/// Formats the rows as CSV. Groups that are not listed have a row without the amounts that are not known.
pub(crate) fn csv(report: &Report) -> String {
    let columns = report.columns();
    let has_cost = report.totals.cost.is_some();
    let keys = columns.iter().map(|column| column.key().to_owned());
    let keys = keys.chain(COST_KEYS.into_iter().filter(|_| has_cost).map(str::to_owned));
    let mut lines = vec![csv_line(std::iter::once(report.by.to_string()).chain(keys))];
    for row in &report.rows {
        let amounts = columns.iter().map(|column| column.exact(&row.sums)).chain(of_cost(&row.sums));
        lines.push(csv_line(std::iter::once(csv_text(&row.name)).chain(amounts)));
    }
    if report.others.groups > 0 {
        let known = known_of_others(report, Column::exact).chain(of_cost(&report.others.sums));
        lines.push(csv_line(std::iter::once(format!("({} more)", report.others.groups)).chain(known)));
    }
    lines.concat()
}

/// The columns of CSV beside the cost.
const COST_KEYS: [&str; 3] = ["list_usd", "cache_savings_usd", "unpriced_tokens"];

fn of_cost(sums: &UsageSums) -> impl Iterator<Item = String> {
    let amounts =
        |cost: Cost| [cost.list.exact(), cost.cache_savings().exact(), cost.unpriced_tokens.to_string()];
    sums.cost.map(amounts).into_iter().flatten()
}

/// Returns the amounts of what is not listed, those that are not known as an empty text.
fn known_of_others(
    report: &Report,
    text: impl Fn(Column, &UsageSums) -> String,
) -> impl Iterator<Item = String> {
    report.columns().iter().map(move |column| match column.is_known_of_others() {
        true => text(*column, &report.others.sums),
        false => String::new(),
    })
}

/// Returns a name for a spreadsheet, which would execute one that begins like a formula.
pub(crate) fn csv_text(name: &str) -> String {
    let text = Escaped::text(name).to_string();
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

pub(crate) fn csv_line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

/// Formats the rows as a table in Markdown.
pub(crate) fn markdown(report: &Report) -> String {
    let columns = report.columns();
    let line = |name: &str, cells: Vec<String>| format!("| {name} | {} |\n", cells.join(" | "));
    let amounts = |sums: &UsageSums| columns.iter().map(|column| column.text(sums)).collect();
    let mut text =
        line(&report.by.to_string(), columns.iter().map(|column| column.title().to_owned()).collect());
    text += &line("---", columns.iter().map(|_| "---:".to_owned()).collect());
    for row in &report.rows {
        text += &line(&markdown_text(&shown(&row.name)), amounts(&row.sums));
    }
    if report.others.groups > 0 {
        let known = known_of_others(report, Column::text).collect();
        text += &line(&format!("({} more)", report.others.groups), known);
    }
    text + &line("**total**", amounts(&report.totals))
}

/// Escapes what Markdown and HTML would take for markup.
pub(crate) fn markdown_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::report_of;

    #[test]
    fn a_hostile_name_is_text_in_every_form() {
        let name = "=1+\u{1b}[31m\r\n\u{202e},\"|<b>`x`";
        let report = report_of(&[name]);
        let safe = |text: &str| {
            assert!(text.lines().all(|line| !line.contains(char::is_control)), "{text:?}");
            assert!(!text.contains('\u{202e}'), "{text:?}");
        };
        let csv = csv(&report);
        assert!(csv.contains(r#""'=1+\u{1b}[31m\r\n\u{202e},""|<b>`x`",1,"#), "{csv}");
        assert_eq!(csv.lines().count(), 2);
        safe(&csv);
        let markdown = markdown(&report);
        assert!(
            markdown.contains(r"=1+\\u{1b}\[31m\\r\\n\\u{202e},") && !markdown.contains("<b>"),
            "{markdown}"
        );
        assert_eq!(markdown.lines().count(), 4);
        safe(&markdown);
        let json = crate::ascii_json::to_ascii_line(&json(&report));
        safe(&json);
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["rows"][0]["name"], name);
        safe(&crate::table::text(&report, Some(80)));
    }

    #[test]
    fn rows_and_what_is_not_listed_add_up_to_the_totals() {
        let mut report = report_of(&["a", "b"]);
        let counts = bridge::TokenCounts { input: 50, ..bridge::TokenCounts::ZERO };
        let sums = UsageSums { responses: 5, counts, ..UsageSums::default() };
        report.others = crate::rows::Others { groups: 3, sums };
        assert_eq!(json(&report)["other"]["total_tokens"], 50);
        assert!(csv(&report).ends_with("(3 more),5,,,,,50\r\n"));
        assert!(markdown(&report).contains("| (3 more) | 5 |  |  |  |  | 50 |\n"));
    }

    #[test]
    fn a_cost_is_exact_for_programs_and_says_what_it_lacks() {
        let mut report = report_of(&["a"]);
        let cost = report.totals.cost.get_or_insert_default();
        cost.amount = bridge::pricing::Money::from_attodollars(1_234_565_000_000_000_000);
        (cost.list, cost.without_cache) = (cost.amount, "3.5".parse().unwrap());
        (cost.priced_tokens, cost.unpriced_tokens) = (9, 1);
        report.rows[0].sums.cost = report.totals.cost;
        assert_eq!(json(&report)["rows"][0]["cost_usd"], "1.234565");
        assert_eq!(json(&report)["totals"]["unpriced_tokens"], 1);
        assert_eq!(json(&report)["totals"]["cache_savings_usd"], "2.265435");
        let csv = csv(&report);
        let header = "total_tokens,cost_usd,list_usd,cache_savings_usd,unpriced_tokens";
        assert!(
            csv.contains(&format!("{header}\r\na,1,1,2,3,4,10,1.234565,1.234565,2.265435,1\r\n")),
            "{csv}"
        );
        assert!(markdown(&report).contains("| 10 | ≥ $1.23 |"));
        let table = crate::table::text(&report, None);
        assert!(table.contains("≥: 1 tokens (10.0 %) have no price"), "{table}");
    }
}
