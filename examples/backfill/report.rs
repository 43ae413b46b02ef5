//! What a person reads at the end.

use std::time::Duration;

use bridge::analysis::History;
use bridge::storage::{BreakdownRow, Dimension, ResponseFilter, StoreTotals, TokenStore};
use bridge::{AnalysisSummary, BridgeError, Escaped, ReceiptLine, TokenCounts};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use indicatif::{HumanBytes, HumanCount};

/// How many projects and models are shown.
const TOP: u32 = 8;
/// How many damaged lines are shown.
const DAMAGED: usize = 5;
/// How many days are shown.
const DAYS: usize = 14;

/// What the database says: the figures to show.
pub(crate) struct Stored {
    pub(crate) totals: StoreTotals,
    projects: Vec<BreakdownRow>,
    models: Vec<BreakdownRow>,
    origins: Vec<BreakdownRow>,
    days: Vec<BreakdownRow>,
}

impl Stored {
    /// Reads everything that is shown out of the store.
    pub(crate) async fn read(store: &dyn TokenStore, filter: &ResponseFilter) -> Result<Self, BridgeError> {
        let by = |dimension, limit| store.breakdown(dimension, filter, limit);
        Ok(Self {
            totals: store.totals(filter).await?,
            projects: by(Dimension::Project, Some(TOP)).await?,
            models: by(Dimension::Model, Some(TOP)).await?,
            origins: by(Dimension::Origin, None).await?,
            days: by(Dimension::Day, None).await?,
        })
    }
}

/// The whole report.
pub(crate) fn text(figures: &AnalysisSummary, stored: &Stored, place: &str, took: Duration) -> String {
    let parts = [
        totals(&stored.totals, place),
        receipt(figures),
        breakdown("Top projects", &stored.projects),
        breakdown("Top models", &stored.models),
        breakdown("By origin", &stored.origins),
        days(&stored.days),
        summary(figures, took),
    ];
    parts.join("\n\n")
}

/// A rule below the heads and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

pub(crate) fn number(count: u64) -> String {
    HumanCount(count).to_string()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header.iter().copied());
    table
}

fn right_aligned(mut table: Table) -> String {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

fn totals(totals: &StoreTotals, place: &str) -> String {
    let TokenCounts { input, output, cache_creation, cache_read } = totals.counts;
    let at_least = if totals.unfinished_responses > 0 { "at least " } else { "" };
    let mut rows = table(&["total", "tokens"]);
    rows.add_row(["input", &number(input)]);
    rows.add_row(["output", &number(output)]);
    rows.add_row(["cache creation", &number(cache_creation)]);
    rows.add_row(["cache read", &number(cache_read)]);
    rows.add_row(["total", &format!("{at_least}{}", number(totals.counts.total()))]);
    let mut text = format!("{place}\n\n{}", right_aligned(rows));
    text += &format!("\n{} responses in {} sessions", number(totals.responses), number(totals.sessions));
    if totals.unfinished_responses > 0 {
        let open = number(totals.unfinished_responses);
        text += &format!("; of {open} only an unfinished snapshot exists, so the total is a floor");
    }
    text
}

fn receipt(figures: &AnalysisSummary) -> String {
    let receipt = &figures.receipt;
    let mut rows = table(&["receipt", "snapshots", "tokens"]);
    let mut add = |sign: &str, name: &str, line: ReceiptLine| {
        rows.add_row([format!("{sign} {name}"), number(line.count), number(line.tokens)]);
    };
    add(" ", "assistant lines (a plain sum shows this)", receipt.assistant_lines);
    add("+", "nested in progress records", receipt.nested);
    add("+", "only in iterations", receipt.from_iterations);
    add("+", "advisor", receipt.advisor);
    let rare = [
        ("raised by iterations", receipt.raised),
        ("compaction", receipt.compaction),
        ("declined attempts", receipt.declined),
        ("iterations of unknown types", receipt.other),
    ];
    for (name, line) in rare.into_iter().filter(|(_, line)| line.count > 0) {
        add("+", name, line);
    }
    add("−", "repeats within a file", receipt.repeats_within_files);
    add("−", "copies across files", receipt.copies_across_files);
    add("=", "total", receipt.total);
    if receipt.weak_responses.count > 0 {
        add(" ", "of which told apart by their counters alone (short ids)", receipt.weak_responses);
    }
    if figures.outside_range.count > 0 {
        add(" ", "of which outside the dates", figures.outside_range);
    }
    let damage = receipt.damage;
    let mut text = right_aligned(rows);
    let counts = [
        (damage.bad_lines, "bad lines"),
        (damage.bad_usage, "bad usages"),
        (damage.oversize_lines, "oversize lines"),
        (damage.pending_lines, "pending lines"),
    ];
    let found: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).collect();
    if !found.is_empty() {
        let words: Vec<_> = found.iter().map(|(count, name)| format!("{} {name}", number(*count))).collect();
        text += &format!("\nnot countable: {}", words.join(", "));
    }
    text
}

/// The places of damage, one a line; the first of them where there are many.
pub(crate) fn damage(figures: &AnalysisSummary) -> String {
    let places = figures.damaged_lines.iter().take(DAMAGED).map(|line| format!("damaged: {line}\n"));
    let mut text: String = places.collect();
    let damage = figures.receipt.damage;
    let all = damage.bad_lines + damage.bad_usage + damage.oversize_lines + damage.pending_lines;
    let rest = all.saturating_sub(DAMAGED as u64);
    if rest > 0 {
        text += &format!(
            "damaged: and {} more; --json lists up to {}\n",
            number(rest),
            History::DAMAGED_LINES_MAX
        );
    }
    text
}

fn breakdown(title: &str, rows: &[BreakdownRow]) -> String {
    let mut table = table(&[title, "responses", "output", "total tokens"]);
    for row in rows {
        let name =
            if row.name.is_empty() { "(none)".to_owned() } else { Escaped::text(&row.name).to_string() };
        let totals = &row.totals;
        table.add_row([
            name,
            number(totals.responses),
            number(totals.counts.output),
            number(totals.counts.total()),
        ]);
    }
    right_aligned(table)
}

fn days(rows: &[BreakdownRow]) -> String {
    let hidden = rows.len().saturating_sub(DAYS);
    let mut text = breakdown("By day (UTC)", &rows[hidden..]);
    if hidden > 0 {
        text += &format!("\nand {hidden} earlier days");
    }
    text
}

fn summary(figures: &AnalysisSummary, took: Duration) -> String {
    let plain = figures.receipt.assistant_lines.tokens;
    let total = figures.receipt.total.tokens;
    let mut text = format!(
        "{} files, {}, {} lines in {:.2} s.",
        number(figures.files),
        HumanBytes(figures.bytes),
        number(figures.lines),
        took.as_secs_f64(),
    );
    if total > 0 {
        let times = plain as f64 / total as f64;
        text += &format!(
            " A plain sum over the lines would have shown {}: {times:.2} times the truth.",
            number(plain)
        );
    }
    text
}
