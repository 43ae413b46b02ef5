//! The report in text form.

use std::time::Duration;

use bridge::analysis::History;
use bridge::sessions::ExpiringTranscripts;
use bridge::storage::{BreakdownRow, Dimension, ResponseFilter, StoreTotals, TokenStore};
use bridge::{AnalysisSummary, BridgeError, Escaped, ReceiptLine, TokenCounts};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use indicatif::{HumanBytes, HumanCount};

/// Maximum number of projects and of models listed.
const TOP: u32 = 8;
/// Maximum number of damaged lines listed.
const DAMAGED: usize = 5;
/// Maximum number of transcripts listed that are about to be deleted.
const EXPIRING: usize = 5;
/// Maximum number of days listed.
const DAYS: usize = 14;

/// Totals and breakdowns read back from the store.
pub(crate) struct Stored {
    pub(crate) totals: StoreTotals,
    projects: Vec<BreakdownRow>,
    models: Vec<BreakdownRow>,
    origins: Vec<BreakdownRow>,
    days: Vec<BreakdownRow>,
}

impl Stored {
    /// Reads all totals of the report from the store.
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

/// Formats the whole report. `target` names where the totals are stored.
pub(crate) fn text(summary: &AnalysisSummary, stored: &Stored, target: &str, elapsed: Duration) -> String {
    let parts = [
        totals(&stored.totals, target),
        receipt(summary),
        breakdown("Top projects", &stored.projects),
        breakdown("Top models", &stored.models),
        breakdown("By origin", &stored.origins),
        days(&stored.days),
        footer(summary, elapsed),
    ];
    parts.join("\n\n")
}

/// A line below the header and no other borders.
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

fn totals(totals: &StoreTotals, target: &str) -> String {
    let TokenCounts { input, output, cache_creation, cache_read } = totals.counts;
    let at_least = if totals.unfinished_responses > 0 { "at least " } else { "" };
    let mut rows = table(&["total", "tokens"]);
    rows.add_row(["input", &number(input)]);
    rows.add_row(["output", &number(output)]);
    rows.add_row(["cache creation", &number(cache_creation)]);
    rows.add_row(["cache read", &number(cache_read)]);
    rows.add_row(["total", &format!("{at_least}{}", number(totals.counts.total()))]);
    let mut text = format!("{target}\n\n{}", right_aligned(rows));
    text += &format!("\n{} responses in {} sessions", number(totals.responses), number(totals.sessions));
    if totals.unfinished_responses > 0 {
        let open = number(totals.unfinished_responses);
        text += &format!("; {open} of them have only an unfinished snapshot, so the total is a lower bound");
    }
    text
}

fn receipt(summary: &AnalysisSummary) -> String {
    let receipt = &summary.receipt;
    let mut rows = table(&["receipt", "snapshots", "tokens"]);
    let mut add = |sign: &str, name: &str, line: ReceiptLine| {
        rows.add_row([format!("{sign} {name}"), number(line.count), number(line.tokens)]);
    };
    add(" ", "assistant lines (naive sum)", receipt.assistant_lines);
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
        add(" ", "of which identified by counters alone (short ids)", receipt.weak_responses);
    }
    if summary.outside_range.count > 0 {
        add(" ", "of which outside the time range", summary.outside_range);
    }
    let damage = receipt.damage;
    let mut text = right_aligned(rows);
    let counts = [
        (damage.bad_lines, "bad lines"),
        (damage.bad_usage, "lines with bad usage"),
        (damage.oversize_lines, "oversize lines"),
        (damage.pending_lines, "pending lines"),
    ];
    let found: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).collect();
    if !found.is_empty() {
        let words: Vec<_> = found.iter().map(|(count, name)| format!("{} {name}", number(*count))).collect();
        text += &format!("\nnot counted: {}", words.join(", "));
    }
    text
}

/// Says which transcripts the client is about to delete that are not stored; nothing if there are none.
pub(crate) fn expiring(expiring: &ExpiringTranscripts, days: u64) -> String {
    let Some(first) = expiring.unstored.first() else { return String::new() };
    let bytes = expiring.unstored.iter().map(|transcript| transcript.unstored_bytes).sum();
    let mut text = format!(
        "\nWithin {days} days the client may delete {} transcripts with {} that are not stored, the first on {}:\n",
        number(expiring.unstored.len() as u64),
        HumanBytes(bytes),
        first.expires_at.date(),
    );
    for transcript in expiring.unstored.iter().take(EXPIRING) {
        text += &format!("  {} {}\n", transcript.expires_at.date(), Escaped::path(&transcript.path));
    }
    let rest = expiring.unstored.len().saturating_sub(EXPIRING);
    if rest > 0 {
        text += &format!("  and {} more; --json lists all\n", number(rest as u64));
    }
    text
}

/// Lists the first damaged lines, and says how many more there are.
pub(crate) fn damage(summary: &AnalysisSummary) -> String {
    let listed = summary.damaged_lines.iter().take(DAMAGED).map(|line| format!("damaged: {line}\n"));
    let mut text: String = listed.collect();
    let damage = summary.receipt.damage;
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

fn footer(summary: &AnalysisSummary, elapsed: Duration) -> String {
    let naive = summary.receipt.assistant_lines.tokens;
    let total = summary.receipt.total.tokens;
    let mut text = format!(
        "{} files, {}, {} lines in {:.2} s.",
        number(summary.files),
        HumanBytes(summary.bytes),
        number(summary.lines),
        elapsed.as_secs_f64(),
    );
    if total > 0 {
        let factor = naive as f64 / total as f64;
        text += &format!(
            " A naive sum over the lines would be {}, {factor:.2} times the actual total.",
            number(naive)
        );
    }
    text
}
