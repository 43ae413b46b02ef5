//! The numbers of a usage besides its counters. No total depends on them, so an unreadable one counts as absent.

use crate::claude::counters::read_counter;
use crate::claude::fields::UsageFields;
use crate::count::snapshot::Extras;
use crate::json::{Raw, object_fields};

/// Reads the numbers besides the counters of a usage or an iteration with this many output tokens.
pub(crate) fn read_extras(fields: &UsageFields<'_>, output: u64) -> Extras {
    let thinking = fields.output_details.and_then(|details| object_fields(details, ["thinking_tokens"]));
    let tools = fields
        .server_tools
        .and_then(|tools| object_fields(tools, ["web_search_requests", "web_fetch_requests"]));
    let [searches, fetches] = tools.unwrap_or_default();
    Extras {
        // A part does not exceed its whole.
        thinking_tokens: thinking.and_then(|[tokens]| count(tokens)).map(|tokens| tokens.min(output)),
        web_search_requests: count(searches),
        web_fetch_requests: count(fetches),
    }
}

/// Returns the status of the credit for a declined attempt, if the usage states one: `redeemed` or `not_applied`.
pub(crate) fn credit_status<'a>(fields: &UsageFields<'a>) -> Option<Raw<'a>> {
    let [status] = object_fields(fields.fallback_credit?, ["status"])?;
    let [kind] = object_fields(status?, ["type"])?;
    kind
}

fn count(value: Option<Raw<'_>>) -> Option<u64> {
    let value = value.filter(|value| *value != "null")?;
    read_counter(Some(value)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::fields::UsageDecoder;
    use crate::json::read_object;

    fn read(text: &str) -> (Option<u64>, Option<u64>, Option<u64>) {
        let extras = read_extras(&read_object(text, &mut UsageDecoder).expect("an object"), 9);
        (extras.thinking_tokens, extras.web_search_requests, extras.web_fetch_requests)
    }

    #[test]
    fn a_credit_has_a_status() {
        let status = |text: &str| {
            credit_status(&read_object(text, &mut UsageDecoder).expect("an object")).map(str::to_owned)
        };
        let stated = r#"{"fallback_credit":{"status":{"type":"not_applied","reason":"expired"}}}"#;
        assert_eq!(status(stated).as_deref(), Some("\"not_applied\""));
        for absent in ["{}", r#"{"fallback_credit":null}"#, r#"{"fallback_credit":{"status":"redeemed"}}"#] {
            assert_eq!(status(absent), None, "{absent}");
        }
    }

    #[test]
    fn what_is_absent_is_not_zero() {
        assert_eq!(read("{}"), (None, None, None));
        let zero =
            r#"{"output_tokens_details":{"thinking_tokens":0},"server_tool_use":{"web_fetch_requests":0}}"#;
        assert_eq!(read(zero), (Some(0), None, Some(0)));
    }

    #[test]
    fn an_unreadable_number_is_absent_and_thinking_is_a_part_of_the_output() {
        let bad = r#"{"output_tokens_details":{"thinking_tokens":"5"},"server_tool_use":[1]}"#;
        assert_eq!(read(bad), (None, None, None));
        let many =
            r#"{"output_tokens_details":{"thinking_tokens":10},"server_tool_use":{"web_search_requests":7}}"#;
        assert_eq!(read(many), (Some(9), Some(7), None));
        assert_eq!(read(r#"{"server_tool_use":{"web_search_requests":null}}"#), (None, None, None));
    }
}
