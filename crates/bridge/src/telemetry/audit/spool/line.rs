//! A record as a line of a spool: a checksum, a space, and the record as JSON.

use bridge_core::AuditRecord;
use xxhash_rust::xxh3::xxh3_64;

/// Hexadecimal digits of the checksum.
const CHECKSUM_DIGITS: usize = 16;

/// Returns the record's line, with its newline.
pub(super) fn encode(record: &AuditRecord) -> Vec<u8> {
    let json = serde_json::to_string(record).expect("a record has only text and numbers");
    format!("{:016x} {json}\n", xxh3_64(json.as_bytes())).into_bytes()
}

/// Returns the record of a line, `None` if it is damaged.
pub(super) fn decode(line: &[u8]) -> Option<AuditRecord> {
    let (checksum, json) = line.split_at_checked(CHECKSUM_DIGITS)?;
    let json = json.strip_prefix(b" ")?;
    let is_whole = checksum == format!("{:016x}", xxh3_64(json)).as_bytes();
    if is_whole { serde_json::from_slice(json).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bridge_core::{AuditId, AuditOutcome, CorrelationId, HostName, OperationName, SessionId, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn record() -> AuditRecord {
        let time = Timestamp::from_millis(1_772_323_200_123).unwrap();
        let operation = OperationName::new("store_enhanced_analysis").unwrap();
        let mut record = AuditRecord::new(AuditId(7 << 100), time, CorrelationId(1 << 127), operation);
        record.session = Some(SessionId::new("a \"session\"\nof two lines").unwrap());
        record.outcome = AuditOutcome::Failed;
        (record.records_stored, record.tokens) = (1, u64::MAX);
        record.counts.insert("files".to_owned(), 3);
        record.duration = Duration::from_micros(1_234_567);
        (record.error_kind, record.error) = ("unreachable".to_owned(), "no answer: \u{1f}".to_owned());
        record.host = Some(HostName::new("host").unwrap());
        record
    }

    #[test]
    fn a_line_holds_the_whole_record() {
        let line = encode(&record());
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(decode(line.strip_suffix(b"\n").unwrap()), Some(record()));
    }

    /// A program of this version may have left it for a newer one.
    #[test]
    fn a_line_of_the_first_version_is_readable() {
        let json = r#"{"id":"00000000000000000000000000000007","time":"2026-03-01T00:00:00.000Z","correlation_id":"00000000000000000000000000000001","operation":"mine","session":null,"outcome":"succeeded","forced":false,"records_stored":1,"new_responses":1,"tokens":5,"tokens_replaced":0,"tokens_written":5,"counts":{},"duration_seconds":0.000001,"error_kind":"","error":"","host":"host","version":"0.1.0"}"#;
        let line = format!("{:016x} {json}", xxh3_64(json.as_bytes()));
        assert_eq!(decode(line.as_bytes()).unwrap().tokens_written, 5);
    }

    proptest! {
        #[test]
        fn a_changed_byte_or_a_missing_end_is_damage(place in 0_usize..400, flipped in 1_u8..) {
            let mut line = encode(&record());
            line.pop();
            let place = place % line.len();
            prop_assert_eq!(decode(&line[..place]), None);
            line[place] ^= flipped;
            prop_assert_eq!(decode(&line), None);
        }
    }
}
