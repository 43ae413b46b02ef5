//! The assignments of a configuration: rules as texts, or as mappings for values of any text.

use std::collections::BTreeMap;

use bridge_analysis::{AssignmentRule, PathPattern};
use bridge_core::{Assignment, AttributionValue, Labels};

use super::ROOT;
use super::error::ConfigProblem;
use super::form::{ARROW, Form, RawValue, WrongForm, checked_scope, written_rules};
use super::node::{Entry, Field, Node, NodeContent, quoted};

const KEY: &str = "sources.assignments";
const FIELDS: [&str; 4] = ["path", "developer", "team", "labels"];
const TEXT: &str = "a name of 1 to 512 bytes";

/// Rules of assignments: `PATTERN => team=web, tenant=acme`, in which names but `developer` and `team` are those of
/// labels, or `{path: PATTERN, team: web, labels: {tenant: acme}}`.
pub(super) struct Assignments;

impl Form<Vec<AssignmentRule>> for Assignments {
    fn allowed(&self) -> String {
        "a list of rules like `/projects/acme/** => team=web, tenant=acme`: a pattern of paths, and the developer, the team and \
         labels of what matches it; or like `{path: /projects/acme/**, team: web, labels: {tenant: acme}}`"
            .to_owned()
    }

    fn read(&self, raw: &RawValue) -> Result<Vec<AssignmentRule>, WrongForm> {
        match raw {
            RawValue::List(rules) => rules.iter().map(|rule| assignment_rule(rule)).collect(),
            RawValue::Nodes(nodes) => read(nodes).map_err(|_| WrongForm),
            _ => Err(WrongForm),
        }
    }

    fn write(&self, value: &Vec<AssignmentRule>) -> String {
        written_rules(value.len())
    }
}

/// Returns what is wrong with each rule.
pub(super) fn problems(nodes: &[Node]) -> Vec<ConfigProblem> {
    read(nodes).err().unwrap_or_default()
}

fn read(nodes: &[Node]) -> Result<Vec<AssignmentRule>, Vec<ConfigProblem>> {
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    for (number, node) in nodes.iter().enumerate() {
        if let NodeContent::Text(text) = &node.content {
            match assignment_rule(text) {
                Ok(rule) => rules.push(rule),
                Err(WrongForm) => {
                    let message =
                        format!("{} is not allowed; allowed is {}", quoted(node), Assignments.allowed());
                    let key = format!("{ROOT}.{KEY}[{number}]");
                    problems.push(ConfigProblem { origin: node.origin.clone(), key, message });
                }
            }
            continue;
        }
        let mut entry = Entry::new(KEY, number, node, &FIELDS);
        rules.extend(structured_rule(&mut entry));
        problems.append(&mut entry.problems);
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

/// Reads a rule; `None` if something that it needs is missing or not allowed, which is a problem of the entry.
fn structured_rule(entry: &mut Entry<'_>) -> Option<AssignmentRule> {
    entry.require("path");
    if FIELDS[1..].iter().all(|field| entry.get(field).is_none()) {
        entry.require("team");
    }
    let pattern = entry.read("path", "a pattern of paths (`~` is not expanded)", |text| {
        PathPattern::new(checked_scope(text).ok()?).ok()
    });
    let developer = entry.read("developer", TEXT, |text| AttributionValue::new(text).ok());
    let team = entry.read("team", TEXT, |text| AttributionValue::new(text).ok());
    let labels = entry.get("labels").map(|field| labels(entry, field)).unwrap_or_default();
    Some(AssignmentRule::new(pattern?, Assignment { developer, team, labels }))
}

/// Reads the labels of a rule: `{tenant: acme}`.
fn labels(entry: &mut Entry<'_>, field: &Field) -> Labels {
    let pair = |field: &Field| match &field.value.content {
        NodeContent::Text(text) => Some((field.name.clone(), text.clone())),
        _ => None,
    };
    let pairs: Option<BTreeMap<_, _>> = match &field.value.content {
        NodeContent::Mapping(fields) => {
            let pairs: Option<BTreeMap<_, _>> = fields.iter().map(pair).collect();
            pairs.filter(|pairs| pairs.len() == fields.len())
        }
        _ => None,
    };
    let labels = pairs.and_then(|pairs| Labels::new(pairs).ok());
    if labels.is_none() {
        let message = "must be up to 16 names of a to z, 0 to 9 and `_`, each with a text of up to 512 bytes";
        entry.report(&field.value.origin, "labels", message.to_owned());
    }
    labels.unwrap_or_default()
}

fn assignment_rule(text: &str) -> Result<AssignmentRule, WrongForm> {
    let (pattern, assigned) = text.split_once(ARROW).ok_or(WrongForm)?;
    let pattern = checked_scope(pattern)?;
    let (mut assignment, mut labels) = (Assignment::default(), BTreeMap::new());
    for part in assigned.split(',') {
        let (name, value) = part.split_once('=').ok_or(WrongForm)?;
        let value = AttributionValue::new(value.trim()).map_err(|_| WrongForm)?;
        let is_repeated = match name.trim() {
            "developer" => assignment.developer.replace(value).is_some(),
            "team" => assignment.team.replace(value).is_some(),
            name => labels.insert(name.to_owned(), value).is_some(),
        };
        if is_repeated {
            return Err(WrongForm);
        }
    }
    assignment.labels = Labels::new(labels).map_err(|_| WrongForm)?;
    let pattern = PathPattern::new(pattern).map_err(|_| WrongForm)?;
    Ok(AssignmentRule::new(pattern, assignment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_pattern_and_what_it_assigns() {
        let rule = assignment_rule(" /projects/acme/** => developer=ann, team = web,tenant=acme ").unwrap();
        assert!(rule.pattern.matches("/projects/acme/api") && !rule.pattern.matches("/projects"));
        let Assignment { developer, team, labels } = rule.assignment;
        assert_eq!([developer, team].map(|value| value.unwrap().to_string()), ["ann", "web"]);
        assert_eq!(labels, Labels::new([("tenant", "acme")]).unwrap());
        for text in [
            "",
            "/projects",
            "/projects =>",
            "=> team=a",
            "/projects => team",
            "/projects => team=",
            "/projects => team=a, team=b",
            "/projects => Team=a",
            "/projects => a=1, a=2",
            "/a** => team=a",
            "~/projects => team=a",
        ] {
            assert!(assignment_rule(text).is_err(), "{text}");
        }
    }
}
