//! Instants in catalogs: a date alone is its first instant, UTC.

use bridge_core::{InvalidValue, Timestamp};
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn text(time: Timestamp) -> String {
    let text = time.to_string();
    let short = text.strip_suffix("T00:00:00.000Z").map(str::to_owned);
    short.unwrap_or_else(|| text.replace(".000Z", "Z"))
}

pub(crate) fn parse(text: &str) -> Result<Timestamp, InvalidValue> {
    if text.len() == 10 { format!("{text}T00:00:00Z").parse() } else { text.parse() }
}

pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*time))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// The same for an instant that may be absent.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}
