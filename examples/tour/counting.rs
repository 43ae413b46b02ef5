//! Steps that count, store and display tokens.

use std::error::Error;

use bridge::storage::GroupPage;
use bridge::{
    AnalysisSummary, BackfillOptions, CalendarUnit, DashboardQuery, EnhancedTokenDatabaseBridge, Escaped,
    SummaryQuery, TimeRange, TimeZone,
};

use crate::print;
use crate::promises::Promises;

/// Total of the sample; a test compares it with an independent count.
const SAMPLE_TOKENS: u64 = 885_591;

/// Maximum number of projects and of models listed.
const TOP: u32 = 5;

pub(crate) async fn count_without_storing(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Token usage with its receipt", "analyze_historical_data");
    let history = bridge.analyze_historical_data(BackfillOptions::default()).await?;
    let summary = history.summary(&TimeRange::ALL)?;
    show_receipt(&summary);
    promises.check("there is something to count", summary.responses > 0, "no response in the transcripts");
    promises.check("the receipt adds up", summary.receipt.adds_up(), "it does not");
    promises.check_equal(
        "the receipt's total is the sum of the counters",
        summary.receipt.total.tokens,
        summary.counts.total(),
    );
    let stored = bridge.token_store().totals(&Default::default()).await?;
    promises.check_equal("nothing is stored", stored.responses, 0);
    Ok(())
}

fn show_receipt(summary: &AnalysisSummary) {
    let receipt = &summary.receipt;
    println!("      {:<44}{:>20}{:>12}", "", "tokens", "snapshots");
    print::receipt_line("  assistant lines (naive sum)", receipt.assistant_lines);
    print::receipt_line("+ nested in progress records", receipt.nested);
    print::receipt_line("+ only in iterations", receipt.from_iterations);
    print::receipt_line("+ advisor", receipt.advisor);
    print::receipt_line("− repeats within a file", receipt.repeats_within_files);
    print::receipt_line("− copies across files", receipt.copies_across_files);
    print::receipt_line("= total", receipt.total);
    if summary.unfinished_responses > 0 {
        println!(
            "      lower bound: {} responses are unfinished",
            print::number(summary.unfinished_responses)
        );
    }
}

pub(crate) async fn backfill(
    bridge: &EnhancedTokenDatabaseBridge,
    is_sample: bool,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("A backfill stores every response once", "backfill_historical_data");
    let first = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    print::line("transcripts", print::number(first.total_files_processed));
    print::line("sessions", print::number(first.total_sessions));
    print::line("responses stored", print::number(first.new_responses));
    print::line("tokens stored", print::number(first.total_tokens_stored));
    print::line("duration", print::time(first.processing_duration));
    promises.check("every transcript is stored", first.success, first.errors.join("; "));
    if is_sample {
        promises.check_equal("the sample has its known total", first.total_tokens_stored, SAMPLE_TOKENS);
    }
    let stored = bridge.token_store().totals(&Default::default()).await?;
    let tokens = stored.counts.total();
    promises.check_equal("the stored total equals the analysis", tokens, first.analysis.counts.total());
    promises.check_equal("and so does the number of responses", stored.responses, first.total_responses);
    let summaries = bridge.get_stored_token_summaries(SummaryQuery::last_days(u32::MAX)).await?;
    let sum = summaries.iter().map(|summary| summary.total_tokens).sum();
    promises.check_equal("the session summaries add up to the total", sum, tokens);

    let second = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    promises.check_equal("a second run stores nothing", second.new_responses + second.records_stored, 0);
    promises.check_equal("and the total is unchanged", second.total_tokens_stored, tokens);
    Ok(())
}

pub(crate) async fn show_dashboard(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Dashboard metrics", "get_dashboard_token_metrics");
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
            println!("      {title:<9}{name:<55}{:>20}", print::number(row.sums.counts.total()));
        }
    }
    if let Some(share) = shown.cache_hit_share {
        print::line("share of input served from the cache", format!("{:.1} %", 100.0 * share));
    }
    let days = shown.trend.buckets.iter().filter(|day| day.sums.responses > 0).count();
    print::line("active days in Kathmandu (+05:45)", days);

    let total = shown.total_tokens;
    let days = shown.trend.buckets.iter().map(|day| day.sums.counts.total()).sum();
    promises.check_equal("days in a zone at +05:45 add up to the total", days, total);
    for (group, list) in [("projects", &shown.projects), ("models", &shown.models)] {
        let listed: u64 = list.rows.iter().map(|row| row.sums.counts.total()).sum();
        promises.check_equal(&format!("so do all {group}, listed or not"), listed + list.other_tokens, total);
    }
    let receipt = shown.receipt.map(|receipt| receipt.total.tokens);
    promises.check_equal("the dashboard's receipt has the same total", receipt.unwrap_or_default(), total);
    let utc =
        bridge.dashboard().get_dashboard_token_metrics(by_day.by(CalendarUnit::Month, TimeZone::UTC)).await?;
    promises.check_equal("months in UTC have the same total", utc.total_tokens, total);
    Ok(())
}
