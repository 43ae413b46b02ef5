//! Values of keys that have keys of their own: trees, with the place of each part.

use super::ROOT;
use super::error::{ConfigOrigin, ConfigProblem};
use super::form::may_hold_a_password;
use super::suggestion::nearest;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) origin: ConfigOrigin,
    pub(super) content: NodeContent,
}

/// The content of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NodeContent {
    Nothing,
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<Field>),
}

/// A name in a mapping, its place, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) origin: ConfigOrigin,
    pub(super) value: Node,
}

/// The fields of an entry of a list, and the problems found in them.
#[derive(Debug)]
pub(super) struct Entry<'n> {
    /// The entry's name in problems: `monitoring.budgets[0]`.
    name: String,
    node: &'n Node,
    fields: &'n [Field],
    pub(super) problems: Vec<ConfigProblem>,
}

impl<'n> Entry<'n> {
    /// Returns the fields of the entry with this number of a key's list. Fields that are not allowed, and those that
    /// are given twice, are problems.
    pub(super) fn new(key: &str, number: usize, node: &'n Node, allowed: &[&'static str]) -> Self {
        let name = format!("{key}[{number}]");
        let mut entry = Self { name, node, fields: &[], problems: Vec::new() };
        match &node.content {
            NodeContent::Mapping(fields) => entry.fields = fields,
            _ => entry.report(&node.origin, "", format!("must have the keys {}", allowed.join(", "))),
        }
        for (place, field) in entry.fields.iter().enumerate() {
            if !allowed.contains(&field.name.as_str()) {
                let meant = nearest(&field.name, allowed.iter().copied());
                let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
                let message = format!("is no key{meant}; allowed are {}", allowed.join(", "));
                entry.report(&field.origin, &field.name, message);
            } else if entry.fields[..place].iter().any(|other| other.name == field.name) {
                entry.report(&field.origin, &field.name, "is given twice".to_owned());
            }
        }
        entry
    }

    /// Returns a field that has a value.
    pub(super) fn get(&self, name: &str) -> Option<&'n Field> {
        let field = self.fields.iter().find(|field| field.name == name);
        field.filter(|field| field.value.content != NodeContent::Nothing)
    }

    /// Reads the text of a field. `None` if the field is absent, or if it is not allowed, which is a problem then.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let field = self.get(name)?;
        let value = match &field.value.content {
            NodeContent::Text(text) => read(text),
            _ => None,
        };
        if value.is_none() {
            let message = format!("{} is not allowed; allowed is {allowed}", quoted(&field.value));
            self.report(&field.value.origin, name, message);
        }
        value
    }

    /// Reports the absence of a field that is required.
    pub(super) fn require(&mut self, name: &str) {
        let is_mapping = matches!(self.node.content, NodeContent::Mapping(_));
        if is_mapping && self.get(name).is_none() {
            let origin = self.node.origin.clone();
            self.report(&origin, name, "is missing".to_owned());
        }
    }

    /// Reports a problem of the entry, or of one of its fields.
    pub(super) fn report(&mut self, origin: &ConfigOrigin, field: &str, message: String) {
        let field: String = field.chars().filter(|c| !c.is_control()).take(80).collect();
        let separator = if field.is_empty() { "" } else { "." };
        let key = format!("{ROOT}.{}{separator}{field}", self.name);
        self.problems.push(ConfigProblem { origin: origin.clone(), key, message });
    }

    /// Returns the entry's name in problems.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the place of the whole entry.
    pub(super) fn origin(&self) -> &'n ConfigOrigin {
        &self.node.origin
    }
}

/// Returns the value for an error. A URL is omitted, because it may contain a password.
pub(super) fn quoted(node: &Node) -> String {
    match &node.content {
        NodeContent::Text(text) if !may_hold_a_password(text) => {
            format!("{:?}", text.chars().take(80).collect::<String>())
        }
        _ => "this".to_owned(),
    }
}
