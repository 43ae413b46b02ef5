//! The share of a budget that a period has spent.

use std::fmt;

use bridge_core::{TimeZone, Timestamp, unpriced_percent};
use bridge_pricing::Money;
use serde::{Deserialize, Serialize};

use super::budget::{Budget, BudgetAmount};
use super::period::BudgetPeriod;

/// The sums over a period's responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spending {
    /// All tokens.
    pub tokens: u64,
    /// Responses that are not finished: with any, the tokens are a floor.
    pub unfinished_responses: u64,
    /// The cost; `None` if the store has no prices.
    pub cost: Option<Money>,
    /// The tokens of the responses that have no price, and are not in the cost.
    pub unpriced_tokens: u64,
}

/// The state of a budget; worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetState {
    /// Less than the warning.
    Ok,
    /// Unknown: a money budget without enough prices, because none are priced or the unpriced tokens could reach the
    /// warning.
    Unknown,
    /// The warning's share or more.
    Warning,
    /// More than the budget.
    Exceeded,
}

impl BudgetState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Unknown, Self::Warning, Self::Exceeded];

    /// Returns the name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Exceeded => "exceeded",
        }
    }
}

impl fmt::Display for BudgetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The status of a budget in the current period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetStatus {
    /// The budget's name.
    pub name: String,
    /// The state.
    pub state: BudgetState,
    /// The limit of the period.
    pub limit: BudgetAmount,
    /// The amount spent so far; `None` if the budget is of money, and the store has no prices.
    pub spent: Option<BudgetAmount>,
    /// `spent` is a floor: responses are unfinished, or have no price.
    pub at_least: bool,
    /// `spent` as a share of the limit; more than 1 if it is exceeded. `None` as `spent` is.
    pub share: Option<f64>,
    /// All tokens of the period.
    pub tokens: u64,
    /// Those without a price, which a budget of money does not contain.
    pub unpriced_tokens: u64,
    /// Their share of all tokens; 0 without any.
    pub unpriced_share: f64,
    /// The kind of period.
    pub period: BudgetPeriod,
    /// The time zone of its days, weeks and months.
    pub zone: TimeZone,
    /// The first instant of the period.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// The share of the period that is over, from 0 to 1.
    pub elapsed_share: f64,
    /// The projection for the whole period if it goes on at its present pace: `spent` divided by `elapsed_share`. Of a
    /// rolling period it is what is spent. `None` at a period's first instant, and as `spent` is.
    pub projected: Option<BudgetAmount>,
    /// True if that is more than the limit.
    pub projected_to_exceed: bool,
    /// The percentage of the limit from which on there is a warning.
    pub warning_percent: u8,
}

