//! The report as JSON, CSV and Markdown.

use bridge::blocks::BlockSource;
use bridge::pricing::Cost;
use bridge::{Escaped, UsageSums};
use serde_json::{Map, Value, json};

use crate::column::Column;
use crate::grouping::Grouping;
use crate::notes;
use crate::rows::{BlockFacts, Report, Row};

/// Formats the report as one JSON object.
pub(crate) fn json(report: &Report) -> Value {
    let rows: Vec<_> = report.rows.iter().map(|row| row_json(row, report.columns())).collect();
    let mut other = Map::from_iter([("groups".to_owned(), report.others.groups.into())]);
    let known = report.columns().iter().filter(|column| column.is_known_of_others());
    other.extend(known.map(|column| (column.key().to_owned(), column.json(&report.others.sums))));
    json!({
        "by": report.by.to_string(),
        "requested_by": report.asked.to_string(),
        "time_zone": report.zone.name(),
        "range": report.range,
        "rows": rows,
        "other": other,
        "totals": sums_json(&report.totals, report.columns()),
        "priced_by": report.priced_by,
        "is_complete": !report.is_incomplete,
    })
}

fn row_json(row: &Row, columns: &[Column]) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), row.name.clone().into());
    if let Some(time) = row.time {
        object.insert("start".to_owned(), json!(time.start));
        object.insert("end".to_owned(), json!(time.end));
    }
    if let Some(BlockFacts { source, active, limit_hit_at }) = row.block {
        object.insert("source".to_owned(), json!(source));
        object.insert("active".to_owned(), active.into());
        object.insert("limit_hit_at".to_owned(), json!(limit_hit_at));
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
    let keys = columns.iter().map(|column| column.key()).chain(COST_KEYS.into_iter().filter(|_| has_cost));
    let keys = keys
        .chain(if matches!(report.by, Grouping::Block(_)) { &BLOCK_KEYS[..] } else { &[] }.iter().copied());
    let keys = keys.map(str::to_owned);
    let mut lines = vec![csv_line(std::iter::once(report.by.to_string()).chain(keys))];
    for row in &report.rows {
        let amounts = columns.iter().map(|column| column.exact(&row.sums)).chain(of_cost(&row.sums));
        let fields = std::iter::once(csv_text(&row.name)).chain(amounts);
        lines.push(csv_line(fields.chain(row.block.iter().flat_map(block_fields))));
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

/// The columns of a block besides its name and amounts.
const BLOCK_KEYS: [&str; 3] = ["source", "active", "limit_hit_at"];

fn block_fields(block: &BlockFacts) -> [String; 3] {
    let source = match block.source {
        BlockSource::Recorded => "recorded",
        BlockSource::Rule => "rule",
    };
    let limit_hit_at = block.limit_hit_at.map(|time| time.to_string()).unwrap_or_default();
    [source.to_owned(), block.active.to_string(), limit_hit_at]
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
    // Full-width forms too: a spreadsheet of an East Asian language takes them for the same.
    if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) { format!("'{text}") } else { text }
}

pub(crate) fn csv_line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

/// Formats the rows as a table in Markdown, with the notes below it.
pub(crate) fn markdown(report: &Report) -> String {
    let columns = report.columns();
    let line = |name: &str, cells: Vec<String>| format!("| {name} | {} |\n", cells.join(" | "));
    let amounts = |sums: &UsageSums| columns.iter().map(|column| column.text(sums)).collect();
    let mut text =
        line(&report.by.to_string(), columns.iter().map(|column| column.title().to_owned()).collect());
    text += &line("---", columns.iter().map(|_| "---:".to_owned()).collect());
    for row in &report.rows {
        text += &line(&markdown_text(&row.label()), amounts(&row.sums));
    }
    if report.others.groups > 0 {
        let known = known_of_others(report, Column::text).collect();
        text += &line(&format!("({} more)", report.others.groups), known);
    }
    let totals = columns.iter().map(|column| column.total_text(&report.totals)).collect();
    let notes = notes::of(report).into_iter().map(|note| format!("\n{}\n", markdown_text(&note)));
    text + &line("**total**", totals) + &notes.collect::<String>()
}

/// Escapes what Markdown and HTML would take for markup, and what GitHub would take for a link or a mention.
pub(crate) fn markdown_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            // `https://…` and `www.…` are links without any markup; an entity is not part of one.
            ':' if text[at..].starts_with("://") => escaped.push_str("&#58;"),
            '.' if text[..at].to_ascii_lowercase().ends_with("www") => escaped.push_str("&#46;"),
            // Mentions and addresses are found after entities were replaced: a space without width ends them.
            '@' => escaped.push_str("@&#8203;"),
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
    fn a_name_is_no_link_and_no_mention_in_markdown() {
        for (name, expected) in [
            ("https://evil.example/a", "https&#58;//evil.example/a"),
            ("a WWW.evil.example", "a WWW&#46;evil.example"),
            ("@someone and me@evil.example", "@&#8203;someone and me@&#8203;evil.example"),
            ("claude-opus-4.5: src/a.rs", "claude-opus-4.5: src/a.rs"),
        ] {
            assert_eq!(markdown_text(name), expected);
        }
    }

    #[test]
    fn no_name_is_a_formula_in_csv() {
        for name in ["=1", "+1", "-1", "@a", "＝1", "＋1", "－1", "＠a"] {
            assert_eq!(csv_text(name), format!("'{name}"));
        }
        assert_eq!(csv_text("a=1"), "a=1");
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
        assert!(table.contains("≥: 1 token (10 %) without a price, not in the cost\n"), "{table}");
    }

    /// Adds a price list without a price for these tokens of claude-next.
    fn with_unpriced(report: &mut Report, unpriced_tokens: u64) {
        let cost = report.totals.cost.get_or_insert_default();
        (cost.priced_tokens, cost.unpriced_tokens) = (10_000, unpriced_tokens);
        let sums = serde_json::json!({"model": "claude-next", "reason": "unknown_model", "tokens": unpriced_tokens,
            "web_searches": 0, "responses": 1, "since": "2026-01-31T12:00:00Z"});
        let unpriced = vec![serde_json::from_value(sums).unwrap()];
        report.priced_by = Some(bridge::storage::PricedBy { digest: "d1".to_owned(), unpriced });
    }

    #[test]
    fn what_has_no_price_is_named_in_every_form_for_people_and_can_be_repeated_from_json() {
        let mut report = report_of(&["a"]);
        with_unpriced(&mut report, 1);
        let note = "1 token (0.1 %) without a price, not in the cost: claude-next since 2026-01-31 (the model is not \
            in the price catalog)";
        let table = crate::table::text(&report, None);
        assert!(table.ends_with(&format!("≥: {note}\n")), "{table}");
        assert!(markdown(&report).ends_with(&format!("|\n\n≥: {note}\n")), "{}", markdown(&report));
        let json = json(&report);
        assert_eq!(json["priced_by"]["digest"], "d1");
        assert_eq!(json["priced_by"]["unpriced"][0]["model"], "claude-next");
        assert_eq!(json["priced_by"]["unpriced"][0]["reason"], "unknown_model");
    }

    #[test]
    fn unfinished_responses_make_the_total_and_its_cost_lower_bounds() {
        let mut report = report_of(&["a"]);
        report.totals.unfinished_responses = 1;
        report.totals.cost.get_or_insert_default().priced_tokens = 10;
        for text in [crate::table::text(&report, None), markdown(&report)] {
            let total = text.lines().find(|line| line.contains("total") && line.contains('$')).unwrap();
            assert!(total.contains("≥ 10") && total.contains("≥ $0.00"), "{text}");
            assert!(text.contains("≥: 1 of 1 responses have only an unfinished snapshot"), "{text}");
        }
    }

    #[test]
    fn longer_steps_than_asked_for_are_said() {
        let mut report = report_of(&["a"]);
        let calendar = Grouping::Calendar;
        (report.by, report.asked) =
            (calendar(bridge::CalendarUnit::Day), calendar(bridge::CalendarUnit::Hour));
        let note = "by day: by hour there are more than 4,000 steps; narrow the time\n";
        assert!(crate::table::text(&report, None).ends_with(note) && markdown(&report).ends_with(note));
        assert_eq!((&json(&report)["by"], &json(&report)["requested_by"]), (&json!("day"), &json!("hour")));
    }

    #[test]
    fn a_block_has_its_facts_as_fields_of_their_own() {
        let mut report = report_of(&["2026-01-31 12:00 +00:00"]);
        report.by = Grouping::Block(bridge::blocks::BlockLength::FiveHours);
        let limit_hit_at = "2026-01-31T13:00:00Z".parse().ok();
        report.rows[0].block = Some(BlockFacts { source: BlockSource::Recorded, active: true, limit_hit_at });
        let row = json(&report)["rows"][0].clone();
        assert_eq!(
            (&row["name"], &row["source"], &row["active"], &row["limit_hit_at"]),
            (
                &json!("2026-01-31 12:00 +00:00"),
                &json!("recorded"),
                &json!(true),
                &json!("2026-01-31T13:00:00.000Z")
            )
        );
        let csv = csv(&report);
        assert!(
            csv.contains("total_tokens,source,active,limit_hit_at\r\n2026-01-31 12:00 +00:00,1,1,2,3,4,10,"),
            "{csv}"
        );
        assert!(csv.ends_with(",recorded,true,2026-01-31T13:00:00.000Z\r\n"), "{csv}");
        let label = "2026-01-31 12:00 +00:00, as recorded, active";
        assert!(crate::table::text(&report, None).contains(label) && markdown(&report).contains(label));
    }
}
