//! The data of a dashboard, computed in the most obvious way.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bridge_core::{Cost, ExtraCounts, ReceiptLine, ResponseUsage, StoreReceipt, Timestamp};

use super::Tables;
use crate::dashboard::{
    DashboardData, DashboardFilter, Direction, GroupList, GroupOrder, GroupPage, GroupSums, ReceiptScope,
    SPLIT_SUMS_MAX, SplitSums, TrendSums, UsageSums,
};
use crate::dimension::Dimension;
use crate::prices::{PriceList, PricedBy, UnpricedSums};

impl Tables {
    pub(super) fn dashboard(&self, filter: &DashboardFilter, prices: Option<&PriceList>) -> DashboardData {
        let rows: Vec<(&ResponseUsage, UsageSums)> = self
            .admitted(&filter.responses)
            .map(|row| (row, sums_of(row, filter.extra_counts, prices)))
            .collect();
        let list = |dimension: &Dimension, page| self.group_list(&rows, dimension, page);
        DashboardData {
            totals: sum(rows.iter(), prices),
            breakdowns: filter
                .breakdowns
                .iter()
                .map(|(dimension, page)| (dimension.clone(), list(dimension, page)))
                .collect(),
            origins: list(&Dimension::Origin, &GroupPage::default()).rows,
            weak: sum(rows.iter().filter(|(row, _)| row.weak_key), prices),
            trend: trend(&rows, &filter.trend_starts),
            split_trend: filter
                .trend_by
                .as_ref()
                .map(|dimension| self.split_trend(&rows, dimension, &filter.trend_starts))
                .unwrap_or_default(),
            last_sync: self.sources.values().map(|source| source.read_at).max(),
            receipt: (filter.receipt == ReceiptScope::Store).then(|| self.receipt()),
            priced_by: prices.map(|list| priced_by(list, rows.iter().map(|(row, _)| *row))),
        }
    }

    fn group_list(
        &self,
        rows: &[(&ResponseUsage, UsageSums)],
        dimension: &Dimension,
        page: &GroupPage,
    ) -> GroupList {
        let mut groups: BTreeMap<String, UsageSums> = BTreeMap::new();
        for (row, sums) in rows {
            groups.entry(self.value(dimension, row).into_owned()).or_default().add(sums);
        }
        let mut rows: Vec<GroupSums> =
            groups.into_iter().map(|(name, sums)| GroupSums { name, sums }).collect();
        // They are sorted by name, and the sort is stable.
        match (page.order, page.direction) {
            (GroupOrder::Name, Direction::Ascending) => {}
            (GroupOrder::Name, Direction::Descending) => rows.reverse(),
            (order, Direction::Ascending) => rows.sort_by_key(|row| value(&row.sums, order)),
            (order, Direction::Descending) => rows.sort_by_key(|row| Reverse(value(&row.sums, order))),
        }
        let groups = rows.len() as u64;
        let rows =
            rows.into_iter().zip(0_u64..).filter(|(_, rank)| page.lists(*rank)).map(|(row, _)| row).collect();
        GroupList { rows, groups }
    }

    fn split_trend(
        &self,
        rows: &[(&ResponseUsage, UsageSums)],
        dimension: &Dimension,
        starts: &[Timestamp],
    ) -> Vec<SplitSums> {
        let mut values: BTreeMap<String, Vec<(&ResponseUsage, UsageSums)>> = BTreeMap::new();
        for row in rows {
            values.entry(self.value(dimension, row.0).into_owned()).or_default().push(*row);
        }
        let split = |(name, rows): (String, Vec<_>)| {
            let steps = trend(&rows, starts).into_iter();
            steps.map(move |TrendSums { start, sums }| SplitSums { start, name: name.clone(), sums })
        };
        let mut split: Vec<_> = values.into_iter().flat_map(split).collect();
        split.sort_by_key(|step| (Reverse(step.sums.counts.total()), step.name.clone(), step.start));
        split.truncate(SPLIT_SUMS_MAX as usize);
        split
    }

