//! The current block: the five hours by which clients limit usage that are not over yet.

use std::time::Duration;

use bridge_core::{TimeZone, Timestamp};
use maud::{Markup, html};

use super::cards::bar;
use super::cost;
use super::layout::{Frame, clock};
use super::number::{Compact, Grouped, duration};
use crate::blocks::{BlockSource, UsageBlock};
use crate::budgets::{BudgetAmount, Elapsed};

/// The time after the first response from which on its pace says something.
const PACE_AFTER: Duration = Duration::from_mins(10);

/// Returns the card of the overview; nothing if the present lies in no block.
pub(super) fn card(frame: &Frame, block: Option<&UsageBlock>) -> Markup {
    let Some(block) = block else { return html!() };
    let (now, zone) = (frame.now, &frame.view.zone);
    let past = now.saturating_since(block.start);
    let length = block.end.saturating_since(block.start);
    html! {
        section.card.block-card {
            header {
                h2 { "Current five-hour block" }
                @if let Some(hit) = block.limit_hit_at {
                    span.badge.bad { "limit hit at " (clock(hit, zone)) }
                }
            }
            (figures(block, now, zone))
            (bar(past.as_secs_f64() / length.as_secs_f64()))
            p.soft.bounds {
                span { (clock(block.start, zone)) }
                span { (source(block.source)) }
                span { (clock(block.end, zone)) }
            }
        }
    }
}

fn figures(block: &UsageBlock, now: Timestamp, zone: &TimeZone) -> Markup {
    let sums = &block.sums;
    let tokens = sums.counts.total();
    html! {
        dl.figures {
            div {
                dt { "Tokens" }
                dd title=(Grouped(tokens)) {
                    @if sums.unfinished_responses > 0 { span title="Some responses are not finished" { "≥\u{a0}" } }
                    (Compact(tokens))
                }
                dd.soft { (Grouped(sums.responses)) @if sums.responses == 1 { " response" } @else { " responses" } }
            }
            @if let Some(cost) = &sums.cost {
                div {
                    dt { "Cost" }
                    dd { (cost::cell(cost)) }
                    dd.soft { "so far" }
                }
            }
            @if let Some(tokens) = projected(block, now, BudgetAmount::Tokens(tokens)) {
                div {
                    dt title="If it goes on as since its first response" { "At this pace" }
                    dd { (amount(tokens)) }
                    dd.soft {
                        @if let Some(cost) = sums.cost.filter(|cost| cost.priced_tokens > 0)
                            && let Some(money) = projected(block, now, BudgetAmount::Money(cost.amount)) {
                            @if !cost.is_complete() { "≥\u{a0}" }
                            (amount(money)) " "
                        }
                        "by " (clock(block.end, zone))
                    }
                }
            }
            div {
                dt { "Time left" }
                dd { (duration(block.end.saturating_since(now))) }
                dd.soft { "until " (clock(block.end, zone)) }
            }
        }
    }
}

/// Returns what the whole block takes if it goes on as since its first response; `None` if that is too short a time.
fn projected(block: &UsageBlock, now: Timestamp, spent: BudgetAmount) -> Option<BudgetAmount> {
    let first = block.sums.first_time?;
    if now.saturating_since(first) < PACE_AFTER {
        return None;
    }
    let past = now.as_millis() - first.as_millis();
    Elapsed { past, whole: block.end.as_millis() - first.as_millis() }.projected(spent)
}

fn amount(amount: BudgetAmount) -> Markup {
    html! {
        @match amount {
            BudgetAmount::Money(money) => (cost::short(money)),
            BudgetAmount::Tokens(tokens) => span title=(Grouped(tokens)) { (Compact(tokens)) },
        }
    }
}

fn source(source: BlockSource) -> &'static str {
    match source {
        BlockSource::Recorded => "as the client recorded its limit",
        BlockSource::Rule => "by rule, as no limit is recorded",
    }
}

#[cfg(test)]
mod tests {
    use bridge_storage::UsageSums;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-01T{text}:00Z").parse().expect("the text is a time")
    }

    #[test]
    fn a_block_is_projected_from_its_first_response_once_that_is_ten_minutes_ago() {
        let sums = UsageSums { first_time: Some(at("10:30")), ..UsageSums::default() };
        let (start, end) = (at("10:00"), at("15:00"));
        let block =
            UsageBlock { start, end, source: BlockSource::Rule, active: true, limit_hit_at: None, sums };
        let tokens = |now| projected(&block, at(now), BudgetAmount::Tokens(600));
        assert_eq!(tokens("10:39"), None);
        // 600 in 10 minutes of 270, and in 90 of them.
        assert_eq!(tokens("10:40"), Some(BudgetAmount::Tokens(16_200)));
        assert_eq!(tokens("12:00"), Some(BudgetAmount::Tokens(1_800)));
    }
}
