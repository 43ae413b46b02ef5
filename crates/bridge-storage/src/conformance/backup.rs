//! What giving out and taking in whole tables promises.

use bridge_core::{
    AuditFilter, AuditRecord, CheckpointName, Epoch, ResponseUsage, RuleRevision, StorageKind,
};

use super::audit::record as audit_record;
use super::checkpoints::assert_kind;
use super::sources::record;
use super::{Rows, at, response};
use crate::{
    BACKUP_TABLES, BackupFormat, BackupStore, ExportSummary, InMemoryStore, ResponseFilter, ServerPlace,
    SourceFilter, SourceRecord, StoredResponse, StoredScope, TablePart, TokenStore, UpsertOptions,
};

/// Everything of a store that a backup keeps.
#[derive(Debug, PartialEq)]
struct Content {
    rows: Vec<StoredResponse>,
    sources: Vec<SourceRecord>,
    audit: Vec<AuditRecord>,
}

async fn content(store: &dyn TokenStore) -> Content {
    Content {
        rows: store.stored(&StoredScope::all()).await.unwrap(),
        sources: store.sources(&SourceFilter::default()).await.unwrap(),
        audit: store.audit(&AuditFilter::default()).await.unwrap(),
    }
}

async fn export(store: &dyn TokenStore, format: BackupFormat) -> (ExportSummary, Vec<TablePart>) {
    let mut export = store.begin_export(format).await.unwrap();
    let (figures, mut parts) = (export.figures().clone(), Vec::new());
    while let Some(part) = export.next_part().await.unwrap() {
        parts.push(part);
    }
    (figures, parts)
}

async fn import(store: &dyn TokenStore, parts: &[TablePart]) {
    let epoch = store.state().await.unwrap().epoch;
    for part in parts {
        store.import_part(part, epoch).await.unwrap();
    }
}

/// Rows, some of them replaced and forced, sources and an audit.
async fn fill(store: &dyn TokenStore, seed: u8) {
    let mut rows = Rows::new(seed);
    put(store, &rows.rows(40)).await;
    let forced = rows.rows(10);
    store.upsert(&forced, &UpsertOptions::default().forced()).await.unwrap();
    let records = [record("a", at(5), u64::from(seed)), record("b'\\ 日本\n", at(i64::from(seed)), 7)];
    store.put_sources(&records).await.unwrap();
    store.put_audit(&[audit_record(seed.into()), audit_record(100)]).await.unwrap();
}

async fn put(store: &dyn TokenStore, rows: &[ResponseUsage]) {
    store.upsert(rows, &UpsertOptions::default()).await.unwrap();
}

/// What a store gives out, an empty one of another kind becomes; and given out by that one, it changes nothing.
pub async fn a_backup_brings_the_same_store_back(store: &dyn TokenStore) {
    fill(store, 1).await;
    let before = content(store).await;
    let (figures, parts) = export(store, BackupFormat::JsonLines).await;
    let tables: Vec<_> = figures.tables.iter().map(|table| (table.table.as_str(), table.rows)).collect();
    let rows = [before.rows.len(), before.sources.len(), before.audit.len()].map(|rows| rows as u64);
    assert_eq!(tables, BACKUP_TABLES.into_iter().zip(rows).collect::<Vec<_>>());
    assert_eq!(figures.totals, store.totals(&ResponseFilter::default()).await.unwrap());
    assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), figures.rows());

    let other = InMemoryStore::default();
    import(&other, &parts).await;
    assert_eq!(content(&other).await, before);
    import(store, &export(&other, BackupFormat::JsonLines).await.1).await;
    assert_eq!(content(store).await, before);
    let (again, _) = export(store, store.backup_format()).await;
    assert_eq!(again, figures);
}

