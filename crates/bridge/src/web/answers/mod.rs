//! The JSON of answers, as `docs/http-api.schema.json` describes it.
//!
//! A number of 64 bits is a decimal string: JavaScript and many other readers make a float of a JSON number, which is
//! exact to 2^53 only.

mod audit;
mod dashboard;
mod health;
mod sessions;
mod sums;

pub(super) use audit::AuditPage;
pub(super) use dashboard::{Dashboard, GroupsAnswer, PricedByAnswer, ReceiptAnswer, Totals, TrendAnswer};
pub(super) use health::{Health, Status};
pub(super) use sessions::{Expiring, Limit, Limits, Session};
pub(super) use sums::{CostChangeAnswer, Count, Sums};
