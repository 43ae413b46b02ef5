//! Error codes of the server, under its own names (`SELECT errorCodeToName(60)`).

pub(crate) const NOT_FOUND_COLUMN_IN_BLOCK: u32 = 10;
pub(crate) const NO_SUCH_COLUMN_IN_TABLE: u32 = 16;
pub(crate) const BAD_ARGUMENTS: u32 = 36;
pub(crate) const UNKNOWN_IDENTIFIER: u32 = 47;
pub(crate) const TABLE_ALREADY_EXISTS: u32 = 57;
pub(crate) const UNKNOWN_TABLE: u32 = 60;
pub(crate) const UNKNOWN_DATABASE: u32 = 81;
pub(crate) const FILE_DOESNT_EXIST: u32 = 107;
pub(crate) const TIMEOUT_EXCEEDED: u32 = 159;
pub(crate) const READONLY: u32 = 164;
pub(crate) const UNKNOWN_USER: u32 = 192;
pub(crate) const WRONG_PASSWORD: u32 = 193;
pub(crate) const REQUIRED_PASSWORD: u32 = 194;
pub(crate) const TOO_MANY_SIMULTANEOUS_QUERIES: u32 = 202;
pub(crate) const SOCKET_TIMEOUT: u32 = 209;
pub(crate) const TABLE_IS_DROPPED: u32 = 218;
pub(crate) const ABORTED: u32 = 236;
pub(crate) const MEMORY_LIMIT_EXCEEDED: u32 = 241;
pub(crate) const TABLE_IS_READ_ONLY: u32 = 242;
pub(crate) const NOT_ENOUGH_SPACE: u32 = 243;
pub(crate) const TOO_MANY_PARTS: u32 = 252;
pub(crate) const DATABASE_ACCESS_DENIED: u32 = 291;
pub(crate) const INVALID_CONFIG_PARAMETER: u32 = 318;
pub(crate) const UNKNOWN_STATUS_OF_INSERT: u32 = 319;
/// A session's last call is just ending.
pub(crate) const SESSION_IS_LOCKED: u32 = 373;
pub(crate) const CANNOT_GET_CREATE_TABLE_QUERY: u32 = 390;
pub(crate) const QUERY_WAS_CANCELLED: u32 = 394;
/// The constraint of `Ddl::Fence` is the only one.
pub(crate) const VIOLATED_CONSTRAINT: u32 = 469;
pub(crate) const ACCESS_DENIED: u32 = 497;
pub(crate) const AUTHENTICATION_FAILED: u32 = 516;
/// Another change of the table is under way.
pub(crate) const CANNOT_ASSIGN_ALTER: u32 = 517;
pub(crate) const BACKUP_ENTRY_NOT_FOUND: u32 = 605;
/// A table was exchanged between two resolutions of its name.
pub(crate) const TABLE_UUID_MISMATCH: u32 = 741;

/// Returns the number in `Code: N.`.
pub(crate) fn in_message(text: &str) -> Option<u32> {
    let digits = text.split("Code: ").nth(1)?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
