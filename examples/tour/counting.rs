//! Counting, storing, showing.

use std::error::Error;

use bridge::storage::GroupPage;
use bridge::{
    AnalysisSummary, BackfillOptions, CalendarUnit, DashboardQuery, EnhancedTokenDatabaseBridge, Escaped,
    SummaryQuery, TimeRange, TimeZone,
};

use crate::promises::Promises;
use crate::show;

/// What the sample holds; a test holds it against an independent count.
const SAMPLE_TOKENS: u64 = 885_591;

/// So many projects and models are shown.
const TOP: u32 = 5;

pub(crate) async fn count_without_storing(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("What was used, and why it is that much", "analyze_historical_data");
    let history = bridge.analyze_historical_data(BackfillOptions::default()).await?;
    let figures = history.summary(&TimeRange::ALL)?;
    show_receipt(&figures);
    promises.hold("there is something to count", figures.responses > 0, "no response in the transcripts");
    promises.hold("the receipt adds up", figures.receipt.adds_up(), "it does not");
    promises.equal(
        "its total is the sum of the counters",
        figures.receipt.total.tokens,
        figures.counts.total(),
    );
    let stored = bridge.token_store().totals(&Default::default()).await?;
    promises.equal("nothing was stored", stored.responses, 0);
    Ok(())
}

fn show_receipt(figures: &AnalysisSummary) {
    let receipt = &figures.receipt;
    println!("      {:<44}{:>20}{:>12}", "", "tokens", "snapshots");
    show::receipt_line("  assistant lines: what a plain sum shows", receipt.assistant_lines);
    show::receipt_line("+ nested in progress records", receipt.nested);
    show::receipt_line("+ only in iterations", receipt.from_iterations);
    show::receipt_line("+ advisor", receipt.advisor);
    show::receipt_line("− repeats within a file", receipt.repeats_within_files);
    show::receipt_line("− copies across files", receipt.copies_across_files);
    show::receipt_line("= used", receipt.total);
    if figures.unfinished_responses > 0 {
        println!("      at least: {} responses were cut off", show::number(figures.unfinished_responses));
    }
}

pub(crate) async fn backfill(
    bridge: &EnhancedTokenDatabaseBridge,
    is_sample: bool,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("All of it into the database, once", "backfill_historical_data");
    let first = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    show::line("transcripts", show::number(first.total_files_processed));
    show::line("sessions", show::number(first.total_sessions));
    show::line("responses stored", show::number(first.new_responses));
    show::line("tokens stored", show::number(first.total_tokens_stored));
    show::line("took", show::time(first.processing_duration));
    promises.hold("every transcript was taken in", first.success, first.errors.join("; "));
    if is_sample {
        promises.equal(
            "the sample's tokens are those that are known",
            first.total_tokens_stored,
            SAMPLE_TOKENS,
        );
    }
    let stored = bridge.token_store().totals(&Default::default()).await?;
    let tokens = stored.counts.total();
    promises.equal("the database says the same to the token", tokens, first.analysis.counts.total());
    promises.equal("and the same number of responses", stored.responses, first.total_responses);
    let summaries = bridge.get_stored_token_summaries(SummaryQuery::last_days(u32::MAX)).await?;
    let sum = summaries.iter().map(|summary| summary.total_tokens).sum();
    promises.equal("the sessions' summaries add up to it", sum, tokens);

    let second = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    promises.equal("a second run stores nothing", second.new_responses + second.records_stored, 0);
    promises.equal("and leaves the total", second.total_tokens_stored, tokens);
    Ok(())
}

pub(crate) async fn show_dashboard(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Figures for people", "get_dashboard_token_metrics");
    let kathmandu: TimeZone = "Asia/Kathmandu".parse()?;
    let top = GroupPage::top(TOP);
    let by_day = DashboardQuery::new(TimeRange::ALL).list_projects(top).list_models(top);
    let shown = bridge
        .dashboard()
        .get_dashboard_token_metrics(by_day.clone().by(CalendarUnit::Day, kathmandu))
        .await?;
    for (title, list) in [("project", &shown.projects), ("model", &shown.models)] {
        for row in &list.rows {
            let name = if row.name.is_empty() { Escaped::text("(none)") } else { Escaped::text(&row.name) };
            println!("      {title:<9}{name:<55}{:>20}", show::number(row.sums.counts.total()));
        }
    }
    if let Some(share) = shown.cache_hit_share {
        show::line("prompts that came from the cache", format!("{:.1} %", 100.0 * share));
    }
    let days = shown.trend.buckets.iter().filter(|day| day.sums.responses > 0).count();
    show::line("days with use in Kathmandu (+05:45)", days);

    let total = shown.total_tokens;
    let days = shown.trend.buckets.iter().map(|day| day.sums.counts.total()).sum();
    promises.equal("the days of a zone at +05:45 add up to the total", days, total);
    for (what, list) in [("projects", &shown.projects), ("models", &shown.models)] {
        let listed: u64 = list.rows.iter().map(|row| row.sums.counts.total()).sum();
        promises.equal(&format!("so do the {what}, listed and not"), listed + list.other_tokens, total);
    }
    let receipt = shown.receipt.map(|receipt| receipt.total.tokens);
    promises.equal("the answer's receipt ends in its total", receipt.unwrap_or_default(), total);
    let utc =
        bridge.dashboard().get_dashboard_token_metrics(by_day.by(CalendarUnit::Month, TimeZone::UTC)).await?;
    promises.equal("months of UTC give the same total", utc.total_tokens, total);
    Ok(())
}
