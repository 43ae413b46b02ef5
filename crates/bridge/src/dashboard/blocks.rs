//! The blocks of what a store holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bridge_core::{BridgeError, LimitEvent, SessionId, TimeRange, Timestamp};
use bridge_storage::{Dimension, GroupPage, PricedBy, ResponseFilter, SourceFilter, UsageSums};

use super::adapter::{DashboardBridgeAdapter, filter};
use super::query::DashboardQuery;
use super::trend::FLOOR;
use crate::blocks::{BlockLength, Blocks, Step, UsageBlock, hour_of, recorded, windows};
use crate::operations::sessions::limits_of;
use crate::telemetry::operation::Operation;

const HOUR: Duration = Duration::from_hours(1);
/// The time before a range in which blocks of five hours are followed, so that the first one begins where it does for
/// any other range.
const LOOK_BACK: Duration = Duration::from_hours(31 * 24);
/// Hours that one query sums by.
const HOURS_PER_READ: u32 = 3_000;

impl DashboardBridgeAdapter {
    /// Returns the blocks by which clients limit usage, five hours or seven days long, of the responses that the query
    /// admits, and their sums. Of the query, the filter, the time range and the choice of counts and costs apply.
    ///
    /// A block ends when the client said that it does: at the reset of a limit that a session hit. Where no limit was
    /// hit, a block begins with the hour (UTC) of the first response that is in no other block.
    /// [`source`](UsageBlock::source) says which of the two it is. Limits are those of an account, so filter by
    /// developer where a store has several.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use std::sync::Arc;
    ///
    /// use bridge::blocks::{BlockLength, BlockSource};
    /// use bridge::storage::InMemoryStore;
    /// use bridge::{DashboardBridgeAdapter, TimeRange};
    /// # use bridge::{ResponseKey, ResponseUsage, SessionId};
    /// # use bridge::storage::{TokenStore, UpsertOptions};
    /// # let store = Arc::new(InMemoryStore::default());
    /// # for (key, time) in [(1, "2026-06-05T09:50:00Z"), (2, "2026-06-05T13:59:00Z"), (3, "2026-06-05T14:00:00Z")] {
    /// #     let mut row = ResponseUsage::new(ResponseKey(key), SessionId::new("s")?, time.parse()?);
    /// #     row.counts.output = 10;
    /// #     store.upsert(&[row], &UpsertOptions::default()).await?;
    /// # }
    ///
    /// // Responses at 9:50, 13:59 and 14:00.
    /// let answer = DashboardBridgeAdapter::new(store).blocks(TimeRange::ALL, BlockLength::FiveHours).await?;
    /// let first = &answer.blocks[0];
    /// assert_eq!((first.source, first.sums.responses), (BlockSource::Rule, 2));
    /// assert_eq!([first.start, first.end].map(|time| time.to_string()), ["2026-06-05T09:00:00.000Z", "2026-06-05T14:00:00.000Z"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer; [`BridgeError::InvertedRange`] if the range ends before it
    /// starts.
    pub async fn blocks(
        &self,
        query: impl Into<DashboardQuery>,
        length: BlockLength,
    ) -> Result<Blocks, BridgeError> {
        let mut query = query.into().without_lists().without_receipt();
        let work = async {
            let mut blocks = self.read_blocks(&mut query, length).await?;
            blocks.priced_by = self.priced_by(query, &blocks.blocks).await?;
            Ok(blocks)
        };
        self.run(Operation::Blocks, work).await
    }

    /// Returns the block that the present lies in, without its price list, which takes another query.
    #[cfg(feature = "page")]
    pub(crate) async fn active_block(
        &self,
        query: DashboardQuery,
        length: BlockLength,
    ) -> Result<Option<UsageBlock>, BridgeError> {
        let mut query = query.without_lists().without_receipt();
        let found = self.run(Operation::Blocks, self.read_blocks(&mut query, length)).await?;
        Ok(found.blocks.into_iter().find(|block| block.active))
    }

    /// Returns the blocks; their price list is not known yet.
    async fn read_blocks(
        &self,
        query: &mut DashboardQuery,
        length: BlockLength,
    ) -> Result<Blocks, BridgeError> {
        let range = query.responses.time.validated()?;
        let as_of = self.clock.now();
        let limits = self.limits(&query.responses).await?;
        let recorded = recorded(&limits, length);
        let sums = match self.span(query, length).await? {
            Some((first, end)) => {
                let bounds = recorded.iter().flat_map(|window| [window.start, window.end]);
                let bounds = bounds.filter(|bound| first < *bound && *bound < end).collect();
                self.step_sums(query, (first, end), &bounds).await?
            }
            None => BTreeMap::new(),
        };
        let steps: Vec<_> = sums.keys().map(|start| Step { start: *start }).collect();
        let blocks = windows(&steps, &recorded, length).into_iter().map(|window| {
            let mut total = UsageSums::default();
            sums.range(window.start..window.end).for_each(|(_, sums)| total.add(sums));
            UsageBlock {
                start: window.start,
                end: window.end,
                source: window.source,
                active: window.start <= as_of && as_of < window.end,
                limit_hit_at: window.limit_hit_at,
                sums: total,
            }
        });
        let is_in_range = |block: &UsageBlock| {
            range.start.is_none_or(|start| start < block.end) && range.end.is_none_or(|end| block.start < end)
        };
        let blocks: Vec<_> = blocks.filter(is_in_range).collect();
        Ok(Blocks { range, as_of, length, blocks, priced_by: None })
    }

