//! The JSON form of durations: a number of seconds.
//!
//! For `#[serde(with)]`. The JSON key ends in `_seconds`, so that a reader needs no documentation:
//! `"duration_seconds": 1.5`. Exact to the nanosecond below 90 days, to the microsecond below 285 years.
//!
//! ```
//! use std::time::Duration;
//!
//! #[derive(serde::Serialize)]
//! struct Report {
//!     #[serde(rename = "duration_seconds", with = "bridge_core::seconds")]
//!     duration: Duration,
//! }
//!
//! let report = Report { duration: Duration::from_millis(1_500) };
//! assert_eq!(serde_json::to_string(&report)?, r#"{"duration_seconds":1.5}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes the duration as a number of seconds.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Reads a number of seconds.
///
/// # Errors
///
/// Not a number, negative, or more than a [`Duration`] holds.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The form of an optional duration: a number of seconds or `null`.
pub mod option {
    use serde::Serialize;

    use super::{Deserialize, Deserializer, Duration, Error, Serializer};

    /// Writes the duration as a number of seconds, or `null`.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
    }

    /// Reads a number of seconds, or `null`.
    ///
    /// # Errors
    ///
    /// Neither a number nor `null`, negative, or more than a [`Duration`] holds.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        seconds.map(Duration::try_from_secs_f64).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Result<Duration, serde_json::Error> {
        deserialize(&mut serde_json::Deserializer::from_str(json))
    }

    proptest! {
        #[test]
        fn durations_below_90_days_are_exact(nanos in 0_u64..90 * 86_400 * 1_000_000_000) {
            let duration = Duration::from_nanos(nanos);
            let mut json = Vec::new();
            serialize(&duration, &mut serde_json::Serializer::new(&mut json)).unwrap();
            prop_assert_eq!(read(std::str::from_utf8(&json).unwrap()).unwrap(), duration);
        }
    }

    #[test]
    fn integers_are_read_and_impossible_durations_refused() {
        assert_eq!(read("2").unwrap(), Duration::from_secs(2));
        for json in ["-1", "1e300", "\"2\"", "null"] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