/// Into a filled store a backup is joined, whatever is newer on either side, in whatever order it comes and how often.
pub async fn a_backup_is_joined_into_a_filled_store(store: &dyn TokenStore) {
    let (model, other) = (InMemoryStore::default(), InMemoryStore::default());
    fill(store, 1).await;
    fill(&model, 1).await;
    fill(&other, 2).await;
    let common = [response(1, 5), response(2, 90), response(3, 1)];
    let differing = [response(1, 50), response(2, 9), response(3, 1)];
    for (store, rows) in [(store, common.as_slice()), (&model, &common), (&other, &differing)] {
        put(store, rows).await;
    }
    let (_, mut parts) = export(&other, BackupFormat::JsonLines).await;
    import(&model, &parts).await;
    for _ in 0..2 {
        import(store, &parts).await;
        assert_eq!(content(store).await, content(&model).await);
        parts.reverse();
    }
}

/// An empty store gives out an empty backup.
pub async fn an_empty_store_has_an_empty_backup(store: &dyn TokenStore) {
    let (figures, parts) = export(store, store.backup_format()).await;
    assert_eq!((figures.rows(), parts), (0, Vec::new()));
}

/// A cursor of rows that a rollback took back says nothing in the store that it is taken into, whatever its epoch;
/// those that hold go on holding.
pub async fn cursors_that_a_rollback_took_back_stay_so(store: &dyn TokenStore) {
    put(store, &[response(1, 5)]).await;
    let good = CheckpointName::new("good").unwrap();
    store.put_sources(&[record("before", at(5), 10)]).await.unwrap();
    store.create_checkpoint(&good, at(1)).await.unwrap();
    store.roll_back(&good, at(2)).await.unwrap();
    let begun_in = Epoch(1);
    let (_, parts) = export(store, BackupFormat::JsonLines).await;
    assert_kind(store.import_part(&parts[0], begun_in).await, StorageKind::RolledBack);
    store.resume().await.unwrap();
    assert_kind(store.import_part(&parts[0], Epoch(0)).await, StorageKind::RolledBack);
    let after = SourceRecord { epoch: begun_in, ..record("after", at(6), 10) };
    store.put_sources(std::slice::from_ref(&after)).await.unwrap();

    let (figures, parts) = export(store, BackupFormat::JsonLines).await;
    assert_eq!(figures.epoch, begun_in);
    let other = InMemoryStore::default();
    import(&other, &parts).await;
    let expected = SourceRecord { epoch: Epoch(0), ..after.clone() };
    let sources = other.sources(&SourceFilter::default()).await.unwrap();
    assert_eq!(sources[0], expected);
    assert_eq!(
        (sources[1].epoch, sources[1].rule_revision, sources[1].lines),
        (Epoch(0), RuleRevision::NONE, 10)
    );

    // Back again: what holds there is a cursor of this store's epoch; what does not replaces nothing.
    import(store, &export(&other, BackupFormat::JsonLines).await.1).await;
    assert_eq!(store.sources(&SourceFilter::default()).await.unwrap()[0], after);
}

/// The server writes a backup of everything and takes it in again, or refuses both in words.
pub async fn a_backup_of_the_server_is_whole_or_refused(store: &dyn TokenStore) {
    put(store, &[response(1, 5)]).await;
    let unknown = ServerPlace::File("no_backup_has_this_name".to_owned());
    let epoch = store.state().await.unwrap().epoch;
    assert!(store.restore(&unknown, epoch).await.is_err(), "there is no such backup");
    let place = ServerPlace::File(format!("conformance_{:032x}", fastrand::u128(..)));
    match store.back_up(&place).await {
        Ok(figures) => {
            assert_eq!(figures.totals, store.totals(&ResponseFilter::default()).await.unwrap());
            assert_eq!(store.restore(&place, epoch).await.unwrap(), figures);
        }
        Err(error) => drop(assert_kind(Err::<(), _>(error), StorageKind::Unsupported)),
    }
}

/// Rows are given out in the schema of this version of the crate, in a format that the store itself knows.
pub async fn the_schema_is_that_of_this_version(store: &dyn TokenStore) {
    assert_eq!(store.schema(), InMemoryStore::default().schema());
    store.begin_export(store.backup_format()).await.unwrap();
}
