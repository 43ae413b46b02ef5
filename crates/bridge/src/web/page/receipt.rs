//! The derivation of the store's total.

use axum::response::Response;
use bridge_core::{ReceiptLine, StoreReceipt, TimeRange};
use maud::{Markup, html};

use super::cost;
use super::layout::Tab;
use super::number::Grouped;
use super::request::PageRequest;
use crate::dashboard::DashboardQuery;

pub(super) async fn receipt(page: PageRequest) -> Response {
    let content = async {
        let metrics = page.metrics(DashboardQuery::new(TimeRange::ALL).without_lists()).await?;
        Ok(html! {
            (content(&metrics.receipt.unwrap_or_default()))
            (cost::receipt(&page.frame, &metrics))
        })
    };
    page.respond(Tab::Receipt, "Receipt", content).await
}

fn content(receipt: &StoreReceipt) -> Markup {
    let lines: [(&str, &str, &str, ReceiptLine); 3] = [
        ("", "Read", "every usage record in the transcripts read so far", receipt.read),
        (
            "+",
            "Kept",
            "responses whose transcript is gone or was rewritten, and those that came without a file",
            receipt.kept,
        ),
        (
            "−",
            "Repeated",
            "repeats of the same responses: per content block, in resumed sessions, in progress records",
            receipt.repeated,
        ),
    ];
    html! {
        section.headline {
            h1 { span.label { "Receipt of the whole store" } span.total { (Grouped(receipt.total.tokens)) } }
            p.soft {
                "Every stored token, derived from what was read. A plain sum over the lines would show "
                (Grouped(receipt.read.tokens)) "."
            }
        }
        div.scroll.narrow tabindex="0" role="region" aria-label="Receipt" { table.receipt {
            thead { tr { th scope="col" { "Line" } th scope="col" { "Tokens" } th scope="col" { "Snapshots" } } }
            tbody {
                @for (sign, name, meaning, line) in lines {
                    tr {
                        th scope="row" { span.sign { (sign) } (name) span.soft.block { (meaning) } }
                        td { (Grouped(line.tokens)) }
                        td { (Grouped(line.count)) }
                    }
                }
            }
            tfoot { tr {
                th scope="row" { span.sign { "=" } "Stored responses" }
                td { (Grouped(receipt.total.tokens)) }
                td { (Grouped(receipt.total.count)) }
            } }
        } }
        p class=(if receipt.adds_up() { "verdict good" } else { "verdict bad" }) {
            @if receipt.adds_up() {
                "✓ The receipt adds up to the last token."
            } @else {
                "The receipt does not add up. Run the integrity check."
            }
        }
        @if receipt.weak.count > 0 {
            p.soft {
                (Grouped(receipt.weak.tokens)) " tokens of " (Grouped(receipt.weak.count))
                " responses have weak keys: their gateway reuses short ids, so their token counts distinguish them."
            }
        }
    }
}
