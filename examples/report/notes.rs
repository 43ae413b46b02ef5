//! Notes below a report for people.

use bridge::TREND_BUCKETS_MAX;
use bridge_examples::number::{counted, number};

use crate::rows::Report;

/// Of the models without a price this many are named, those with the most tokens.
const UNPRICED: usize = 3;

/// Returns what a reader must know of the report's amounts, one clause each.
pub(crate) fn of(report: &Report) -> Vec<String> {
    let incomplete =
        report.is_incomplete.then(|| "incomplete: some transcripts could not be read".to_owned());
    [coarser(report), incomplete, unfinished(report), unpriced(report)].into_iter().flatten().collect()
}

/// Returns why the steps are longer than those that were asked for, if they are.
pub(crate) fn coarser(report: &Report) -> Option<String> {
    let (by, asked) = (&report.by, &report.asked);
    let most = number(TREND_BUCKETS_MAX as u64);
    (by != asked).then(|| format!("by {by}: by {asked} there are more than {most} steps; narrow the time"))
}

fn unfinished(report: &Report) -> Option<String> {
    let unfinished = report.totals.unfinished_responses;
    let all = number(report.totals.responses_worth_tokens);
    (unfinished > 0).then(|| {
        format!(
            "≥: {} of {all} responses have only an unfinished snapshot, so the total is a lower bound",
            number(unfinished)
        )
    })
}

fn unpriced(report: &Report) -> Option<String> {
    let cost = report.totals.cost.filter(|cost| cost.unpriced_tokens > 0)?;
    let mut note = format!(
        "≥: {} ({}) without a price, not in the cost",
        counted(cost.unpriced_tokens, "token", "tokens"),
        cost.unpriced_percent()
    );
    let sums = report.priced_by.iter().flat_map(|prices| &prices.unpriced);
    for (place, row) in sums.clone().take(UNPRICED).enumerate() {
        let separator = if place == 0 { ":" } else { "," };
        note += &format!("{separator} {row}");
    }
    match sums.count().saturating_sub(UNPRICED) {
        0 => {}
        more => note += &format!(", and {more} more"),
    }
    Some(note)
}
