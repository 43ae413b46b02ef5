//! The query parameters of a request.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use bridge_core::{Escaped, InvalidValue, SessionId};
use bridge_storage::Dimension;

use super::problem::{InvalidParameter, Problem};

/// Maximum length of the name of an unknown parameter in an error.
const NAME_CHARS_MAX: usize = 64;

/// The parameters of a request. Each is taken once; [`finish`](Self::finish) reports all that are wrong, and those that
/// are unknown. Only [`conditions`](Self::conditions) and [`dimensions`](Self::dimensions) may be given more than once.
#[derive(Debug)]
pub(super) struct Parameters {
    values: BTreeMap<String, Vec<String>>,
    invalid: Vec<InvalidParameter>,
}

impl Parameters {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let mut parameters = Self { values: BTreeMap::new(), invalid: Vec::new() };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            parameters.values.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        parameters.values.values_mut().for_each(|values| values.sort_unstable());
        parameters
    }

    /// Returns a text that is the same for the same parameters, in whatever order they were given.
    pub(super) fn canonical(&self) -> String {
        format!("{:?}", self.values)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let mut values = self.values.remove(name)?;
        let value = values.pop();
        if !values.is_empty() {
            self.reject(name, "is given more than once");
        }
        value
    }

    /// Takes the conditions on dimensions: each with its values, and whether only responses with one of them count
    /// (`NAME=VALUE`) or only the others (`NAME!=VALUE`).
    pub(super) fn conditions(&mut self) -> Vec<(Dimension, bool, Vec<String>)> {
        let parsed = |name: &str| match name.strip_suffix('!') {
            Some(name) => Some((name.parse().ok()?, false)),
            None => Some((name.parse().ok()?, true)),
        };
        let named: Vec<_> = self.values.extract_if(.., |name, _| parsed(name).is_some()).collect();
        let mut conditions = Vec::new();
        for (name, values) in named {
            let Some((dimension, only)) = parsed(&name) else { continue };
            self.check_values(&name, &dimension, &values);
            conditions.push((dimension, only, values));
        }
        conditions
    }

    /// Checks the values of a condition on this dimension, given by this parameter.
    pub(super) fn check_values(&mut self, name: &str, dimension: &Dimension, values: &[String]) {
        // Every response has a session.
        let invalid = values.iter().find_map(|id| SessionId::new(id).err());
        if let Some(error) = invalid.filter(|_| *dimension == Dimension::Session) {
            self.reject(name, &error.to_string());
        }
    }

    /// Takes the dimensions of a parameter that may be given more than once.
    pub(super) fn dimensions(&mut self, name: &str) -> Vec<Dimension> {
        let texts = self.values.remove(name).unwrap_or_default();
        let dimensions = texts.into_iter().map(|text| text.parse());
        dimensions
            .filter_map(|dimension| {
                dimension.map_err(|error: InvalidValue| self.reject(name, &error.to_string())).ok()
            })
            .collect()
    }

    /// Returns the value of a type whose errors do not repeat what was given.
    pub(super) fn value<T: FromStr<Err = InvalidValue>>(&mut self, name: &str) -> Option<T> {
        let value = self.text(name)?.parse();
        value.map_err(|error: InvalidValue| self.reject(name, &error.to_string())).ok()
    }

    /// Returns the text, which must not be empty.
    pub(super) fn name(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        if text.is_empty() {
            self.reject(name, "must not be empty");
        }
        Some(text)
    }

    pub(super) fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let number = self.text(name)?.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.reject(name, &format!("must be a number from {} to {}", range.start(), range.end()));
        }
        number
    }

    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, chosen)| *chosen);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.reject(name, &format!("must be one of {}", words.join(", ")));
        }
        chosen
    }

    pub(super) fn reject(&mut self, name: &str, detail: &str) {
        let name: String = Escaped::text(name).to_string().chars().take(NAME_CHARS_MAX).collect();
        self.invalid.push(InvalidParameter { parameter: name, detail: detail.to_owned() });
    }

    /// Ends the taking: an error unless every parameter is known and valid.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        for name in std::mem::take(&mut self.values).into_keys() {
            self.reject(&name, "is not a parameter of this resource");
        }
        if self.invalid.is_empty() { Ok(()) } else { Err(Problem::of_parameters(self.invalid)) }
    }
}

/// Returns the session whose id is in the path.
pub(super) fn session_id(id: Result<Path<String>, PathRejection>) -> Result<SessionId, Problem> {
    let invalid = |why: String| {
        Problem::of_parameters(vec![InvalidParameter { parameter: "id".to_owned(), detail: why }])
    };
    let Path(id) = id.map_err(|_| invalid("session id must be UTF-8".to_owned()))?;
    SessionId::new(id).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge_core::TimeZone;

    #[test]
    fn the_order_of_parameters_does_not_matter() {
        let (a, b) = (Parameters::parse(Some("a=1&b=%202")), Parameters::parse(Some("b=+2&a=1")));
        assert_eq!(a.canonical(), b.canonical());
        assert_ne!(a.canonical(), Parameters::parse(Some("a=1&b=2")).canonical());
    }

    #[test]
    fn every_wrong_parameter_is_reported_by_name_without_its_value() {
        let mut parameters =
            Parameters::parse(Some("zone=EVIL&limit=EVIL&by=EVIL&a%1b=EVIL&a=1&a=2&to=1&to=2"));
        assert_eq!(parameters.value::<TimeZone>("zone"), None);
        assert_eq!(parameters.number("limit", 1..=10), None);
        assert_eq!(parameters.choice("by", &[("one", 1), ("two", 2)]), None);
        let _ = parameters.text("to");
        let problem = format!("{:?}", parameters.finish().unwrap_err());
        for part in [
            "zone: time zone must be a name of the IANA database",
            "limit: must be a number from 1 to 10",
            "by: must be one of one, two",
            "to: is given more than once",
            "a: is not a parameter of this resource",
        ] {
            assert!(problem.contains(part), "{part} in {problem}");
        }
        assert!(!problem.contains("EVIL") && !problem.contains('\u{1b}'), "{problem}");
    }
}