    fn receipt(&self) -> StoreReceipt {
        let [mut read, mut total, mut weak] = [ReceiptLine::default(); 3];
        let mut sessions: BTreeMap<&str, (ReceiptLine, ReceiptLine)> = BTreeMap::new();
        for source in self.sources.values() {
            let line = ReceiptLine { count: source.snapshots, tokens: source.snapshot_tokens };
            read += line;
            sessions.entry(source.session.as_str()).or_default().0 += line;
        }
        for row in self.counted() {
            let tokens = row.counts.total();
            total.add(tokens);
            if row.weak_key {
                weak.add(tokens);
            }
            sessions.entry(row.session.as_str()).or_default().1.add(tokens);
        }
        let mut kept = ReceiptLine::default();
        for (read, stored) in sessions.values() {
            kept += ReceiptLine {
                count: stored.count.saturating_sub(read.count),
                tokens: stored.tokens.saturating_sub(read.tokens),
            };
        }
        let mut receipt = StoreReceipt::new(read, kept, total);
        receipt.weak = weak;
        receipt
    }
}

fn value(sums: &UsageSums, order: GroupOrder) -> i128 {
    match order {
        GroupOrder::Tokens => sums.counts.total().into(),
        GroupOrder::Input => sums.counts.input.into(),
        GroupOrder::Output => sums.counts.output.into(),
        GroupOrder::CacheCreation => sums.counts.cache_creation.into(),
        GroupOrder::CacheRead => sums.counts.cache_read.into(),
        GroupOrder::Responses => sums.responses.into(),
        GroupOrder::Cost => sums.cost.map_or(0, |cost| cost.amount.attodollars()),
        GroupOrder::LastTime => sums.last_time.map_or(0, |time| time.as_millis().unsigned_abs().into()),
        GroupOrder::Name => 0,
    }
}

fn trend(rows: &[(&ResponseUsage, UsageSums)], starts: &[Timestamp]) -> Vec<TrendSums> {
    let Some(first) = starts.first() else { return Vec::new() };
    let mut steps: BTreeMap<Timestamp, UsageSums> = BTreeMap::new();
    for (row, sums) in rows {
        let start = starts.iter().rev().find(|start| **start <= row.time).unwrap_or(first);
        steps.entry(*start).or_default().add(sums);
    }
    steps.into_iter().map(|(start, sums)| TrendSums { start, sums }).collect()
}

fn sum<'a>(
    rows: impl Iterator<Item = &'a (&'a ResponseUsage, UsageSums)>,
    prices: Option<&PriceList>,
) -> UsageSums {
    let mut added = UsageSums { cost: prices.map(|_| Cost::default()), ..UsageSums::default() };
    rows.for_each(|(_, sums)| added.add(sums));
    added
}

/// The sums of one response.
fn sums_of(row: &ResponseUsage, extra_counts: bool, prices: Option<&PriceList>) -> UsageSums {
    let worth_tokens = !row.counts.is_zero();
    UsageSums {
        responses: 1,
        responses_worth_tokens: u64::from(worth_tokens),
        unfinished_responses: u64::from(worth_tokens && !row.finished),
        counts: row.counts,
        first_time: Some(row.time),
        last_time: Some(row.time),
        extra: if extra_counts { row.extra_counts() } else { ExtraCounts::default() },
        cost: prices.map(|list| list.cost(row)),
    }
}

fn priced_by<'a>(list: &PriceList, rows: impl Iterator<Item = &'a ResponseUsage>) -> PricedBy {
    let unpriced = rows.filter_map(|row| {
        Some(UnpricedSums {
            model: row.model.clone(),
            reason: list.price(row).err()?,
            tokens: row.counts.total(),
            web_searches: row.web_search_requests.unwrap_or(0),
            responses: 1,
            since: row.time,
        })
    });
    PricedBy::new(list.digest.clone(), unpriced)
}
