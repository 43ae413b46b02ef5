//! The rows of the report.

use std::error::Error;

use bridge::blocks::{BlockLength, BlockSource, UsageBlock};
use bridge::storage::PricedBy;
use bridge::{
    CalendarUnit, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics, DashboardTrend, Dimension,
    Direction, GroupOrder, GroupPage, TimeRange, TimeZone, Timestamp, TokenCounts, TrendBucket, UsageSums,
};

use crate::args::{Args, Order};
use crate::column::Column;
use crate::condition::narrowed;
use crate::grouping::Grouping;
use crate::opened::Opened;
use crate::table::shown;

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// The value of the dimension, or the date or time at which the step begins. Untrusted text.
    pub(crate) name: String,
    /// The time of a step.
    pub(crate) time: Option<TimeRange>,
    /// The details of a block.
    pub(crate) block: Option<BlockFacts>,
    pub(crate) sums: UsageSums,
}

/// The details of a block besides its time and sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockFacts {
    pub(crate) source: BlockSource,
    pub(crate) active: bool,
    pub(crate) limit_hit_at: Option<Timestamp>,
}

impl Row {
    /// Returns the name for people, escaped; of a block with whether it still runs, and where its bounds come from
    /// unless it is the rule.
    pub(crate) fn label(&self) -> String {
        let Some(block) = self.block else { return shown(&self.name) };
        let recorded = if block.source == BlockSource::Recorded { ", as recorded" } else { "" };
        let active = if block.active { ", active" } else { "" };
        format!("{}{recorded}{active}", shown(&self.name))
    }
}

/// The part of the totals that no row lists.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Others {
    pub(crate) groups: u64,
    /// Only [some](crate::column::Column::is_known_of_others) of them are known; their total stands as input.
    pub(crate) sums: UsageSums,
}

/// The rows, and what they are of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// The store or the folders that were read.
    pub(crate) source: String,
    pub(crate) by: Grouping,
    /// The key that was asked for. There may be too many steps of it.
    pub(crate) asked: Grouping,
    pub(crate) zone: TimeZone,
    pub(crate) range: TimeRange,
    pub(crate) rows: Vec<Row>,
    pub(crate) others: Others,
    pub(crate) totals: UsageSums,
    /// The price list of the costs, and what it has no price for.
    pub(crate) priced_by: Option<PricedBy>,
    /// True if some of the transcripts could not be read to their end.
    pub(crate) is_incomplete: bool,
}

impl Report {
    /// Returns the columns: the cost if it was asked for and the store has prices.
    pub(crate) fn columns(&self) -> &'static [Column] {
        Column::all(self.totals.cost.is_some())
    }

    /// Reads the report.
    pub(crate) async fn read(args: &Args, opened: &Opened) -> Result<Self, Box<dyn Error>> {
        let zone = args.zone();
        let range = args.filters.time(&zone)?;
        let query = narrowed(DashboardQuery::new(range), args.filters.conditions());
        let query = query.without_lists().without_receipt();
        let query = match &args.prices {
            Some(digest) => query.with_prices(digest),
            None if args.no_cost => query,
            None => query.with_cost(),
        };
        let dashboard = opened.bridge.dashboard();
        let report = match args.by {
            Grouping::Block(length) => of_blocks(args, &dashboard, query, length).await?,
            _ => of_groups(args, &dashboard, query).await?,
        };
        Ok(Self { source: opened.name.clone(), is_incomplete: opened.is_incomplete, ..report })
    }

    /// Returns a report of nothing.
    fn empty(by: Grouping, zone: TimeZone, range: TimeRange) -> Self {
        Self {
            source: String::new(),
            asked: by.clone(),
            by,
            zone,
            range,
            rows: Vec::new(),
            others: Others::default(),
            totals: UsageSums::default(),
            priced_by: None,
            is_incomplete: false,
        }
    }
}

async fn of_groups(
    args: &Args,
    dashboard: &DashboardBridgeAdapter,
    query: DashboardQuery,
) -> Result<Report, Box<dyn Error>> {
    let (zone, range) = (args.zone(), query.responses.time);
    let query = match &args.by {
        Grouping::Calendar(unit) => query.by(*unit, zone.clone()),
        Grouping::By(dimension) => query.list(dimension.clone(), page(args)),
        Grouping::Block(_) => query,
    };
    let mut metrics = dashboard.get_dashboard_token_metrics(query).await?;
    let (totals, priced_by) = (metrics.totals, metrics.priced_by.take());
    let (by, rows, others) = match &args.by {
        Grouping::Calendar(_) | Grouping::Block(_) => {
            (Grouping::Calendar(metrics.trend.step), steps(&metrics.trend), Others::default())
        }
        Grouping::By(dimension) => {
            let (rows, others) = groups(dimension, metrics);
            (args.by.clone(), rows, others)
        }
    };
    let asked = args.by.clone();
    Ok(Report { by, rows, others, totals, priced_by, ..Report::empty(asked, zone, range) })
}

