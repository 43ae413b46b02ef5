//! The definition of a budget.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bridge_core::{InvalidValue, TimeZone};
use bridge_pricing::Money;
use bridge_storage::Dimension;
use serde::{Deserialize, Serialize};

use super::period::BudgetPeriod;
use crate::dashboard::DashboardQuery;

/// The share of a budget from which on it is nearly spent, in percent, unless it is set.
const WARNING_PERCENT: u8 = 80;

/// An amount of money or tokens.
///
/// ```
/// use bridge::budgets::BudgetAmount;
///
/// assert_eq!(BudgetAmount::Money("1250".parse()?).to_string(), "$1,250.00");
/// assert_eq!(BudgetAmount::Tokens(2_000_000).to_string(), "2000000 tokens");
/// # Ok::<(), bridge::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetAmount {
    /// US dollars.
    Money(Money),
    /// Tokens: the sum of the four counters.
    Tokens(u64),
}

impl BudgetAmount {
    /// Returns the amount in units of 10^-18 dollars, or in tokens.
    pub(crate) fn units(self) -> i128 {
        match self {
            Self::Money(money) => money.attodollars(),
            Self::Tokens(tokens) => tokens.into(),
        }
    }

    /// Returns an amount of the same kind.
    pub(super) fn with_units(self, units: i128) -> Self {
        match self {
            Self::Money(_) => Self::Money(Money::from_attodollars(units)),
            Self::Tokens(_) => Self::Tokens(units.try_into().unwrap_or(u64::MAX)),
        }
    }
}

impl fmt::Display for BudgetAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(money) => money.fmt(f),
            Self::Tokens(tokens) => write!(f, "{tokens} tokens"),
        }
    }
}

/// A limit of the money or the tokens that a period may take, of everything or of the responses with certain values in
/// certain [dimensions](Dimension).
///
/// ```
/// use bridge::Dimension;
/// use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod};
///
/// let limit = BudgetAmount::Money("500".parse()?);
/// let budget = Budget::new("web", limit, BudgetPeriod::Month)?
///     .in_zone("Europe/Berlin".parse()?)
///     .of(Dimension::Team, ["web", "design"])
///     .warning_at(90)?;
/// assert_eq!(budget.warning_percent(), 90);
/// assert!(Budget::new("", limit, BudgetPeriod::Month).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    name: String,
    limit: BudgetAmount,
    period: BudgetPeriod,
    zone: TimeZone,
    values: BTreeMap<Dimension, BTreeSet<String>>,
    warning_percent: u8,
}

const INVALID_NAME: InvalidValue =
    InvalidValue::new("budget name", "have 1 to 64 bytes and no control characters");
const INVALID_LIMIT: InvalidValue =
    InvalidValue::new("budget", "be more than 0, and at most a trillion dollars");
const INVALID_WARNING: InvalidValue = InvalidValue::new("warning of a budget", "be 1 to 100 percent");
const INVALID_PERIOD: InvalidValue = InvalidValue::new("rolling period", "have 1 to 366 days");
const NOT_UNIQUE: InvalidValue = InvalidValue::new("budgets", "be at most 64, each with a name of its own");

/// A trillion dollars: no sum that a projection multiplies overflows.
const MONEY_MAX: Money = Money::from_attodollars(10_i128.pow(30));

impl Budget {
    /// Returns a budget of everything in this period, in UTC, with a warning at 80 percent.
    ///
    /// # Errors
    ///
    /// The name is empty, longer than 64 bytes or has control characters; the limit is not positive, or more than a
    /// trillion dollars; a rolling period has no day, or more than 366.
    pub fn new(
        name: impl Into<String>,
        limit: BudgetAmount,
        period: BudgetPeriod,
    ) -> Result<Self, InvalidValue> {
        let name = name.into();
        if !(1..=64).contains(&name.len()) || name.contains(char::is_control) {
            return Err(INVALID_NAME);
        }
        let is_allowed = match limit {
            BudgetAmount::Money(money) => money > Money::ZERO && money <= MONEY_MAX,
            BudgetAmount::Tokens(tokens) => tokens > 0,
        };
        if !is_allowed {
            return Err(INVALID_LIMIT);
        }
        if !period.is_valid() {
            return Err(INVALID_PERIOD);
        }
        let (zone, values) = (TimeZone::UTC, BTreeMap::new());
        Ok(Self { name, limit, period, zone, values, warning_percent: WARNING_PERCENT })
    }

    /// Returns the budget with days, weeks and months of this time zone.
    #[must_use]
    pub fn in_zone(mut self, zone: TimeZone) -> Self {
        self.zone = zone;
        self
    }

    /// Returns the budget of the responses that have one of these values in the dimension; an empty text is that of
    /// responses that have none.
    #[must_use]
    pub fn of(mut self, dimension: Dimension, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.entry(dimension).or_default().extend(values.into_iter().map(Into::into));
        self
    }

    /// Returns the budget with a warning from this percentage of the limit on.
    ///
    /// # Errors
    ///
    /// The percentage is not 1 to 100.
    pub fn warning_at(mut self, percent: u8) -> Result<Self, InvalidValue> {
        if !(1..=100).contains(&percent) {
            return Err(INVALID_WARNING);
        }
        self.warning_percent = percent;
        Ok(self)
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the period may take.
    #[must_use]
    pub fn limit(&self) -> BudgetAmount {
        self.limit
    }

    /// Returns the period.
    #[must_use]
    pub fn period(&self) -> BudgetPeriod {
        self.period
    }

    /// Returns the time zone of the period.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the values that responses must have, by dimension; without any, all responses count.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<Dimension, BTreeSet<String>> {
        &self.values
    }

    /// Returns the percentage of the limit from which on there is a warning.
    #[must_use]
    pub fn warning_percent(&self) -> u8 {
        self.warning_percent
    }

    /// Narrows a query to the responses that the budget is of.
    pub(crate) fn narrow(&self, query: DashboardQuery) -> DashboardQuery {
        self.values.iter().fold(query, |query, (dimension, values)| {
            query.with_values(dimension.clone(), values.iter().cloned())
        })
    }
}

/// Budgets, each with a name of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets(Vec<Budget>);

impl Budgets {
    /// Maximum number of budgets.
    pub const MAX: usize = 64;

    /// Returns these budgets.
    ///
    /// # Errors
    ///
    /// More than 64; two have the same name.
    pub fn new(budgets: impl IntoIterator<Item = Budget>) -> Result<Self, InvalidValue> {
        let budgets: Vec<_> = budgets.into_iter().collect();
        let names: BTreeSet<_> = budgets.iter().map(Budget::name).collect();
        if names.len() < budgets.len() || budgets.len() > Self::MAX {
            return Err(NOT_UNIQUE);
        }
        Ok(Self(budgets))
    }

    /// Returns the budgets in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Budget> {
        self.0.iter()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
