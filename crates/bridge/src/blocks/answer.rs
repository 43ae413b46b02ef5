//! The blocks of a time range.

use bridge_core::{TimeRange, Timestamp};
use bridge_storage::{PricedBy, UsageSums};
use serde::{Deserialize, Serialize};

use super::windows::BlockLength;

/// Where the bounds of a block come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockSource {
    /// The client recorded when the block ends: a session hit its limit.
    Recorded,
    /// The rule: a block begins with the hour, in UTC, of the first response that is in no other block.
    Rule,
}

/// The responses of one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageBlock {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// Where the bounds come from.
    pub source: BlockSource,
    /// True if the moment of the answer lies in it.
    pub active: bool,
    /// The first time at which a session hit the limit of a recorded block.
    pub limit_hit_at: Option<Timestamp>,
    /// The sums of its responses.
    pub sums: UsageSums,
}

/// The blocks of a time range, oldest first. Those without a response are left out, and they do not overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Blocks {
    /// The range that was asked for. Blocks that lie partly in it are complete.
    pub range: TimeRange,
    /// When it was asked.
    pub as_of: Timestamp,
    /// The length of a block.
    pub length: BlockLength,
    /// The blocks.
    pub blocks: Vec<UsageBlock>,
    /// The price list of the costs, and what of the blocks has no price by it; `None` if costs were not asked for, or no price
    /// list is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priced_by: Option<PricedBy>,
}
