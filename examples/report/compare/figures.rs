//! The figures of another counter, from its JSON.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use bridge::pricing::Money;
use bridge::{ModelName, TokenCounts};
use serde_json::Value;

use super::counter::Counter;

/// The figures of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) counts: TokenCounts,
    pub(crate) cost: Money,
}

/// The figures by canonical model.
#[derive(Debug)]
pub(crate) struct OtherFigures {
    pub(crate) counter: Counter,
    pub(crate) models: BTreeMap<String, Figures>,
}

/// The lists of `ccusage`, by its commands.
const CCUSAGE_LISTS: [&str; 4] = ["daily", "weekly", "monthly", "sessions"];

/// Reads a file that one of the counters has written.
pub(crate) fn read(file: &Path) -> Result<OtherFigures, Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    // A progress line may stand before the object.
    let json = text.find('{').map_or("", |start| &text[start..]);
    let value: Value = serde_json::from_str(json)?;
    of(&value).ok_or_else(|| {
        "the file has neither the form of `ccusage claude daily --json` nor that of `tokscale --json`".into()
    })
}

fn of(value: &Value) -> Option<OtherFigures> {
    let lists = CCUSAGE_LISTS.into_iter().find_map(|name| value.get(name)?.as_array());
    if let Some(rows) = lists {
        let breakdowns = rows.iter().flat_map(|row| row["modelBreakdowns"].as_array().into_iter().flatten());
        let names =
            ["inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens", "cost", "modelName"];
        return Some(OtherFigures { counter: Counter::Ccusage, models: sum(breakdowns, names)? });
    }
    let entries = value.get("entries")?.as_array()?.iter();
    let names = ["input", "output", "cacheWrite", "cacheRead", "cost", "model"];
    Some(OtherFigures { counter: Counter::Tokscale, models: sum(entries, names)? })
}

/// Sums up the rows; `None` if one lacks a field.
fn sum<'v>(
    rows: impl Iterator<Item = &'v Value>,
    [input, output, creation, read, cost, model]: [&str; 6],
) -> Option<BTreeMap<String, Figures>> {
    let mut models: BTreeMap<String, Figures> = BTreeMap::new();
    for row in rows {
        let count = |name: &str| row.get(name)?.as_u64();
        let figures = models.entry(canonical(row.get(model)?.as_str()?)).or_default();
        let counts = &mut figures.counts;
        counts.input = counts.input.checked_add(count(input)?)?;
        counts.output = counts.output.checked_add(count(output)?)?;
        counts.cache_creation = counts.cache_creation.checked_add(count(creation)?)?;
        counts.cache_read = counts.cache_read.checked_add(count(read)?)?;
        figures.cost = figures.cost.checked_add(dollars(row.get(cost)?.as_f64()?)?)?;
    }
    Some(models)
}

/// Returns a floating-point amount as it was meant: rounded to 10^-9 dollars.
fn dollars(amount: f64) -> Option<Money> {
    format!("{amount:.9}").parse().ok()
}

/// Returns the canonical name, because counters leave out dates and add the speed.
pub(crate) fn canonical(model: &str) -> String {
    let model = model.strip_suffix("-fast").unwrap_or(model);
    ModelName::new(model).map_or_else(|_| model.to_owned(), |model| model.canonical().name.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_are_read_by_canonical_model() {
        let breakdown = |model: &str| {
            json!({"modelName": model, "inputTokens": 1, "outputTokens": 2, "cacheCreationTokens": 3,
                "cacheReadTokens": 4, "cost": 0.1})
        };
        let day = |model: &str| json!({"date": "2026-01-01", "modelBreakdowns": [breakdown(model)]});
        let figures =
            of(&json!({"daily": [day("claude-opus-4-5-20251101"), day("claude-opus-4-5-fast")]})).unwrap();
        assert_eq!(figures.counter, Counter::Ccusage);
        let opus = figures.models["claude-opus-4-5"];
        assert_eq!((opus.counts.total(), opus.cost.exact()), (20, "0.2".to_owned()));

        let entry = json!({"model": "claude-haiku-4-5", "input": 1, "output": 2, "cacheWrite": 3, "cacheRead": 4, "cost": 0.0});
        let figures = of(&json!({"entries": [entry]})).unwrap();
        assert_eq!(
            (figures.counter, figures.models["claude-haiku-4-5"].counts.total()),
            (Counter::Tokscale, 10)
        );
        assert!(of(&json!({"total": 5})).is_none());
        assert!(of(&json!({"entries": [{"model": "m", "input": -1}]})).is_none());
    }
}
