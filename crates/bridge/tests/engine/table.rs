//! Direct access to the table, bypassing the store.

use bridge::ResponseKey;
use bridge_testkit::engine::{TestDatabase, engine};
use clickhouse::{Client, Row};
use serde::Deserialize;

/// `token_usage` through a plain database client.
pub(crate) struct Table(Client);

/// A row to tamper with.
#[derive(Debug, Clone, Row, Deserialize)]
pub(crate) struct Subject {
    key: u128,
    pub(crate) session_id: String,
    pub(crate) output_tokens: u64,
}

impl Subject {
    pub(crate) fn key(&self) -> ResponseKey {
        ResponseKey(self.key)
    }

    fn condition(&self) -> String {
        format!("key = toUInt128('{}')", self.key)
    }
}

impl Table {
    pub(crate) fn of(database: &TestDatabase) -> Self {
        let writer = &engine().endpoint().writer;
        let client = Client::default().with_url(format!("http://{}", database.host()));
        Self(client.with_user(&writer.user).with_password(&writer.password).with_database(&database.name))
    }

    /// Two finished rows with different sessions and output counters.
    pub(crate) async fn subjects(&self) -> [Subject; 2] {
        let columns = "SELECT key, session_id, output_tokens FROM token_usage FINAL";
        let plain =
            "finished AND output_tokens > 10 AND cache_creation_5m_tokens + cache_creation_1h_tokens > 0";
        let first = format!("{columns} WHERE {plain} ORDER BY key LIMIT 1");
        let first: Subject = self.0.query(&first).fetch_one().await.unwrap();
        let other = format!(
            "{columns} WHERE {plain} AND session_id != '{}' AND output_tokens != {} ORDER BY key LIMIT 1",
            first.session_id, first.output_tokens
        );
        let other = self.0.query(&other).fetch_one().await.unwrap();
        [first, other]
    }

    /// The single text value that a query returns.
    pub(crate) async fn text(&self, query: &str) -> String {
        self.0.query(query).fetch_one().await.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    pub(crate) async fn run(&self, statement: &str) {
        let client = self.0.clone().with_setting("mutations_sync", "2");
        client.query_raw(statement).execute().await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    pub(crate) async fn update(&self, row: &Subject, change: &str) {
        self.run(&format!("ALTER TABLE token_usage UPDATE {change} WHERE {}", row.condition())).await;
    }

    pub(crate) async fn delete(&self, row: &Subject, condition: &str) {
        self.run(&format!("ALTER TABLE token_usage DELETE WHERE {} AND {condition}", row.condition())).await;
    }

    /// Inserts a changed copy of the row.
    pub(crate) async fn copy(&self, row: &Subject, change: &str) {
        self.copy_where(&row.condition(), change).await;
    }

    /// Inserts changed copies of the rows.
    pub(crate) async fn copy_where(&self, condition: &str, change: &str) {
        // In a subquery, because the condition would otherwise refer to the changed columns.
        let rows = format!("(SELECT * FROM token_usage FINAL WHERE {condition})");
        self.run(&format!("INSERT INTO token_usage SELECT * REPLACE ({change}) FROM {rows}")).await;
    }
}
