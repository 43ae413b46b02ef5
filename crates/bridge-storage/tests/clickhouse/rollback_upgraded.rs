//! Rollbacks to checkpoints of other versions.

use bridge_core::{Epoch, RuleRevision, SessionId};
use bridge_storage::{
    CheckpointStore, Dimension, IntegrityStore, ResponseFilter, SourceFilter, StoredScope, TokenStore,
    UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;

use crate::rollback::{NOW, name, source, store};
use crate::sums::{as_an_older_version_left_it, of_session, old_sums, sums_by_session};
use crate::{client, response};

/// Downgrades the checkpoint's tables and its metadata to schema 3.
async fn as_schema_3(database: &TestDatabase, checkpoint: &str) {
    let usage = format!("token_usage_checkpoint_{checkpoint}");
    let client = client(database);
    let comment: String = client
        .query_raw(&format!(
            "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = '{usage}'"
        ))
        .fetch_one()
        .await
        .unwrap();
    let run = comment.split_whitespace().find_map(|word| word.strip_prefix("run=")).unwrap();
    let schema = comment.split_whitespace().find(|word| word.starts_with("schema=")).unwrap();
    let metadata = comment.replace(schema, "schema=3");
    for change in [
        format!(
            "ALTER TABLE {usage} MODIFY COLUMN origin Enum8('assistant' = 0, 'nested' = 1, 'iterations' = 2, \
             'advisor' = 3, 'summed' = 4), DROP COLUMN weak_key, DROP COLUMN rule_revision, DROP COLUMN analysis, \
             DROP COLUMN branch, DROP COLUMN thinking_tokens, DROP COLUMN request_id"
        ),
        format!("ALTER TABLE {usage} MODIFY COMMENT '{metadata}'"),
        format!("ALTER TABLE source_files_run_{run} DROP COLUMN rule_revision"),
    ] {
        client.query_raw(&change).with_setting("mutations_sync", "2").execute().await.unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_of_an_older_version_is_upgraded_on_rollback() {
    let database = TestDatabase::of_this_test();
    let old = store(&database).await;
    let rows = [
        old_sums("a", "s", 1, 150),
        old_sums("b", "s", 2, 160),
        old_sums("c", "t", 1, 10),
        of_session("t", response(1, 10)),
    ];
    old.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let mut read = source("kept", 9, Epoch(0));
    read.rule_revision = RuleRevision::FIRST;
    old.put_sources(std::slice::from_ref(&read)).await.unwrap();
    as_an_older_version_left_it(&old, &database).await;
    old.create_checkpoint(&name("before"), NOW).await.unwrap();
    as_schema_3(&database, "before").await;

    let new = store(&database).await;
    new.upsert(&[of_session("new", response(2, 1000))], &UpsertOptions::default()).await.unwrap();
    new.put_sources(&[source("late", 5, Epoch(0))]).await.unwrap();
    let compared = new.compare_with_checkpoint(&name("before")).await.unwrap();
    assert_eq!((compared.now.tokens > compared.then.tokens, compared.then.sessions), (true, 2));

    // The second rollback starts from the tables that the first one made live.
    for _ in 0..2 {
        let replaced = new.roll_back(&name("before"), NOW).await.unwrap();
        assert!(new.list_checkpoints().await.unwrap().iter().any(|checkpoint| checkpoint.name == replaced));
        new.resume().await.unwrap();
        let sums = [("s", 160), ("t", 10)].map(|(name, sum)| (name.to_owned(), sum));
        assert_eq!(sums_by_session(&new).await, sums);
        let stored = new.stored(&StoredScope::all()).await.unwrap();
        assert!(stored.iter().all(bridge_storage::StoredResponse::is_intact), "{stored:?}");
        // A cursor of revision 1: its file is read again.
        let sources = new.sources(&SourceFilter::default()).await.unwrap();
        let sources: Vec<_> = sources.iter().map(|of| (of.path.to_str(), of.rule_revision)).collect();
        assert_eq!(sources, [(Some("kept"), RuleRevision::FIRST)]);
    }
    // The store still reads and writes.
    let session = SessionId::new("t").unwrap();
    new.upsert(&[of_session("t", response(3, 7))], &UpsertOptions::default()).await.unwrap();
    let by_session = new.breakdown(Dimension::Session, &ResponseFilter::default(), None).await.unwrap();
    let of_it = by_session.iter().find(|row| row.name == session.as_str()).unwrap();
    assert_eq!(of_it.totals.counts.output, 17);
}

#[tokio::test]
async fn a_checkpoint_of_a_newer_version_is_refused() {
    let database = TestDatabase::of_this_test();
    let store = store(&database).await;
    store.create_checkpoint(&name("newer"), NOW).await.unwrap();
    let metadata =
        "ALTER TABLE token_usage_checkpoint_newer MODIFY COMMENT 'bridge epoch=0 at=0 schema=999 run=1'";
    client(&database).query_raw(metadata).execute().await.unwrap();
    let error = store.roll_back(&name("newer"), NOW).await.unwrap_err();
    assert!(error.to_string().contains("newer has schema 999, from a newer version"), "{error}");
}
