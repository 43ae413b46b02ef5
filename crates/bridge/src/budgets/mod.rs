//! Budgets: limits of the money or the tokens that a period may take.
//!
//! Architecture invariant: no I/O and no clock. What is spent comes from a dashboard query.

mod budget;
mod evaluation;
mod period;

pub use budget::{Budget, BudgetAmount, Budgets};
#[cfg(feature = "page")]
pub(crate) use evaluation::Elapsed;
pub use evaluation::{BudgetState, BudgetStatus, Spending};
pub use period::BudgetPeriod;
