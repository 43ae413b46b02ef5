//! Counts, sums and costs, which many answers contain.

use bridge_core::{Cost, CostChange, ExtraCounts, Money, ReceiptLine, Timestamp, TokenCounts};
use bridge_storage::UsageSums;
use serde::{Serialize, Serializer};

/// A number of 64 bits.
#[derive(Debug, Clone, Copy)]
pub(in crate::web) struct Count(pub(in crate::web) u64);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
pub(super) struct Tokens {
    total: Count,
    input: Count,
    output: Count,
    cache_creation: Count,
    cache_read: Count,
}

impl From<TokenCounts> for Tokens {
    fn from(counts: TokenCounts) -> Self {
        Self {
            total: Count(counts.total()),
            input: Count(counts.input),
            output: Count(counts.output),
            cache_creation: Count(counts.cache_creation),
            cache_read: Count(counts.cache_read),
        }
    }
}

#[derive(Serialize)]
pub(in crate::web) struct Sums {
    tokens: Tokens,
    responses: Count,
    responses_worth_tokens: Count,
    unfinished_responses: Count,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    #[serde(flatten)]
    extra: Extra,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<CostAnswer>,
}

/// Dollars with all digits, as texts.
#[derive(Serialize)]
pub(super) struct CostAnswer {
    amount: Money,
    list: Money,
    without_cache: Money,
    cache_savings: Money,
    priced_tokens: Count,
    unpriced_tokens: Count,
}

impl From<Cost> for CostAnswer {
    fn from(cost: Cost) -> Self {
        Self {
            amount: cost.amount,
            list: cost.list,
            without_cache: cost.without_cache,
            cache_savings: cost.cache_savings(),
            priced_tokens: Count(cost.priced_tokens),
            unpriced_tokens: Count(cost.unpriced_tokens),
        }
    }
}

/// A change in dollars, with what was added and what it replaced.
#[derive(Serialize)]
pub(in crate::web) struct CostChangeAnswer {
    amount: Money,
    added: CostAnswer,
    removed: CostAnswer,
}

impl From<CostChange> for CostChangeAnswer {
    fn from(change: CostChange) -> Self {
        Self { amount: change.amount(), added: change.added.into(), removed: change.removed.into() }
    }
}

/// The counts besides the four counters; `null` where nothing is known of them, or they were not asked for.
#[derive(Serialize)]
pub(super) struct Extra {
    thinking_tokens: Option<Count>,
    web_search_requests: Option<Count>,
    web_fetch_requests: Option<Count>,
}

impl From<ExtraCounts> for Extra {
    fn from(extra: ExtraCounts) -> Self {
        Self {
            thinking_tokens: extra.thinking_tokens.map(Count),
            web_search_requests: extra.web_search_requests.map(Count),
            web_fetch_requests: extra.web_fetch_requests.map(Count),
        }
    }
}

impl From<UsageSums> for Sums {
    fn from(sums: UsageSums) -> Self {
        Self {
            tokens: sums.counts.into(),
            responses: Count(sums.responses),
            responses_worth_tokens: Count(sums.responses_worth_tokens),
            unfinished_responses: Count(sums.unfinished_responses),
            first_time: sums.first_time,
            last_time: sums.last_time,
            extra: sums.extra.into(),
            cost: sums.cost.map(CostAnswer::from),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Line {
    count: Count,
    tokens: Count,
}

impl From<ReceiptLine> for Line {
    fn from(line: ReceiptLine) -> Self {
        Self { count: Count(line.count), tokens: Count(line.tokens) }
    }
}
