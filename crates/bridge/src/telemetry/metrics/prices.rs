//! The metrics of tokens with and without a price.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bridge_core::Cost;
use metrics::Gauge;

use super::names as name;
use super::register::named_gauge;
use crate::dashboard::priced_tokens::{OTHER_MODELS, PricedTokens};

/// Maximum number of models that ever have gauges; the tokens of others are added up.
const MODELS_MAX: usize = 200;

/// The gauges of each model, by its name.
#[derive(Default)]
pub(super) struct PriceGauges(Mutex<BTreeMap<String, Gauges>>);

struct Gauges {
    priced: Gauge,
    unpriced: Gauge,
}

impl PriceGauges {
    /// Sets the gauges of the models; those of which there are no tokens any more to 0.
    pub(super) fn set(&self, tokens: &PricedTokens) {
        let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: BTreeMap<String, Cost> =
            gauges.keys().map(|model| (model.clone(), Cost::default())).collect();
        for (model, cost) in &tokens.models {
            let has_room = sums.contains_key(model) || sums.len() < MODELS_MAX;
            let model = if has_room { model } else { OTHER_MODELS };
            sums.entry(model.to_owned()).or_default().add(cost);
        }
        for (model, cost) in sums {
            let of_model = gauges.entry(model).or_insert_with_key(|model| Gauges {
                priced: named_gauge(&name::PRICED_TOKENS, model),
                unpriced: named_gauge(&name::UNPRICED_TOKENS, model),
            });
            of_model.priced.set(cost.priced_tokens as f64);
            of_model.unpriced.set(cost.unpriced_tokens as f64);
        }
    }
}
