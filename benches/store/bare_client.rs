//! The official client without the bridge, inserting the same columns into a copy of the same table.

use std::error::Error;

use bridge::ResponseUsage;
use bridge_embedded::Endpoint;
use clickhouse::types::UInt256;
use clickhouse::{Client, Compression, Row};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;

pub(crate) struct BareClient(Client);

#[derive(Row, Serialize)]
struct BareRow<'a> {
    key: u128,
    session_id: &'a str,
    time: i64,
    model: &'a str,
    project: &'a str,
    host: &'a str,
    agent: &'a str,
    service_tier: &'a str,
    input_tokens: u64,
    output_tokens: u64,
    cache_creation_tokens: u64,
    cache_read_tokens: u64,
    cache_creation_5m_tokens: u64,
    cache_creation_1h_tokens: u64,
    finished: bool,
    sidechain: bool,
    nested: bool,
    forked: bool,
    origin: i8,
    version: UInt256,
    run_id: u128,
}

impl BareClient {
    pub(crate) async fn new(endpoint: &Endpoint, database: &str) -> Result<Self, Box<dyn Error>> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        let client = Client::with_http_client(http)
            .with_url(&endpoint.url)
            .with_user(&endpoint.writer.user)
            .with_password(&endpoint.writer.password)
            .with_compression(Compression::Lz4)
            .with_database(database);
        client.query("CREATE TABLE bare CLONE AS token_usage").execute().await?;
        Ok(Self(client))
    }

    pub(crate) async fn insert(&self, rows: &[ResponseUsage]) -> Result<(), Box<dyn Error>> {
        let mut insert = self.0.insert::<BareRow<'_>>("bare").await?;
        for row in rows {
            insert.write(&bare_row(row)).await?;
        }
        insert.end().await?;
        Ok(())
    }
}

fn bare_row(row: &ResponseUsage) -> BareRow<'_> {
    BareRow {
        key: row.key.0,
        session_id: row.session.as_str(),
        time: row.time.as_millis(),
        model: "",
        project: "",
        host: "",
        agent: "",
        service_tier: "",
        input_tokens: row.counts.input,
        output_tokens: row.counts.output,
        cache_creation_tokens: row.counts.cache_creation,
        cache_read_tokens: row.counts.cache_read,
        cache_creation_5m_tokens: 0,
        cache_creation_1h_tokens: 0,
        finished: row.finished,
        sidechain: false,
        nested: false,
        forked: false,
        origin: 0,
        version: UInt256::from_le_bytes(row.version().to_le_bytes()),
        run_id: 1,
    }
}
