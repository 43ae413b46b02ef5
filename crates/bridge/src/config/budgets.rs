//! The budgets of a configuration: a list of mappings.

use bridge_core::TimeZone;
use bridge_pricing::Money;
use bridge_storage::Dimension;

use super::error::ConfigProblem;
use super::form::{Form, RawValue, WrongForm};
use super::node::{Entry, Field, Node, NodeContent};
use crate::budgets::{Budget, BudgetAmount, BudgetPeriod, Budgets};

const KEY: &str = "monitoring.budgets";
const FIELDS: [&str; 7] = ["name", "usd", "tokens", "period", "zone", "where", "warn_at"];

/// A list of budgets.
pub(super) struct BudgetList;

impl Form<Budgets> for BudgetList {
    fn allowed(&self) -> String {
        "a list of budgets like {name: all, usd: 500, period: month}".to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Budgets, WrongForm> {
        match raw {
            RawValue::Nodes(nodes) => read(nodes).map_err(|_| WrongForm),
            _ => Err(WrongForm),
        }
    }

    fn write(&self, value: &Budgets) -> String {
        let names: Vec<_> = value.iter().map(Budget::name).collect();
        format!("[{}]", names.join(", "))
    }
}

/// Returns what is wrong with each budget.
pub(super) fn problems(nodes: &[Node]) -> Vec<ConfigProblem> {
    read(nodes).err().unwrap_or_default()
}

fn read(nodes: &[Node]) -> Result<Budgets, Vec<ConfigProblem>> {
    let (mut budgets, mut problems) = (Vec::new(), Vec::new());
    for (number, node) in nodes.iter().enumerate() {
        let mut entry = Entry::new(KEY, number, node, &FIELDS);
        if let Some(budget) = budget(&mut entry) {
            if budgets.iter().any(|other: &Budget| other.name() == budget.name()) {
                entry.report(entry.origin(), "name", "is that of another budget".to_owned());
            } else if budgets.len() == Budgets::MAX {
                entry.report(entry.origin(), "", format!("is one of more than {} budgets", Budgets::MAX));
            }
            budgets.push(budget);
        }
        problems.append(&mut entry.problems);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Budgets::new(budgets).map_err(|_| Vec::new())
}

/// Reads a budget; `None` if something that it needs is missing or not allowed, which is a problem of the entry.
fn budget(entry: &mut Entry<'_>) -> Option<Budget> {
    if entry.get("usd").is_none() && entry.get("tokens").is_none() {
        entry.require("usd");
    }
    ["name", "period"].into_iter().for_each(|field| entry.require(field));
    let valid = |limit| Budget::new("b", limit, BudgetPeriod::Day).is_ok();
    let usd = entry.read("usd", "an amount of dollars above 0, like 500 or 12.50", |text| {
        text.parse::<Money>().ok().map(BudgetAmount::Money).filter(|limit| valid(*limit))
    });
    let tokens = entry.read("tokens", "a whole number above 0", |text| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(BudgetAmount::Tokens).filter(|limit| valid(*limit))
    });
    if let (Some(_), Some(tokens)) = (entry.get("usd"), entry.get("tokens")) {
        entry.report(&tokens.origin, "tokens", "does not go with usd: give one of them".to_owned());
    }
    let limit = usd.or(tokens);
    let period =
        entry.read("period", "day, week, month, or rolling 7d (1 to 366 days)", |text| text.parse().ok());
    let zone = entry.read("zone", "a time zone of the IANA database, like Europe/Berlin", |text| {
        text.parse::<TimeZone>().ok()
    });
    let percent =
        |text: &str| text.strip_suffix('%')?.parse().ok().filter(|percent| (1..=100).contains(percent));
    let warning = entry.read("warn_at", "1% to 100%", percent);
    let name = entry.read("name", "a name of 1 to 64 bytes", |text| {
        Budget::new(text, BudgetAmount::Tokens(1), BudgetPeriod::Day).ok().map(|_| text.to_owned())
    });
    let values = entry.get("where").map(|field| filter(entry, field)).unwrap_or_default();
    let mut budget = Budget::new(name?, limit?, period?).ok()?.in_zone(zone.unwrap_or_default());
    if let Some(warning) = warning {
        budget = budget.warning_at(warning).ok()?;
    }
    Some(values.into_iter().fold(budget, |budget, (dimension, values)| budget.of(dimension, values)))
}

/// Reads the values that responses must have: `{team: web, model: [a, b]}`.
fn filter(entry: &mut Entry<'_>, field: &Field) -> Vec<(Dimension, Vec<String>)> {
    let NodeContent::Mapping(fields) = &field.value.content else {
        let message = "must be dimensions with their values, like {team: web}".to_owned();
        entry.report(&field.value.origin, "where", message);
        return Vec::new();
    };
    let mut conditions: Vec<(Dimension, Vec<String>)> = Vec::new();
    for Field { name, origin, value } in fields {
        let place = format!("where.{name}");
        let dimension = match name.parse::<Dimension>() {
            Ok(dimension) => dimension,
            Err(error) => {
                entry.report(origin, &place, error.to_string());
                continue;
            }
        };
        if conditions.iter().any(|(known, _)| *known == dimension) {
            entry.report(origin, &place, "is given twice".to_owned());
        }
        match texts(value) {
            Some(values) if !values.is_empty() => conditions.push((dimension, values)),
            _ => entry.report(&value.origin, &place, "must be a text or a list of texts".to_owned()),
        }
    }
    conditions
}

fn texts(node: &Node) -> Option<Vec<String>> {
    let text = |node: &Node| match &node.content {
        NodeContent::Text(text) => Some(text.clone()),
        _ => None,
    };
    match &node.content {
        NodeContent::List(nodes) => nodes.iter().map(text).collect(),
        _ => text(node).map(|text| vec![text]),
    }
}
