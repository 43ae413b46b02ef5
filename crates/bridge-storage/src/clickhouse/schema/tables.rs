//! The bridge's tables in one database, under the names that the store gives them.

use std::borrow::Cow;
use std::fmt;

use ::clickhouse::error::Result;
use ::clickhouse::insert::Insert;
use ::clickhouse::insert_formatted::InsertFormatted;
use ::clickhouse::query::Query;
use ::clickhouse::{Client, Row};
use bridge_core::InvalidValue;

use crate::clickhouse::checkpoint::catalog::BRANCHES;
use crate::clickhouse::connection::answer::{QUERY_ID, ROWS_HEADER};
use crate::clickhouse::connection::pool::Connection;
use crate::clickhouse::options::ClickHouseOptions;

use crate::correlation::current_correlation_id;

/// All tables and views, by the names that the SQL of this crate uses. A test compares it with the schema.
const NAMES: [&str; 11] = [
    "token_usage",
    "source_files",
    "enhanced_token_summaries",
    "session_activity",
    "counted_responses",
    "bridge_migrations",
    "bridge_resumes",
    "bridge_audit",
    "token_prices",
    "token_costs",
    "project_names",
];

/// The setting by which the database answers an insert when it is through, with the rows that it wrote.
const WAIT: &str = "wait_end_of_query";

/// On a cluster a table's rows lie in a table of this name on each shard.
pub(crate) const LOCAL: &str = "_local";

/// The prefix of all table names, so that they can share a database with others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TablePrefix(String);

impl TablePrefix {
    /// Letters, digits and underlines, with no digit first; or nothing.
    pub(crate) fn new(text: &str) -> std::result::Result<Self, InvalidValue> {
        let is_word =
            text.bytes().all(is_word_byte) && !text.starts_with(|first: char| first.is_ascii_digit());
        if is_word && text.len() <= 64 {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new("table prefix", "have up to 64 letters, digits and `_`, with no digit first"))
    }

    /// The table's name in the database.
    pub(crate) fn name(&self, table: &str) -> String {
        format!("{}{table}", self.0)
    }

    /// The statement with the names that the tables have in the database. Literals stay as they are.
    pub(crate) fn sql<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        if self.0.is_empty() {
            return Cow::Borrowed(sql);
        }
        let mut named = String::with_capacity(sql.len() + 64);
        let mut rest = sql;
        while let Some(first) = rest.bytes().next() {
            let (piece, behind) = rest.split_at(match first {
                b'\'' => quoted_length(rest, b'\''),
                b'`' => quoted_length(rest, b'`'),
                _ if is_word_byte(first) => rest.bytes().take_while(|byte| is_word_byte(*byte)).count(),
                _ => rest.chars().next().map_or(1, char::len_utf8),
            });
            match piece.strip_prefix('`') {
                Some(quoted) if is_table(quoted.trim_end_matches('`')) => {
                    named.extend(["`", &self.0, quoted]);
                }
                None if is_table(piece) => named.extend([&self.0, piece]),
                _ => named.push_str(piece),
            }
            rest = behind;
        }
        Cow::Owned(named)
    }
}