impl Budget {
    /// Returns what the period of `now` has taken of the budget.
    ///
    /// ```
    /// use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, BudgetState, Spending};
    ///
    /// let budget = Budget::new("all", BudgetAmount::Money("100".parse()?), BudgetPeriod::Month)?;
    /// let spending = Spending { tokens: 1000, unpriced_tokens: 31, cost: Some("60".parse()?), ..Spending::default() };
    /// let status = budget.status(&spending, "2026-06-16T00:00:00Z".parse()?);
    /// assert_eq!((status.state, status.projected_to_exceed), (BudgetState::Ok, true));
    /// assert_eq!(status.projected, Some(BudgetAmount::Money("120".parse()?)));
    /// assert_eq!(status.to_string(), "all: ok, at least $60.00 of $100.00 (60 %) this month, 3.1 % of tokens unpriced; \
    ///     at this pace $120.00 by 2026-07-01T00:00:00+00:00");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self, spending: &Spending, now: Timestamp) -> BudgetStatus {
        let (start, end) = self.period().bounds(now, self.zone());
        let elapsed =
            Elapsed { past: now.as_millis() - start.as_millis(), whole: end.as_millis() - start.as_millis() };
        let limit = self.limit();
        let (spent, is_priced) = match limit {
            BudgetAmount::Tokens(_) => (Some(BudgetAmount::Tokens(spending.tokens)), true),
            BudgetAmount::Money(_) => (spending.cost.map(BudgetAmount::Money), spending.unpriced_tokens == 0),
        };
        let projected = spent.and_then(|spent| elapsed.projected(spent));
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        BudgetStatus {
            name: self.name().to_owned(),
            state: self.state(spending),
            limit,
            spent,
            at_least: spent.is_some() && (spending.unfinished_responses > 0 || !is_priced),
            share: spent.map(|spent| spent.units() as f64 / limit.units() as f64),
            tokens: spending.tokens,
            unpriced_tokens: spending.unpriced_tokens,
            unpriced_share: share(spending.unpriced_tokens, spending.tokens),
            period: self.period(),
            zone: self.zone().clone(),
            start,
            end,
            elapsed_share: elapsed.share(),
            projected,
            projected_to_exceed: projected.is_some_and(|projected| projected.units() > limit.units()),
            warning_percent: self.warning_percent(),
        }
    }

    fn state(&self, spending: &Spending) -> BudgetState {
        match (self.limit(), spending.cost) {
            (BudgetAmount::Tokens(_), _) => self.state_at(i128::from(spending.tokens)),
            (BudgetAmount::Money(_), None) => BudgetState::Unknown,
            (BudgetAmount::Money(_), Some(cost)) => {
                let known = self.state_at(cost.attodollars());
                let is_enough = || estimate(cost, spending).is_some_and(|all| self.state_at(all) == known);
                if known == BudgetState::Ok && !is_enough() { BudgetState::Unknown } else { known }
            }
        }
    }

    /// Returns the state if this is spent, in units of the limit.
    fn state_at(&self, spent: i128) -> BudgetState {
        let limit = self.limit().units();
        if spent > limit {
            return BudgetState::Exceeded;
        }
        // Neither product overflows: a limit is at most 10^30, and more than the limit is exceeded.
        let is_near = spent * 100 >= limit * i128::from(self.warning_percent());
        if is_near { BudgetState::Warning } else { BudgetState::Ok }
    }
}

/// Estimates the total cost, in 10^-18 dollars, at the average price of the priced tokens. `None` if there are none, or
/// on overflow. It decides only whether enough is known, and is not shown.
fn estimate(cost: Money, spending: &Spending) -> Option<i128> {
    if spending.unpriced_tokens == 0 {
        return Some(cost.attodollars());
    }
    let all = i128::from(spending.tokens);
    let priced = i128::from(spending.tokens.saturating_sub(spending.unpriced_tokens));
    let whole = cost.attodollars().checked_div(priced)?.checked_mul(all)?;
    whole.checked_add((cost.attodollars() % priced).checked_mul(all)? / priced)
}

/// The elapsed part of a period, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elapsed {
    pub(crate) past: i64,
    pub(crate) whole: i64,
}

impl Elapsed {
    fn share(self) -> f64 {
        self.past as f64 / self.whole.max(1) as f64
    }

    /// Returns what the whole period takes at the same pace, rounded down; `None` if nothing of it is over.
    pub(crate) fn projected(self, spent: BudgetAmount) -> Option<BudgetAmount> {
        let (past, whole) = (i128::from(self.past), i128::from(self.whole));
        if past <= 0 {
            return None;
        }
        // In two parts, because the product of a large sum and the milliseconds of a year has more than 128 bits.
        let (units, rest) = (spent.units() / past, spent.units() % past);
        let projected = units.checked_mul(whole)?.checked_add(rest * whole / past)?;
        Some(spent.with_units(projected))
    }
}

