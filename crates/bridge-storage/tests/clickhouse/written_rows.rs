//! The engine must report the number of written rows, by which the bridge detects a lossy insert.

use std::time::Duration;

use bridge_testkit::engine::{TestDatabase, engine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{client, fresh};

/// The raw HTTP answer to an insert of these rows.
async fn answer_to_insert(database: &TestDatabase, rows: &str) -> String {
    let writer = &engine().endpoint().writer;
    let query = "INSERT%20INTO%20numbers%20FORMAT%20TSV";
    let request = format!(
        "POST /?database={}&wait_end_of_query=1&query={query} HTTP/1.1\r\nHost: db\r\nConnection: close\r\n\
         X-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{rows}\r\n0\r\n\r\n",
        database.name,
        writer.user,
        writer.password,
        rows.len(),
    );
    let mut answer = String::new();
    let exchange = async {
        let mut stream = TcpStream::connect(database.host()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_to_string(&mut answer).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(30), exchange).await.unwrap();
    answer
}

#[tokio::test]
async fn the_engine_reports_the_rows_an_insert_wrote() {
    let database = TestDatabase::of_this_test();
    // The migration creates the database.
    fresh().await;
    let create = "CREATE TABLE numbers (n UInt64) ENGINE = MergeTree ORDER BY n";
    client(&database).query(create).execute().await.unwrap();
    let answer = answer_to_insert(&database, "1\n2\n3\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"written_rows\":\"3\""), "{answer}");
}
