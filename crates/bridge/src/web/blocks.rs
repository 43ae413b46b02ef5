//! The blocks by which clients limit usage.

use axum::response::Response;
use bridge_core::{TimeRange, Timestamp};
use serde::Serialize;

use super::answers::{PricedByAnswer, Sums};
use super::api_request::ApiRequest;
use super::context::Caller;
use super::problem::Problem;
use crate::blocks::{BlockLength, BlockSource, Blocks, UsageBlock};

const LENGTHS: [(&str, BlockLength); 2] =
    [("five_hours", BlockLength::FiveHours), ("seven_days", BlockLength::SevenDays)];

#[derive(Serialize)]
struct BlocksAnswer {
    range: TimeRange,
    as_of: Timestamp,
    length: BlockLength,
    blocks: Vec<Block>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priced_by: Option<PricedByAnswer>,
}

#[derive(Serialize)]
struct Block {
    start: Timestamp,
    end: Timestamp,
    source: BlockSource,
    active: bool,
    limit_hit_at: Option<Timestamp>,
    #[serde(flatten)]
    sums: Sums,
}

impl From<UsageBlock> for Block {
    fn from(block: UsageBlock) -> Self {
        let UsageBlock { start, end, source, active, limit_hit_at, sums } = block;
        Self { start, end, source, active, limit_hit_at, sums: sums.into() }
    }
}

impl From<Blocks> for BlocksAnswer {
    fn from(blocks: Blocks) -> Self {
        let Blocks { range, as_of, length, blocks, priced_by } = blocks;
        let priced_by = priced_by.as_ref().map(PricedByAnswer::from);
        Self { range, as_of, length, blocks: blocks.into_iter().map(Block::from).collect(), priced_by }
    }
}

pub(super) async fn blocks(mut request: ApiRequest) -> Result<Response, Problem> {
    let length = request.parameters.choice("length", &LENGTHS).unwrap_or_default();
    let query = request.query();
    let work = async |caller: Caller| Ok(BlocksAnswer::from(caller.dashboard().blocks(query, length).await?));
    request.answer("blocks", work).await
}
