//! The report as JSON, CSV and Markdown.

use bridge::{Escaped, UsageSums};
use bridge_examples::number::number;
use serde_json::{Map, Value, json};

use crate::column::Column;
use crate::rows::{Report, Row};
use crate::table::shown;

/// Formats the report as one JSON object.
pub(crate) fn json(report: &Report) -> Value {
    let rows: Vec<_> = report.rows.iter().map(row_json).collect();
    json!({
        "by": report.by.to_string(),
        "time_zone": report.zone.name(),
        "range": report.range,
        "rows": rows,
        "other": {
            "groups": report.others.groups,
            "responses": report.others.responses,
            "total_tokens": report.others.tokens,
        },
        "totals": sums_json(&report.totals),
    })
}

fn row_json(row: &Row) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), row.name.clone().into());
    if let Some(time) = row.time {
        object.insert("start".to_owned(), json!(time.start));
        object.insert("end".to_owned(), json!(time.end));
    }
    object.extend(sums_json(&row.sums));
    Value::Object(object)
}

fn sums_json(sums: &UsageSums) -> Map<String, Value> {
    let numbers = Column::ALL.map(|column| (column.key().to_owned(), column.value(sums).into()));
    let mut object = Map::from_iter(numbers);
    object.insert("unfinished_responses".to_owned(), sums.unfinished_responses.into());
    object.insert("first_time".to_owned(), json!(sums.first_time));
    object.insert("last_time".to_owned(), json!(sums.last_time));
    object
}

/// Formats the rows as CSV. Groups that are not listed have a row without the numbers that are not known.
pub(crate) fn csv(report: &Report) -> String {
    let mut lines = vec![csv_line(std::iter::once(report.by.to_string()).chain(keys()))];
    for row in &report.rows {
        let numbers = Column::ALL.map(|column| column.value(&row.sums).to_string());
        lines.push(csv_line(std::iter::once(csv_text(&row.name)).chain(numbers)));
    }
    if report.others.groups > 0 {
        let known = Column::ALL.map(|column| match column {
            Column::Responses => report.others.responses.to_string(),
            Column::Total => report.others.tokens.to_string(),
            _ => String::new(),
        });
        lines.push(csv_line(std::iter::once(format!("({} more)", report.others.groups)).chain(known)));
    }
    lines.concat()
}

fn keys() -> impl Iterator<Item = String> {
    Column::ALL.into_iter().map(|column| column.key().to_owned())
}

/// Returns a name for a spreadsheet, which would execute one that begins like a formula.
fn csv_text(name: &str) -> String {
    let text = Escaped::text(name).to_string();
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

fn csv_line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

/// Formats the rows as a table in Markdown.
pub(crate) fn markdown(report: &Report) -> String {
    let line =
        |name: &str, numbers: [String; Column::ALL.len()]| format!("| {name} | {} |\n", numbers.join(" | "));
    let numbers = |sums| Column::ALL.map(|column| number(column.value(sums)));
    let mut text = line(&report.by.to_string(), Column::ALL.map(|column| column.title().to_owned()));
    text += &line("---", Column::ALL.map(|_| "---:".to_owned()));
    for row in &report.rows {
        text += &line(&markdown_text(&shown(&row.name)), numbers(&row.sums));
    }
    if report.others.groups > 0 {
        let known = Column::ALL.map(|column| match column {
            Column::Responses => number(report.others.responses),
            Column::Total => number(report.others.tokens),
            _ => String::new(),
        });
        text += &line(&format!("({} more)", report.others.groups), known);
    }
    text + &line("**total**", numbers(&report.totals))
}

/// Escapes what Markdown and HTML would take for markup.
fn markdown_text(text: &str) -> String {
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
        report.others = crate::rows::Others { groups: 3, responses: 5, tokens: 50 };
        assert_eq!(json(&report)["other"]["total_tokens"], 50);
        assert!(csv(&report).ends_with("(3 more),5,,,,,50\r\n"));
        assert!(markdown(&report).contains("| (3 more) | 5 |  |  |  |  | 50 |\n"));
    }
}
