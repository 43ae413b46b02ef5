//! The state of the budgets.

use axum::response::Response;
use bridge_core::Timestamp;
use bridge_pricing::Money;
use serde::{Serialize, Serializer};

use super::answers::Count;
use super::api_request::ApiRequest;
use super::context::Caller;
use super::problem::Problem;
use crate::budgets::{BudgetAmount, BudgetState, BudgetStatus};

#[derive(Serialize)]
struct BudgetsAnswer {
    as_of: Timestamp,
    budgets: Vec<BudgetAnswer>,
}

#[derive(Serialize)]
struct BudgetAnswer {
    name: String,
    state: BudgetState,
    limit: Amount,
    spent: Option<Amount>,
    at_least: bool,
    share: Option<f64>,
    tokens: Count,
    unpriced_tokens: Count,
    unpriced_share: f64,
    period: String,
    start: Timestamp,
    end: Timestamp,
    elapsed_share: f64,
    projected: Option<Amount>,
    projected_to_exceed: bool,
    warning_percent: u8,
}

/// An amount of either kind, with all digits.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Amount {
    Usd(#[serde(serialize_with = "exact")] Money),
    Tokens(Count),
}

fn exact<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&money.exact())
}

impl From<BudgetAmount> for Amount {
    fn from(amount: BudgetAmount) -> Self {
        match amount {
            BudgetAmount::Money(money) => Self::Usd(money),
            BudgetAmount::Tokens(tokens) => Self::Tokens(Count(tokens)),
        }
    }
}

impl From<BudgetStatus> for BudgetAnswer {
    fn from(status: BudgetStatus) -> Self {
        Self {
            name: status.name,
            state: status.state,
            limit: status.limit.into(),
            spent: status.spent.map(Amount::from),
            at_least: status.at_least,
            share: status.share,
            tokens: Count(status.tokens),
            unpriced_tokens: Count(status.unpriced_tokens),
            unpriced_share: status.unpriced_share,
            period: status.period.to_string(),
            start: status.start,
            end: status.end,
            elapsed_share: status.elapsed_share,
            projected: status.projected.map(Amount::from),
            projected_to_exceed: status.projected_to_exceed,
            warning_percent: status.warning_percent,
        }
    }
}

pub(super) async fn budgets(request: ApiRequest) -> Result<Response, Problem> {
    let as_of = request.now();
    let work = async |caller: Caller| {
        let budgets = caller.dashboard().budgets().await?;
        Ok(BudgetsAnswer { as_of, budgets: budgets.into_iter().map(BudgetAnswer::from).collect() })
    };
    request.answer("budgets", work).await
}
