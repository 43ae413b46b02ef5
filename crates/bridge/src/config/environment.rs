//! Environment variables that override the configuration.

use std::collections::HashSet;
use std::ffi::OsString;

use super::BridgeConfig;
use super::error::{ConfigError, ConfigOrigin, ConfigProblem};
use super::form::RawValue;
use super::key::{ConfigKey, EXCLUSIVE, KEYS, VARIABLE_PREFIX, find};
use super::suggestion::nearest;
use super::yaml;

impl BridgeConfig {
    /// Overrides every key whose [variable](ConfigKey::variable) the look-up knows: `ETB_` and the key's name in
    /// capitals, its dots as underlines. A blank value counts as none. Several paths are separated as in `PATH`;
    /// names with values are written `a=b,c=d`; budgets are YAML, as in a file.
    ///
    /// Of keys that exclude each other (`clickhouse.url` and `embedded.data_dir`, a password and its file) a
    /// variable overrides both.
    ///
    /// ```
    /// use bridge::config::BridgeConfig;
    ///
    /// let config = BridgeConfig::from_yaml_str("enhanced_token_bridge: {processing: {batch_size: 500}}")?;
    /// let config = config.with_env(|name| (name == "ETB_PROCESSING_BATCH_SIZE").then(|| "2000".to_owned()))?;
    /// assert_eq!(config.processing.batch_size, 2000);
    /// # Ok::<(), bridge::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Values that their keys do not allow, all of them.
    pub fn with_env(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut given = HashSet::new();
        for key in KEYS {
            let name = key.variable();
            let Some(value) = variable(&name).filter(|value| !value.trim().is_empty()) else { continue };
            given.insert(key.name);
            let origin = ConfigOrigin::Variable(name);
            if let Err(found) = self.set(key, &raw_value(key, value, &origin), origin) {
                problems.extend(found);
            }
        }
        for (one, other) in EXCLUSIVE.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
            if given.contains(one) && !given.contains(other) {
                self.clear(other);
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(ConfigError::new(problems)) }
    }

    /// [`with_env`](Self::with_env) with this process' environment, in which every variable that begins with
    /// `ETB_` must be one of a key.
    ///
    /// # Errors
    ///
    /// As [`with_env`](Self::with_env); a variable of no key; one that is not UTF-8.
    pub fn with_process_env(self) -> Result<Self, ConfigError> {
        self.with_variables(std::env::vars_os())
    }

    fn with_variables(
        self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let known: Vec<String> = KEYS.iter().map(ConfigKey::variable).collect();
        let mut values = Vec::new();
        let mut problems = Vec::new();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with(VARIABLE_PREFIX) {
                continue;
            }
            let message = match value.into_string() {
                Ok(value) if known.contains(&name) => {
                    values.push((name, value));
                    continue;
                }
                Ok(_) => match nearest(&name, known.iter().map(String::as_str)) {
                    Some(meant) => format!("is of no key (did you mean {meant}?)"),
                    None => "is of no key".to_owned(),
                },
                Err(_) => "is not UTF-8".to_owned(),
            };
            let origin = ConfigOrigin::Variable(name);
            problems.push(ConfigProblem { origin, key: String::new(), message });
        }
        if !problems.is_empty() {
            return Err(ConfigError::new(problems));
        }
        let value = |name: &str| Some(values.iter().find(|(known, _)| known == name)?.1.clone());
        self.with_env(value)
    }

    /// Clears a key that may be missing.
    fn clear(&mut self, name: &str) {
        let cleared = find(name).map(|key| (key.set)(self, &RawValue::Nothing));
        debug_assert_eq!(cleared, Some(Ok(())), "keys that exclude each other may be missing");
        self.given.remove(name);
    }
}

fn raw_value(key: &ConfigKey, value: String, origin: &ConfigOrigin) -> RawValue {
    // A list of texts, too, is separated as in `PATH`.
    if key.is_structured() && !key.takes_texts() {
        return yaml::nodes(&value, origin).map_or(RawValue::Text(value), RawValue::Nodes);
    }
    let texts = || std::env::split_paths(&value).map(|path| path.to_string_lossy().into_owned()).collect();
    match key.default_text().as_str() {
        "[]" => RawValue::List(texts()),
        "{}" => {
            let pair = |text: &str| {
                let (name, value) = text.split_once('=')?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            };
            let pairs: Option<Vec<_>> = value.split(',').map(pair).collect();
            pairs.map_or_else(|| RawValue::Text(value), RawValue::Pairs)
        }
        _ => RawValue::Text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_no_key_is_refused_and_its_value_not_shown() {
        let of = |name: &str| {
            let variables = [(name.into(), "s3cret".into()), ("PATH".into(), "/bin".into())];
            BridgeConfig::default().with_variables(variables.into_iter())
        };
        let error = of("ETB_CLICKHOUSE_PASWORD").unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable ETB_CLICKHOUSE_PASWORD: is of no key (did you mean ETB_CLICKHOUSE_PASSWORD?)"
        );
        assert!(of("ETB_CLICKHOUSE_PASSWORD").unwrap().clickhouse.password.is_some());
    }
}
