//! The report in text form.

use std::time::Duration;

use bridge::analysis::History;
use bridge::pricing::{Catalog, Money};
use bridge::sessions::ExpiringTranscripts;
use bridge::storage::{BreakdownRow, Dimension, GroupPage, ResponseFilter, StoreTotals, TokenStore};
use bridge::{
    AnalysisSummary, BridgeError, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics, Escaped,
    ReceiptLine, TimeRange, TokenCounts,
};
use bridge_examples::number::counted;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use indicatif::{HumanBytes, HumanCount};

/// Maximum number of projects and of models listed.
const TOP: u32 = 8;
/// Maximum number of damaged lines listed.
const DAMAGED: usize = 5;
/// Maximum number of transcripts listed that are about to be deleted.
const EXPIRING: usize = 5;
/// Maximum number of models listed that have no price.
const UNPRICED: usize = 3;
/// Maximum number of days listed.
const DAYS: usize = 14;

/// Totals and breakdowns read back from the store.
pub(crate) struct Stored {
    pub(crate) totals: StoreTotals,
    projects: Vec<BreakdownRow>,
    models: Vec<BreakdownRow>,
    origins: Vec<BreakdownRow>,
    days: Vec<BreakdownRow>,
    /// What everything cost, by the same dimensions; `None` if it is not to be shown.
    pub(crate) costs: Option<DashboardTokenMetrics>,
}

impl Stored {
    /// Reads all totals of the report from the store.
    pub(crate) async fn read(
        store: &dyn TokenStore,
        filter: &ResponseFilter,
        costs: Option<DashboardTokenMetrics>,
    ) -> Result<Self, BridgeError> {
        let by = |dimension, limit| store.breakdown(dimension, filter, limit);
        Ok(Self {
            totals: store.totals(filter).await?,
            projects: by(Dimension::Project, Some(TOP)).await?,
            models: by(Dimension::Model, Some(TOP)).await?,
            origins: by(Dimension::Origin, None).await?,
            days: by(Dimension::Day, None).await?,
            costs,
        })
    }

    /// Returns the cost of this row of a breakdown.
    fn cost(&self, dimension: &Dimension, name: &str) -> Option<String> {
        let metrics = self.costs.as_ref()?;
        let rows = match dimension {
            Dimension::Origin => &metrics.by_origin,
            _ => &metrics.breakdown(dimension)?.rows,
        };
        let row = rows.iter().find(|row| row.name == name)?;
        Some(row.sums.cost?.to_string())
    }
}

/// Returns what everything that is stored cost, by the price list in use; by the shipped one if there is none.
pub(crate) async fn costs(
    store: &dyn TokenStore,
    dashboard: &DashboardBridgeAdapter,
) -> Result<Option<DashboardTokenMetrics>, BridgeError> {
    let Some(prices) = store.prices() else { return Ok(None) };
    if prices.prices_in_use().await?.is_none() {
        let _ = dashboard.use_prices(Catalog::shipped()).await?;
    }
    let all = GroupPage::top(u32::MAX);
    let query = DashboardQuery::new(TimeRange::ALL)
        .without_lists()
        .without_receipt()
        .list(Dimension::Project, all)
        .list(Dimension::Model, all)
        .list(Dimension::Day, all)
        .with_cost();
    let metrics = dashboard.get_dashboard_token_metrics(query).await?;
    Ok(metrics.totals.cost.is_some().then_some(metrics))
}

/// Formats the whole report. `target` names where the totals are stored.
pub(crate) fn text(summary: &AnalysisSummary, stored: &Stored, target: &str, elapsed: Duration) -> String {
    let parts = [
        totals(stored, target),
        receipt(summary),
        breakdown("Top projects", stored, &Dimension::Project, &stored.projects),
        breakdown("Top models", stored, &Dimension::Model, &stored.models),
        breakdown("By origin", stored, &Dimension::Origin, &stored.origins),
        days(stored),
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

fn totals(stored: &Stored, target: &str) -> String {
    let totals = &stored.totals;
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
    text + &stored.costs.as_ref().map(cost).unwrap_or_default()
}

/// Says what everything cost, and what has no price.
fn cost(metrics: &DashboardTokenMetrics) -> String {
    let (Some(cost), Some(priced_by)) = (metrics.totals.cost, &metrics.priced_by) else {
        return String::new();
    };
    let mut text = format!("\n{cost} at list prices of the API");
    if cost.cache_savings() > Money::ZERO {
        text += &format!("; without the cache {} more", cost.cache_savings());
    }
    for (place, row) in priced_by.unpriced.iter().take(UNPRICED).enumerate() {
        let separator = if place == 0 {
            format!("\n{} of tokens unpriced:", cost.unpriced_percent())
        } else {
            ",".to_owned()
        };
        let model = row.model.as_ref().map_or("no model", |model| model.as_str());
        text += &format!("{separator} {} since {} ({})", Escaped::text(model), row.since.date(), row.reason);
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
        "\nWithin {days} days the client may delete {} with {} that are not stored, the first on {}:\n",
        counted(expiring.unstored.len() as u64, "transcript", "transcripts"),
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

fn breakdown(title: &str, stored: &Stored, dimension: &Dimension, rows: &[BreakdownRow]) -> String {
    let columns = [title, "responses", "output", "total tokens", "cost"];
    let mut table = table(&columns[..if stored.costs.is_some() { 5 } else { 4 }]);
    for row in rows {
        let name =
            if row.name.is_empty() { "(none)".to_owned() } else { Escaped::text(&row.name).to_string() };
        let totals = &row.totals;
        let counts = [totals.responses, totals.counts.output, totals.counts.total()].map(number);
        let cost = stored.cost(dimension, &row.name);
        table.add_row([name].into_iter().chain(counts).chain(cost));
    }
    right_aligned(table)
}

fn days(stored: &Stored) -> String {
    let rows = &stored.days;
    let hidden = rows.len().saturating_sub(DAYS);
    let mut text = breakdown("By day (UTC)", stored, &Dimension::Day, &rows[hidden..]);
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
