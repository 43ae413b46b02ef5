//! Headers and settings that an embedder adds to every request.

use bridge_core::InvalidValue;
use hyper::header::{HeaderName, HeaderValue};

/// Headers that the client or the bridge sets itself.
const RESERVED_HEADERS: [&str; 9] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
    crate::clickhouse::connection::answer::ROWS_HEADER,
];

/// Settings that the bridge sets, or that would break a promise of the store: an insert that returned is durable.
const RESERVED_SETTINGS: [&str; 14] = [
    "async_insert",
    "database",
    "default_format",
    "distributed_foreground_insert",
    "distributed_product_mode",
    "final",
    "fsync_after_insert",
    "log_comment",
    "max_execution_time",
    "max_query_size",
    "priority",
    "query_id",
    "wait_end_of_query",
    "wait_for_async_insert",
];

/// Checks that a header's name and value are valid, and that the bridge does not set it itself.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), InvalidValue> {
    let is_reserved = |name: &HeaderName| {
        RESERVED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("x-clickhouse-")
    };
    match HeaderName::try_from(name) {
        Ok(name) if is_reserved(&name) => {
            Err(InvalidValue::new("HTTP header", "not be one that the client sets itself"))
        }
        Ok(_) if HeaderValue::from_str(value).is_ok() => Ok(()),
        _ => Err(InvalidValue::new(
            "HTTP header",
            "have a name of letters, digits and `-`, and a text of one line",
        )),
    }
}

/// Checks the name of a setting.
pub(crate) fn check_setting(name: &str) -> Result<(), InvalidValue> {
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match is_word {
        false => Err(InvalidValue::new("setting", "have a name of letters, digits and `_`")),
        true if RESERVED_SETTINGS.contains(&name) => {
            Err(InvalidValue::new("setting", "not be one that the bridge sets itself or relies on"))
        }
        true => Ok(()),
    }
}