fn page(args: &Args) -> GroupPage {
    let (order, direction) = match args.order {
        Order::Cost if !args.no_cost => (GroupOrder::Cost, Direction::Descending),
        Order::Tokens | Order::Cost => (GroupOrder::Tokens, Direction::Descending),
        Order::Time => (GroupOrder::LastTime, Direction::Descending),
        Order::Name => (GroupOrder::Name, Direction::Ascending),
    };
    GroupPage::top(args.limit).sorted(order, direction)
}

fn groups(dimension: &Dimension, metrics: DashboardTokenMetrics) -> (Vec<Row>, Others) {
    let breakdown = metrics.breakdown(dimension).cloned().unwrap_or_default();
    let others = Others {
        groups: breakdown.groups.saturating_sub(breakdown.rows.len() as u64),
        sums: UsageSums {
            responses: breakdown.other_responses,
            counts: TokenCounts { input: breakdown.other_tokens, ..TokenCounts::ZERO },
            cost: breakdown.other_cost,
            ..UsageSums::default()
        },
    };
    let rows =
        breakdown.rows.into_iter().map(|row| Row { name: row.name, time: None, block: None, sums: row.sums });
    (rows.collect(), others)
}

async fn of_blocks(
    args: &Args,
    dashboard: &DashboardBridgeAdapter,
    query: DashboardQuery,
    length: BlockLength,
) -> Result<Report, Box<dyn Error>> {
    let blocks = dashboard.blocks(query, length).await?;
    let zone = args.zone();
    let mut totals = UsageSums::default();
    blocks.blocks.iter().for_each(|block| totals.add(&block.sums));
    let row = |block: &UsageBlock| Row {
        name: step_name(CalendarUnit::Hour, &zone.local(block.start)),
        time: Some(TimeRange { start: Some(block.start), end: Some(block.end) }),
        block: Some(BlockFacts {
            source: block.source,
            active: block.active,
            limit_hit_at: block.limit_hit_at,
        }),
        sums: block.sums,
    };
    let rows = blocks.blocks.iter().map(row).collect();
    let priced_by = blocks.priced_by;
    Ok(Report { rows, totals, priced_by, ..Report::empty(args.by.clone(), zone, blocks.range) })
}

/// Returns the steps that have responses, and those of clocks that were wrong.
fn steps(trend: &DashboardTrend) -> Vec<Row> {
    let outside = |name: &str, sums: UsageSums| Row { name: name.to_owned(), time: None, block: None, sums };
    let step = |bucket: &TrendBucket| Row {
        name: step_name(trend.step, &bucket.local_start),
        time: Some(TimeRange { start: Some(bucket.start), end: Some(bucket.end) }),
        block: None,
        sums: bucket.sums,
    };
    let rows = std::iter::once(outside("earlier", trend.before))
        .chain(trend.buckets.iter().map(step))
        .chain([outside("later", trend.after)]);
    rows.filter(|row| row.sums.responses > 0).collect()
}

/// Returns the name of the step that begins at this local time in RFC 3339.
fn step_name(step: CalendarUnit, local_start: &str) -> String {
    let (date, time) = local_start.split_once('T').unwrap_or((local_start, ""));
    match step {
        CalendarUnit::Minute | CalendarUnit::Hour => {
            let (hour, offset) = (time.get(..5).unwrap_or(time), time.get(8..).unwrap_or_default());
            format!("{date} {hour} {offset}")
        }
        CalendarUnit::Day | CalendarUnit::Week => date.to_owned(),
        CalendarUnit::Month => date.get(..7).unwrap_or(date).to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a report by project with a row of one response and ten tokens for each name.
    pub(crate) fn report_of(names: &[&str]) -> Report {
        let counts = TokenCounts { input: 1, output: 2, cache_creation: 3, cache_read: 4 };
        let sums = UsageSums { responses: 1, responses_worth_tokens: 1, counts, ..UsageSums::default() };
        let row = |name: &&str| Row { name: (*name).to_owned(), time: None, block: None, sums };
        let mut totals = UsageSums::default();
        names.iter().for_each(|_| totals.add(&sums));
        Report {
            source: "a store".to_owned(),
            rows: names.iter().map(row).collect(),
            totals,
            ..Report::empty(Grouping::By(Dimension::Project), TimeZone::UTC, TimeRange::ALL)
        }
    }

    #[test]
    fn the_two_hours_of_a_clock_change_have_names_of_their_own() {
        let names = ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
            .map(|start| step_name(CalendarUnit::Hour, start));
        assert_eq!(names, ["2026-10-25 02:00 +02:00", "2026-10-25 02:00 +01:00"]);
        assert_eq!(step_name(CalendarUnit::Month, "2026-10-01T00:00:00+02:00"), "2026-10");
        assert_eq!(step_name(CalendarUnit::Week, "2026-10-05T00:00:00+02:00"), "2026-10-05");
    }
}