impl fmt::Display for BudgetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", bridge_core::Escaped::text(&self.name), self.state)?;
        let Some((spent, share)) = self.spent.zip(self.share) else {
            return write!(f, ", the store has no prices; the limit is {}", self.limit);
        };
        let at_least = if self.at_least { "at least " } else { "" };
        let period = self.period.phrase();
        write!(f, ", {at_least}{spent} of {} ({:.0} %) {period}", self.limit, share * 100.0)?;
        if matches!(self.limit, BudgetAmount::Money(_)) && self.unpriced_tokens > 0 {
            write!(f, ", {} of tokens unpriced", unpriced_percent(self.unpriced_tokens, self.tokens))?;
        }
        match (self.projected, self.period) {
            (None, _) | (_, BudgetPeriod::Rolling { .. }) => Ok(()),
            (Some(projected), _) => write!(f, "; at this pace {projected} by {}", self.zone.local(self.end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(limit: u64) -> Budget {
        Budget::new("b", BudgetAmount::Tokens(limit), BudgetPeriod::Month).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn status(budget: &Budget, tokens: u64) -> BudgetStatus {
        budget.status(&Spending { tokens, ..Spending::default() }, at("2026-06-16T00:00:00Z"))
    }

    #[test]
    fn the_warning_begins_at_its_share_and_the_limit_itself_is_not_exceeded() {
        let state = |spent| status(&tokens(1000), spent).state;
        assert_eq!(
            [0, 799, 800, 1000, 1001].map(state),
            [
                BudgetState::Ok,
                BudgetState::Ok,
                BudgetState::Warning,
                BudgetState::Warning,
                BudgetState::Exceeded
            ]
        );
    }

    #[test]
    fn without_prices_a_budget_of_money_is_unknown_and_not_kept() {
        let budget =
            Budget::new("b", BudgetAmount::Money(Money::from_attodollars(1)), BudgetPeriod::Day).unwrap();
        let status = status(&budget, 5);
        assert_eq!((status.state, status.spent, status.projected), (BudgetState::Unknown, None, None));
        assert!(!status.projected_to_exceed && !status.at_least);
    }

    #[test]
    fn unpriced_tokens_make_money_a_floor_and_tokens_not() {
        let money = Budget::new("b", BudgetAmount::Money("5".parse().unwrap()), BudgetPeriod::Day).unwrap();
        let spending =
            Spending { tokens: 10, unpriced_tokens: 5, cost: Some(Money::ZERO), ..Spending::default() };
        let status = |budget: &Budget| budget.status(&spending, at("2026-06-16T00:00:00Z"));
        assert!(status(&money).at_least && !status(&tokens(50)).at_least);
        assert!((status(&money).unpriced_share - 0.5).abs() < f64::EPSILON);
    }

    /// Returns the state of a budget of $10 with a warning from $8 on.
    fn state_of_money(spent: &str, tokens: u64, unpriced_tokens: u64) -> BudgetState {
        let budget = Budget::new("b", BudgetAmount::Money("10".parse().unwrap()), BudgetPeriod::Day).unwrap();
        let cost = spent.parse().ok();
        let spending = Spending { tokens, unpriced_tokens, cost, ..Spending::default() };
        budget.status(&spending, at("2026-06-16T00:00:00Z")).state
    }

    #[test]
    fn a_budget_is_not_kept_because_its_tokens_have_no_price() {
        assert_eq!(state_of_money("0", 0, 0), BudgetState::Ok);
        assert_eq!(state_of_money("0", 1, 1), BudgetState::Unknown);
        assert_eq!(state_of_money("0", u64::MAX, u64::MAX), BudgetState::Unknown);
    }

    #[test]
    fn unpriced_tokens_leave_a_budget_unknown_where_their_cost_could_reach_the_warning() {
        // At the price of the others, all tokens cost $4.44, $7.99, $8 and $9 x 10^19.
        assert_eq!(state_of_money("4", 100, 10), BudgetState::Ok);
        assert_eq!(state_of_money("3.995", 100, 50), BudgetState::Ok);
        assert_eq!(state_of_money("4", 100, 50), BudgetState::Unknown);
        assert_eq!(state_of_money("5", u64::MAX, u64::MAX - 1), BudgetState::Unknown);
        assert_eq!(state_of_money("8", 100, 50), BudgetState::Warning, "that much is known");
        assert_eq!(state_of_money("10.01", 100, 50), BudgetState::Exceeded);
    }

    #[test]
    fn a_status_says_how_much_it_does_not_know() {
        let budget = Budget::new("b", BudgetAmount::Money("10".parse().unwrap()), BudgetPeriod::Day).unwrap();
        let spending = Spending {
            tokens: 10_000,
            unpriced_tokens: 1,
            cost: Some("1".parse().unwrap()),
            ..Spending::default()
        };
        let status = budget.status(&spending, at("2026-06-16T00:00:00Z")).to_string();
        assert_eq!(status, "b: ok, at least $1.00 of $10.00 (10 %) today, 0.1 % of tokens unpriced");
    }

    #[test]
    fn a_status_names_its_period_and_ends_in_the_zone_of_the_budget() {
        let text = |period| {
            let budget = Budget::new("b", BudgetAmount::Tokens(100), period).unwrap();
            status(&budget.in_zone("Europe/Berlin".parse().unwrap()), 30).to_string()
        };
        assert_eq!(
            text(BudgetPeriod::Month),
            "b: ok, 30 tokens of 100 tokens (30 %) this month; at this pace 59 tokens by 2026-07-01T00:00:00+02:00"
        );
        let rolling = |days| text(BudgetPeriod::Rolling { days });
        assert_eq!(rolling(1), "b: ok, 30 tokens of 100 tokens (30 %) in the last 24 hours");
        assert_eq!(rolling(7), "b: ok, 30 tokens of 100 tokens (30 %) in the last 7 days");
    }

    #[test]
    fn at_the_first_instant_of_a_period_nothing_is_projected() {
        let spending = Spending { tokens: 5, ..Spending::default() };
        let first = tokens(10).status(&spending, at("2026-06-01T00:00:00Z"));
        assert_eq!((first.projected, first.elapsed_share), (None, 0.0));
    }

    proptest! {
        #[test]
        fn a_projection_is_the_spent_amount_at_the_same_pace(
            spent in 0_u64..1 << 50,
            now in 1_767_225_600_001_i64..1_798_761_600_000,
        ) {
            let now = Timestamp::from_millis(now).unwrap();
            let status = tokens(1 << 40).status(&Spending { tokens: spent, ..Spending::default() }, now);
            let (past, whole) = (now.as_millis() - status.start.as_millis(), status.end.as_millis() - status.start.as_millis());
            let exact = (past > 0).then(|| i128::from(spent) * i128::from(whole) / i128::from(past));
            let projected = status.projected.map(BudgetAmount::units);
            prop_assert_eq!(projected, exact);
            prop_assert!(projected.is_none_or(|projected| projected >= i128::from(spent)));
            prop_assert_eq!(status.projected_to_exceed, exact.is_some_and(|exact| exact > 1 << 40));
        }

        #[test]
        fn more_spent_is_never_better(limit in 1_u64..1000, spent in 0_u64..2000, percent in 1_u8..=100) {
            let budget = tokens(limit).warning_at(percent).unwrap();
            prop_assert!(status(&budget, spent).state <= status(&budget, spent + 1).state);
        }

        #[test]
        fn no_amount_overflows(dollars in 1_u64..=1_000_000_000_000, spent in 0_i128..i128::MAX, now in 0_i64..4_000_000_000_000) {
            let limit = BudgetAmount::Money(dollars.to_string().parse().unwrap());
            for period in [BudgetPeriod::Month, BudgetPeriod::Rolling { days: 366 }] {
                let budget = Budget::new("b", limit, period).unwrap();
                let cost = Some(Money::from_attodollars(spent));
                let status = budget.status(&Spending { cost, ..Spending::default() }, Timestamp::from_millis(now).unwrap());
                prop_assert_eq!(status.state == BudgetState::Exceeded, spent > limit.units());
            }
        }
    }
}
