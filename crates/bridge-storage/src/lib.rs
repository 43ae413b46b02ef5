//! Stores token usage in ClickHouse exactly once, behind the TokenStore trait
