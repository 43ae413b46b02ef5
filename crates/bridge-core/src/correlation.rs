//! The identifier that connects the traces of an operation.

use crate::hex::hex_id;

/// Identifies one operation in results, errors, logs, the audit trail and the database's query log.
///
/// 128 bits, written as 32 hexadecimal digits like a W3C trace id, so that a caller can pass its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId(pub u128);

hex_id!(CorrelationId, "correlation id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_that_of_a_trace_id() {
        let text = "00f067aa0ba902b74bf92f3577b34da6";
        let id: CorrelationId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        for wrong in
            ["", "4bf92f3577b34da", "+0f067aa0ba902b74bf92f3577b34da6", "g0f067aa0ba902b74bf92f3577b34da6"]
        {
            assert!(wrong.parse::<CorrelationId>().is_err(), "{wrong}");
        }
    }
}
