//! The identifier that connects the traces of an operation.

use crate::hex::hex_id;

/// Identifies one operation in results, errors, logs, the audit trail and the database's query log.
///
/// 128 bits, written as 32 hexadecimal digits like a W3C trace id, so that a caller can pass its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId(pub u128);

hex_id!(CorrelationId, "correlation id");

/// Parts of a `traceparent` header: version, trace id, parent id, flags.
const TRACEPARENT_PARTS: [usize; 4] = [2, 32, 16, 2];

impl CorrelationId {
    /// Returns the trace id of a [W3C `traceparent` header](https://www.w3.org/TR/trace-context/#traceparent-header),
    /// so that an operation has the same id in the traces of its caller; `None` if the header is not valid, as one
    /// with a trace id of zeros.
    ///
    /// ```
    /// use bridge_core::CorrelationId;
    ///
    /// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let id = CorrelationId::from_traceparent(header);
    /// assert_eq!(id, "4bf92f3577b34da6a3ce929d0e0e4736".parse().ok());
    /// ```
    #[must_use]
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let mut parts = header.split('-');
        let [version, trace, parent, flags] = TRACEPARENT_PARTS.map(|length| {
            parts.next().filter(|part| part.len() == length && is_hex(part)).unwrap_or_default()
        });
        // A later version may append parts; the first one has none.
        let is_valid = !version.is_empty() && version != "ff" && (version != "00" || parts.next().is_none());
        let is_present = !flags.is_empty() && !is_zero(trace) && !is_zero(parent);
        (is_valid && is_present).then(|| trace.parse().ok()).flatten()
    }
}

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

    #[test]
    fn only_a_valid_traceparent_has_a_trace_id() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let valid = [
            format!("00-{trace}-{parent}-00"),
            format!("cc-{trace}-{parent}-01"),
            format!("cc-{trace}-{parent}-01-more"),
        ];
        for header in valid {
            assert_eq!(CorrelationId::from_traceparent(&header), trace.parse().ok(), "{header}");
        }
        let invalid = [
            String::new(),
            "00".to_owned(),
            format!("00-{trace}-{parent}"),
            format!("00-{trace}-{parent}-"),
            format!("00-{trace}-{parent}-01-more"),
            format!("00-{trace}-{parent}-1"),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{}-{parent}-01", &trace[1..]),
            format!("00-{trace}-{parent}-0g"),
            format!(" 00-{trace}-{parent}-01"),
            format!("00-{}é-{parent}-01", &trace[2..]),
            "-".repeat(100_000),
        ];
        for header in invalid {
            assert_eq!(CorrelationId::from_traceparent(&header), None, "{header}");
        }
    }
}
