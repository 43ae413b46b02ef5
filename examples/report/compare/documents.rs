//! The comparison for programs, with all digits.

use serde_json::{Value, json};

use super::causes::{Cause, Comparison, Effect, ModelComparison};
use super::text::{describe, describe_price};
use crate::documents::{csv_line, csv_text};

pub(super) fn json(comparison: &Comparison) -> Value {
    let cause = |(cause, effect): (&Cause, &Effect)| {
        json!({
            "cause": describe(*cause, comparison.counter),
            "responses": effect.responses,
            "tokens": effect.tokens.to_string(),
            "usd": effect.money.exact(),
        })
    };
    let price_causes = |model: &ModelComparison| {
        let causes = model.price_causes().into_iter().map(|(cause, money)| {
            json!({ "cause": describe_price(cause, comparison.counter), "usd": money.exact() })
        });
        causes.collect::<Vec<_>>()
    };
    let model = |(name, model): (&String, &ModelComparison)| {
        json!({
            "model": name,
            "own_tokens": model.own_tokens,
            "other_tokens": model.other_tokens,
            "own_usd": model.own_cost.exact(),
            "own_unpriced_tokens": model.own_unpriced,
            "other_usd": model.other_cost.exact(),
            "causes": model.causes.iter().map(cause).collect::<Vec<_>>(),
            "unexplained_tokens": model.unexplained_tokens().to_string(),
            "price_causes": price_causes(model),
        })
    };
    json!({
        "counter": comparison.counter.to_string(),
        "models": comparison.models.iter().map(model).collect::<Vec<_>>(),
    })
}

/// Formats one table: for each model what is counted here, each cause of a difference, and what the counter states.
/// From the first to the last but one the tokens and the dollars of a model add up to the last.
pub(super) fn csv(comparison: &Comparison) -> String {
    let header = ["model", "item", "responses", "tokens", "usd", "unpriced_tokens"].map(str::to_owned);
    let mut lines = vec![csv_line(header.into_iter())];
    for (name, model) in &comparison.models {
        let mut line = |item: String, [responses, tokens, usd, unpriced]: [String; 4]| {
            lines.push(csv_line([csv_text(name), item, responses, tokens, usd, unpriced].into_iter()));
        };
        let none = String::new;
        let own =
            [none(), model.own_tokens.to_string(), model.own_cost.exact(), model.own_unpriced.to_string()];
        line("here".to_owned(), own);
        for (cause, Effect { responses, tokens, money }) in &model.causes {
            let amounts = [responses.to_string(), tokens.to_string(), money.exact(), none()];
            line(describe(*cause, comparison.counter), amounts);
        }
        for (cause, money) in model.price_causes() {
            line(describe_price(cause, comparison.counter), [none(), none(), money.exact(), none()]);
        }
        if model.unexplained_tokens() != 0 {
            let (tokens, usd) = (model.unexplained_tokens().to_string(), model.unexplained_money().exact());
            line("unexplained".to_owned(), [none(), tokens, usd, none()]);
        }
        let other = [none(), model.other_tokens.to_string(), model.other_cost.exact(), none()];
        line(comparison.counter.to_string(), other);
    }
    lines.concat()
}