impl fmt::Display for TablePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether the bridge has a table of this name: one of the schema, or one that branches off from it.
fn is_table(word: &str) -> bool {
    let branches_off = |name| {
        word.strip_prefix(name).is_some_and(|rest| BRANCHES.iter().any(|branch| rest.starts_with(branch)))
    };
    NAMES.contains(&word.strip_suffix(LOCAL).unwrap_or(word)) || NAMES.into_iter().any(branches_off)
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The length of the literal or identifier in quotes that the text begins with, quotes included.
fn quoted_length(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// A connection to the tables. Every statement passes here, so that none can miss the database or the prefix.
#[derive(Clone)]
pub(crate) struct Tables {
    server: Client,
    database: Client,
    prefix: TablePrefix,
    disk_reserve: u64,
}

impl Tables {
    /// The tables by this connection, for the operation that the task belongs to: the database's log of queries
    /// shows its id.
    pub(crate) fn new(connection: &Connection, options: &ClickHouseOptions) -> Self {
        let id = current_correlation_id().map(|id| id.to_string());
        let client = |client: &Client| match &id {
            Some(id) => client.clone().with_setting("log_comment", id),
            None => client.clone(),
        };
        Self {
            server: client(connection.server()),
            database: client(connection.database()),
            prefix: options.table_prefix.clone(),
            disk_reserve: options.limits.disk_reserve,
        }
    }

    /// The same tables for statements that all others of the bridge make way for: callers wait behind a rollback.
    pub(crate) fn urgent(&self) -> Self {
        let client = |client: &Client| client.clone().with_setting("priority", "1");
        Self { server: client(&self.server), database: client(&self.database), ..self.clone() }
    }

    /// The server without a database: before it is made, and for what belongs to none.
    pub(crate) fn server(&self) -> &Client {
        &self.server
    }

    /// The bytes that must be free where a table is defined.
    pub(crate) fn disk_reserve(&self) -> u64 {
        self.disk_reserve
    }

    /// Returns a query, with `?` for each bound value.
    pub(crate) fn query(&self, sql: &str) -> Query {
        self.database.query(&self.prefix.sql(sql)).with_setting(QUERY_ID, query_id())
    }

    /// A statement as it is, `?` included.
    pub(crate) fn query_raw(&self, sql: &str) -> Query {
        self.database.query_raw(&self.prefix.sql(sql)).with_setting(QUERY_ID, query_id())
    }

    /// An insert of this many rows. The transport fails it unless the database confirms that it wrote as many.
    pub(crate) async fn insert<T: Row>(&self, table: &str, rows: usize) -> Result<Insert<T>> {
        // A clone shares what is cached of the tables.
        let client = self.database.clone().with_header(ROWS_HEADER, rows.to_string());
        Ok(client
            .insert(&self.prefix.name(table))
            .await?
            .with_setting(QUERY_ID, query_id())
            .with_setting(WAIT, "1"))
    }

    /// An insert of this many rows that are encoded already.
    pub(crate) fn insert_formatted(&self, sql: &str, rows: usize) -> InsertFormatted {
        let client = self.database.clone().with_header(ROWS_HEADER, rows.to_string());
        client
            .insert_formatted_with(self.prefix.sql(sql))
            .with_setting(QUERY_ID, query_id())
            .with_setting(WAIT, "1")
    }

    /// The table's name in the database.
    pub(crate) fn name(&self, table: &str) -> String {
        self.prefix.name(table)
    }
}

/// A name for one query. The answer must repeat it, which no stored or invented one can.
fn query_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_the_schema_is_named() {
        let named = crate::clickhouse::schema::statements().map(crate::clickhouse::schema::topology::subject);
        for (_, named) in named {
            assert!(NAMES.contains(&named), "{named} would get no prefix");
        }
    }

    #[test]
    fn only_tables_are_renamed() {
        let prefix = TablePrefix::new("etb_").unwrap();
        assert_eq!(
            prefix.sql(
                "SELECT token_usages, 'token_usage \\' source_files', é FROM token_usage AS my_token_usage"
            ),
            "SELECT token_usages, 'token_usage \\' source_files', é FROM etb_token_usage AS my_token_usage"
        );
        assert_eq!(
            prefix.sql("`token_usage_local`,source_files'"),
            "`etb_token_usage_local`,etb_source_files'"
        );
        assert_eq!(
            prefix.sql("token_usage_checkpoint_a source_files_run_0 source_files_runs"),
            "etb_token_usage_checkpoint_a etb_source_files_run_0 source_files_runs"
        );
        assert_eq!(
            prefix.sql("`token_usage_checkpoint_a-token_usage`, `not token_usage`, token_usage"),
            "`etb_token_usage_checkpoint_a-token_usage`, `not token_usage`, etb_token_usage"
        );
        assert_eq!(TablePrefix::default().sql("token_usage"), "token_usage");
    }

    #[test]
    fn a_prefix_is_a_word() {
        assert!(["", "a", "_", "etb_2"].iter().all(|text| TablePrefix::new(text).is_ok()));
        assert!(
            ["2a", "a b", "a`", "a.b", "ä", &"a".repeat(65)]
                .iter()
                .all(|text| TablePrefix::new(text).is_err())
        );
    }
}
