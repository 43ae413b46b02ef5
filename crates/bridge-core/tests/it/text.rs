//! Identifiers as text: `Display`, `FromStr` and JSON agree, and binary formats keep the numbers.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use bridge_core::strategy::response_usage;
use bridge_core::{
    AgentId, AnalysisId, AuditId, CheckpointName, CorrelationId, EnhancedTokenAnalysis, HostName, ModelName,
    OperationName, ProjectName, ResponseKey, ResponseVersion, ServiceTier, SessionId, TimeZone, Timestamp,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The value, its text and its JSON say the same, in both directions.
fn agree<T>(value: &T) -> Value
where
    T: Display + FromStr<Err: Debug> + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let text = value.to_string();
    assert_eq!(&text.parse::<T>().unwrap(), value);
    let json = serde_json::to_value(value).unwrap();
    assert_eq!(json, Value::String(text));
    assert_eq!(&serde_json::from_value::<T>(json.clone()).unwrap(), value);
    assert_eq!(&serde_json::from_str::<T>(&serde_json::to_string(value).unwrap()).unwrap(), value);
    json
}

proptest! {
    #[test]
    fn numbers_of_128_and_256_bits_are_hexadecimal_text(high in any::<u128>(), low in any::<u128>()) {
        prop_assert_eq!(agree(&ResponseKey(low)), json!(format!("{low:032x}")));
        prop_assert_eq!(agree(&AuditId(low)), json!(format!("{low:032x}")));
        prop_assert_eq!(agree(&CorrelationId(low)), json!(format!("{low:032x}")));
        let version = ResponseVersion::from_parts(high, low);
        prop_assert_eq!(agree(&version), json!(format!("{high:032x}{low:032x}")));
    }

    #[test]
    fn names_and_times_are_their_text(
        text in "\\PC{1,40}",
        word in "[a-z_][a-z0-9_]{0,20}",
        millis in 0..10_413_791_999_999_i64,
    ) {
        agree(&SessionId::new(&text).unwrap());
        agree(&AnalysisId::new(&text).unwrap());
        agree(&ModelName::new(&text).unwrap());
        agree(&ProjectName::new(&text).unwrap());
        agree(&HostName::new(&text).unwrap());
        agree(&AgentId::new(&text).unwrap());
        agree(&ServiceTier::new(&text).unwrap());
        agree(&OperationName::new(&text).unwrap());
        agree(&CheckpointName::new(&word).unwrap());
        agree(&Timestamp::from_millis(millis).unwrap());
    }

    #[test]
    fn other_text_is_no_number(text in "\\PC{0,70}") {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        prop_assert_eq!(text.parse::<ResponseKey>().is_ok(), digits);
        prop_assert_eq!(serde_json::from_value::<AuditId>(json!(text)).is_ok(), digits);
    }

    #[test]
    fn an_analysis_with_its_responses_is_json(mut responses in prop::collection::vec(response_usage(), 0..5)) {
        let (session, time) = (SessionId::new("s").unwrap(), Timestamp::MAX);
        responses.iter_mut().for_each(|response| response.session = session.clone());
        let id = AnalysisId::new("a").unwrap();
        let analysis = EnhancedTokenAnalysis::from_responses(id, session, time, responses).unwrap();
        let json = serde_json::to_value(&analysis).unwrap();
        prop_assert_eq!(serde_json::from_value::<EnhancedTokenAnalysis>(json).unwrap(), analysis);
    }
}

#[test]
fn zones_are_their_names() {
    agree(&TimeZone::UTC);
    agree(&"Europe/Berlin".parse::<TimeZone>().unwrap());
}

#[test]
fn signs_spaces_and_wrong_lengths_are_no_numbers() {
    let digits = "00f067aa0ba902b74bf92f3577b34da6";
    for wrong in
        ["", &digits[1..], &format!("+{}", &digits[1..]), &format!("0x{digits}"), &format!(" {digits}")]
    {
        let error = wrong.parse::<ResponseKey>().unwrap_err();
        assert_eq!(error.to_string(), "response key must have 32 hexadecimal digits", "{wrong}");
        assert!(format!("{wrong}{digits}").parse::<ResponseVersion>().is_err(), "{wrong}");
    }
    assert_eq!(digits.parse::<ResponseKey>(), digits.to_uppercase().parse());
    assert!(serde_json::from_value::<ResponseKey>(json!(1)).is_err());
    assert!("é".repeat(32).parse::<ResponseVersion>().is_err());
}

/// As an embedder in another language would write it.
#[test]
fn an_analysis_of_the_specifications_fields_alone_can_be_read() {
    let json = json!({
        "analysis_id": "a", "session_id": "s", "timestamp": "2026-01-31T12:00:00Z",
        "reported_input_tokens": 1, "reported_output_tokens": 2, "reported_cache_creation_tokens": 3,
        "reported_cache_read_tokens": 4, "calculated_total_tokens": 10, "accuracy_ratio": 1.0,
        "undercount_percentage": 0.0, "files_processed": 1, "analysis_version": "x",
    });
    let analysis: EnhancedTokenAnalysis = serde_json::from_value(json).unwrap();
    assert_eq!((analysis.responses.len(), analysis.content_categories.len()), (0, 0));
    assert_eq!((analysis.processing_duration, analysis.memory_usage_mb), (Duration::ZERO, 0.0));
    assert_eq!(analysis.rows()[0].counts.total(), 10);
}