    /// Returns the price list of the blocks, and what it has no price for. All responses between the first and the last block
    /// lie in one.
    async fn priced_by(
        &self,
        mut query: DashboardQuery,
        blocks: &[UsageBlock],
    ) -> Result<Option<PricedBy>, BridgeError> {
        let (Some(first), Some(last), true) = (blocks.first(), blocks.last(), query.cost) else {
            return Ok(None);
        };
        query.responses.time = TimeRange { start: Some(first.start), end: Some(last.end) };
        Ok(self.store.dashboard(&filter(&query, Vec::new())).await?.priced_by)
    }

    /// Returns the first and the last instant whose responses are read: whole blocks, from a point on that makes the
    /// bounds independent of the range. `None` without any response.
    async fn span(
        &self,
        query: &DashboardQuery,
        length: BlockLength,
    ) -> Result<Option<(Timestamp, Timestamp)>, BridgeError> {
        let mut all = query.clone();
        let range = all.responses.time;
        all.responses.time = TimeRange {
            start: match (length, range.start) {
                (BlockLength::FiveHours, Some(start)) => Some(start.saturating_sub(LOOK_BACK).max(FLOOR)),
                _ => Some(FLOOR),
            },
            end: range.end.map(|end| end.saturating_add(length.duration())),
        };
        // Short enough to be read by hours at once, whether there are responses or not.
        if let (Some(start), Some(end)) = (all.responses.time.start, all.responses.time.end)
            && end.saturating_since(start) < HOUR * (HOURS_PER_READ - 1)
        {
            return Ok(Some((hour_of(start), end)));
        }
        let totals = self.store.dashboard(&filter(&all, Vec::new())).await?.totals;
        let first = totals.first_time.map(hour_of);
        let end = totals.last_time.map(|last| last.saturating_add(Duration::from_millis(1)));
        Ok(first.zip(end))
    }

    /// Returns the sums of the responses in each hour and between the bounds of recorded windows. The query then names the price
    /// list of the first read: all blocks are priced by one, whatever is put in use meanwhile.
    async fn step_sums(
        &self,
        query: &mut DashboardQuery,
        (first, end): (Timestamp, Timestamp),
        bounds: &BTreeSet<Timestamp>,
    ) -> Result<BTreeMap<Timestamp, UsageSums>, BridgeError> {
        let mut sums = BTreeMap::new();
        let mut start = first;
        while start < end {
            let until = start.saturating_add(HOUR * HOURS_PER_READ).min(end);
            let hours = (0..HOURS_PER_READ).map(|hour| start.saturating_add(HOUR * hour));
            let steps: BTreeSet<_> =
                hours.take_while(|hour| *hour < until).chain(bounds.range(start..until).copied()).collect();
            let mut part = query.clone();
            part.responses.time = TimeRange { start: Some(start), end: Some(until) };
            let data = self.store.dashboard(&filter(&part, steps.into_iter().collect())).await?;
            query.prices = query.prices.take().or(data.priced_by.map(|prices| prices.digest));
            let filled = data.trend.into_iter().filter(|step| step.sums.responses > 0);
            sums.extend(filled.map(|step| (step.start, step.sums)));
            start = until;
        }
        Ok(sums)
    }

    /// Returns the limits that sessions with admitted responses hit.
    async fn limits(&self, responses: &ResponseFilter) -> Result<Vec<LimitEvent>, BridgeError> {
        let records = self.store.sources(&SourceFilter::default().limited()).await?;
        let limits = limits_of(&records);
        if responses.conditions().next().is_none() || limits.is_empty() {
            return Ok(limits.into_iter().map(|limit| limit.limit).collect());
        }
        let sessions: BTreeSet<SessionId> = limits.iter().map(|limit| limit.session_id.clone()).collect();
        let page = GroupPage::top(u32::try_from(sessions.len()).unwrap_or(u32::MAX));
        let mut query = DashboardQuery::new(TimeRange::ALL).without_lists().without_receipt();
        query.responses.clone_from(responses);
        query.responses.time = TimeRange::ALL;
        let query = query.of_sessions(sessions).list(Dimension::Session, page);
        let data = self.store.dashboard(&filter(&query, Vec::new())).await?;
        let listed = data.breakdowns.get(&Dimension::Session).map(|list| &*list.rows).unwrap_or_default();
        let admitted: BTreeSet<&str> = listed.iter().map(|row| row.name.as_str()).collect();
        let limits = limits.into_iter().filter(|limit| admitted.contains(limit.session_id.as_str()));
        Ok(limits.map(|limit| limit.limit).collect())
    }
}
