//! Promises of export and import.

use std::collections::BTreeMap;

use bridge_core::{
    AttributionValue, AuditFilter, AuditRecord, CheckpointName, Epoch, LinkedWorktree, Origin, ProjectRecord,
    ResponseKey, ResponseUsage, RuleRevision, StorageKind, Timestamp,
};

use super::audit::record as audit_record;
use super::checkpoints::assert_kind;
use super::prices::{of_n0, price};
use super::projects::{name, record as project_record, row as project_row};
use super::sources::record;
use super::sums::{force, put as put_one, replaced, sums, totals};
use super::{Rows, at, audit, backup, checkpoints, integrity, response, session};
use crate::capabilities::BACKUP_TABLES;
use crate::{
    BackupFormat, DashboardData, DashboardFilter, Dimension, ExportSummary, GroupPage, ResponseFilter,
    ServerPlace, SourceFilter, SourceRecord, StoredResponse, StoredScope, TablePart, TokenStore,
    UpsertOptions, UpsertOutcome,
};

/// Everything of a store that a backup keeps.
#[derive(Debug, PartialEq)]
struct Content {
    rows: Vec<StoredResponse>,
    sources: Vec<SourceRecord>,
    audit: Vec<AuditRecord>,
    projects: Vec<ProjectRecord>,
    prices_in_use: Option<String>,
}

async fn content(store: &dyn TokenStore) -> Content {
    Content {
        rows: integrity(store).stored(&StoredScope::all()).await.unwrap(),
        sources: store.sources(&SourceFilter::default()).await.unwrap(),
        audit: audit(store).audit_records(&AuditFilter::default()).await.unwrap(),
        projects: match store.projects() {
            Some(projects) => projects.project_records().await.unwrap(),
            None => Vec::new(),
        },
        prices_in_use: match store.prices() {
            Some(prices) => prices.prices_in_use().await.unwrap(),
            None => None,
        },
    }
}

async fn export(store: &dyn TokenStore, format: BackupFormat) -> (ExportSummary, Vec<TablePart>) {
    let mut export = backup(store).begin_export(format).await.unwrap();
    let (summary, mut parts) = (export.summary().clone(), Vec::new());
    while let Some(part) = export.next_part().await.unwrap() {
        parts.push(part);
    }
    (summary, parts)
}

async fn import(store: &dyn TokenStore, parts: &[TablePart]) {
    let epoch = store.state().await.unwrap().epoch;
    for part in parts {
        backup(store).import_part(part, epoch).await.unwrap();
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
    audit(store).put_audit(&[audit_record(seed.into()), audit_record(100)]).await.unwrap();
}

async fn put(store: &dyn TokenStore, rows: &[ResponseUsage]) {
    store.upsert(rows, &UpsertOptions::default()).await.unwrap();
}

/// An empty store that imports an export becomes the same store; its own export is the same.
pub async fn a_backup_brings_the_same_store_back(store: &dyn TokenStore, other: &dyn TokenStore) {
    fill(store, 1).await;
    let before = content(store).await;
    let (summary, parts) = export(store, BackupFormat::JsonLines).await;
    let tables: Vec<_> = summary.tables.iter().map(|table| (table.table.as_str(), table.rows)).collect();
    let rows = [before.rows.len(), before.sources.len(), before.audit.len(), 0, 0].map(|rows| rows as u64);
    assert_eq!(tables, tables_of(store).into_iter().zip(rows).collect::<Vec<_>>());
    assert_eq!(summary.totals, store.totals(&ResponseFilter::default()).await.unwrap());
    assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), summary.rows());

    assert_eq!(backup(other).schema(), backup(store).schema());
    import(other, &parts).await;
    assert_eq!(content(other).await, before);
    import(store, &export(other, BackupFormat::JsonLines).await.1).await;
    assert_eq!(content(store).await, before);
    let (again, _) = export(store, backup(store).backup_format()).await;
    assert_eq!(again, summary);
}

fn tables_of(store: &dyn TokenStore) -> Vec<&'static str> {
    let is_kept = |table: &&str| match *table {
        "token_prices" => store.prices().is_some(),
        "project_names" => store.projects().is_some(),
        _ => true,
    };
    BACKUP_TABLES.into_iter().filter(is_kept).collect()
}

/// Into a filled store a backup is joined, whatever is newer on either side, in whatever order it comes and how often.
pub async fn a_backup_is_joined_into_a_filled_store(store: &dyn TokenStore, other: &dyn TokenStore) {
    fill(store, 1).await;
    fill(other, 2).await;
    put(store, &[response(1, 5), response(2, 90), response(3, 1)]).await;
    put(other, &[response(1, 50), response(2, 9), response(3, 1)]).await;
    let expected = joined(content(store).await, content(other).await);
    let (_, mut parts) = export(other, BackupFormat::JsonLines).await;
    for _ in 0..2 {
        import(store, &parts).await;
        assert_eq!(content(store).await, expected);
        parts.reverse();
    }
}

/// The greater version of each row on either side.
fn joined(one: Content, other: Content) -> Content {
    let mut rows = BTreeMap::new();
    for row in one.rows.into_iter().chain(other.rows) {
        let known = rows.entry(row.key).or_insert_with(|| row.clone());
        if known.version < row.version {
            *known = row;
        }
    }
    let mut sources = BTreeMap::new();
    for record in one.sources.into_iter().chain(other.sources) {
        let place = (record.host.clone(), record.path.clone(), record.session.clone());
        let known = sources.entry(place).or_insert_with(|| record.clone());
        if known.version() < record.version() {
            *known = record;
        }
    }
    let audit = one.audit.into_iter().chain(other.audit).map(|record| ((record.time, record.id), record));
    let audit: BTreeMap<_, _> = audit.collect();
    Content {
        rows: rows.into_values().collect(),
        sources: sources.into_values().collect(),
        audit: audit.into_values().rev().collect(),
        projects: Vec::new(),
        prices_in_use: None,
    }
}

/// An empty store exports an empty backup, which leaves an empty store empty.
pub async fn an_empty_store_has_an_empty_backup(store: &dyn TokenStore, other: &dyn TokenStore) {
    let (summary, parts) = export(store, backup(store).backup_format()).await;
    assert_eq!(summary.rows(), 0);
    import(other, &parts).await;
    assert_eq!((content(other).await, parts), (content(store).await, Vec::new()));
}

/// A cursor of rows that a rollback took back says nothing in the store that it is taken into, whatever its epoch;
/// those that hold go on holding.
pub async fn cursors_that_a_rollback_took_back_stay_so(store: &dyn TokenStore, other: &dyn TokenStore) {
    put(store, &[response(1, 5)]).await;
    let good = CheckpointName::new("good").unwrap();
    store.put_sources(&[record("before", at(5), 10)]).await.unwrap();
    checkpoints(store).create_checkpoint(&good, at(1)).await.unwrap();
    checkpoints(store).roll_back(&good, at(2)).await.unwrap();
    let begun_in = Epoch(1);
    let (_, parts) = export(store, BackupFormat::JsonLines).await;
    assert_kind(backup(store).import_part(&parts[0], begun_in).await, StorageKind::RolledBack);
    checkpoints(store).resume().await.unwrap();
    assert_kind(backup(store).import_part(&parts[0], Epoch(0)).await, StorageKind::RolledBack);
    let after = SourceRecord { epoch: begun_in, ..record("after", at(6), 10) };
    store.put_sources(std::slice::from_ref(&after)).await.unwrap();

    let (summary, parts) = export(store, BackupFormat::JsonLines).await;
    assert_eq!(summary.epoch, begun_in);
    import(other, &parts).await;
    let expected = SourceRecord { epoch: Epoch(0), ..after.clone() };
    let sources = other.sources(&SourceFilter::default()).await.unwrap();
    assert_eq!(sources[0], expected);
    assert_eq!(
        (sources[1].epoch, sources[1].rule_revision, sources[1].lines),
        (Epoch(0), RuleRevision::NONE, 10)
    );

    // Back again: what holds there is a cursor of this store's epoch; what does not replaces nothing.
    import(store, &export(other, BackupFormat::JsonLines).await.1).await;
    assert_eq!(store.sources(&SourceFilter::default()).await.unwrap()[0], after);
}

/// The server writes a backup of everything and takes it in again, or refuses both in words.
pub async fn a_backup_of_the_server_is_whole_or_refused(store: &dyn TokenStore, other: &dyn TokenStore) {
    put(store, &[response(1, 5)]).await;
    price_and_rename(store, "list", 1_000, "/new", 1).await;
    let unknown = ServerPlace::File("no_backup_has_this_name".to_owned());
    let epoch = store.state().await.unwrap().epoch;
    assert!(backup(store).restore(&unknown, epoch).await.is_err(), "there is no such backup");
    let place = ServerPlace::File(format!("conformance_{:032x}", fastrand::u128(..)));
    match backup(store).back_up(&place).await {
        Ok(summary) => {
            assert_eq!(summary.totals, store.totals(&ResponseFilter::default()).await.unwrap());
            assert_eq!(backup(store).restore(&place, epoch).await.unwrap(), summary);
            assert_eq!(backup(other).restore(&place, epoch).await.unwrap(), summary);
            assert_eq!(content(other).await, content(store).await);
        }
        Err(error) => drop(assert_kind(Err::<(), _>(error), StorageKind::Unsupported)),
    }
}

/// Rows as the versions before stored them: sums under a key for each analysis, responses without a marker. Taken in,
/// the sums of the newest analysis are the session's, and responses cover them.
pub async fn sums_of_an_older_version_are_taken_in_as_one_row(store: &dyn TokenStore, old: &dyn TokenStore) {
    old.upsert(&rows_of_revision_1(), &UpsertOptions::default()).await.unwrap();
    let markers = content(old).await.rows;
    let markers =
        markers.iter().filter(|row| row.usage.as_ref().is_some_and(|row| row.origin == Origin::Covered));
    let markers: Vec<_> = markers.map(|row| (row.key, row.version)).collect();
    assert_eq!(markers.len(), 1);
    integrity(old).remove(&markers).await.unwrap();
    assert_eq!(totals(old).await, (4, 150 + 160 + 10 + 10));
    import(store, &export(old, BackupFormat::JsonLines).await.1).await;
    assert_eq!(totals(store).await, (2, 160 + 10));
    assert_eq!(put_one(store, &sums("c", 99, 170)).await, replaced(160));
    let mut covered = sums("c", 99, 170);
    (covered.key, covered.session) = (ResponseKey::of_session_sums(&session("t")), session("t"));
    assert_eq!(force(store, &covered).await, UpsertOutcome::Covered);
}

/// Two analyses of session `s`, and of session `t` one beside a response.
fn rows_of_revision_1() -> Vec<ResponseUsage> {
    let old = |id: &str, name: &str, time: Timestamp, output| {
        let mut row = ResponseUsage::new(ResponseKey::of_analysis_1(id), session(name), time);
        row.counts.output = output;
        (row.origin, row.rule_revision) = (Origin::Summed, RuleRevision::FIRST);
        row
    };
    let counted =
        ResponseUsage { session: session("t"), rule_revision: RuleRevision::FIRST, ..response(1, 10) };
    vec![old("b", "s", at(2), 160), old("a", "s", at(1), 150), old("c", "t", at(3), 10), counted]
}

/// Puts a price list in use, and records that `/old` counts for a project.
async fn price_and_rename(store: &dyn TokenStore, digest: &str, token: u64, current: &str, millis: i64) {
    if let Some(prices) = store.prices() {
        prices.use_prices(digest, &[price(token)], at(millis)).await.unwrap();
    }
    if let Some(projects) = store.projects() {
        let renamed =
            ProjectRecord { recorded_at: at(millis), ..project_record("/old", current, Some("it's")) };
        projects.put_project_records(&[renamed]).await.unwrap();
    }
}

async fn costs_of_projects(store: &dyn TokenStore, prices: Option<&str>) -> DashboardData {
    let mut filter = DashboardFilter::default();
    for dimension in [Dimension::Project, Dimension::ProjectGroup, Dimension::Worktree, Dimension::Model] {
        filter = filter.with_breakdown(dimension, GroupPage::default());
    }
    (filter.cost, filter.prices) = (store.prices().is_some(), prices.map(str::to_owned));
    store.dashboard(&filter).await.unwrap()
}

/// After an import costs and projects are what they were, also by a price list that is no longer in use, and those of a
/// worktree whose folder is gone.
pub async fn an_import_gives_the_same_costs_and_projects(store: &dyn TokenStore, other: &dyn TokenStore) {
    let rows = [project_row(1, "/old", ""), project_row(2, "/new", ""), project_row(3, "/gone", "")];
    put(store, &rows.map(|row| ResponseUsage { model: of_n0(1).model, ..row })).await;
    price_and_rename(store, "first", 1_000, "/elsewhere", 1).await;
    price_and_rename(store, "second", 5_000, "/new", 2).await;
    if let Some(projects) = store.projects() {
        let worktree =
            LinkedWorktree { repository: name("/new"), name: AttributionValue::new("fix").unwrap() };
        let gone = ProjectRecord { worktree: Some(worktree), ..project_record("/gone", "/new", None) };
        projects.put_project_records(&[gone]).await.unwrap();
    }
    let expected = costs_of_projects(store, None).await;
    for format in [BackupFormat::JsonLines, backup(store).backup_format()] {
        let (summary, parts) = export(store, format).await;
        let rows: Vec<_> = summary.tables.iter().skip(3).map(|table| table.rows).collect();
        assert_eq!(rows, vec![2; tables_of(store).len() - 3]);
        for _ in 0..2 {
            import(other, &parts).await;
            assert_eq!(content(other).await, content(store).await);
            assert_eq!(costs_of_projects(other, None).await, expected);
        }
    }
    if let (Some(prices), Some(others)) = (store.prices(), other.prices()) {
        let first = costs_of_projects(store, Some("first")).await;
        assert_eq!(costs_of_projects(other, Some("first")).await, first);
        let all = ResponseFilter::default();
        assert_eq!(others.costs(&all).await.unwrap(), prices.costs(&all).await.unwrap());
    }
}

/// Whichever of two stores is imported into the other: what was put in use and recorded last is so afterwards.
pub async fn the_later_price_list_and_record_of_a_project_stay(
    store: &dyn TokenStore,
    other: &dyn TokenStore,
) {
    for store in [store, other] {
        put(store, &[ResponseUsage { model: of_n0(1).model, ..project_row(1, "/old", "") }]).await;
    }
    price_and_rename(store, "early", 1_000, "/early", 1).await;
    price_and_rename(other, "late", 5_000, "/late", 2).await;
    let (early, late) = (costs_of_projects(store, None).await, costs_of_projects(other, None).await);
    let (_, parts) = export(store, BackupFormat::JsonLines).await;
    for _ in 0..2 {
        import(other, &parts).await;
        assert_eq!(costs_of_projects(other, None).await, late);
    }
    if store.prices().is_some() {
        let by_early = costs_of_projects(other, Some("early")).await;
        assert_eq!((by_early.totals, by_early.priced_by), (early.totals, early.priced_by));
    }
    import(store, &export(other, BackupFormat::JsonLines).await.1).await;
    assert_eq!(costs_of_projects(store, None).await, late);
    assert_eq!(content(store).await, content(other).await);
}

/// Backups of earlier versions are imported as before.
pub async fn a_backup_without_price_lists_and_projects_changes_neither(
    store: &dyn TokenStore,
    other: &dyn TokenStore,
) {
    fill(store, 1).await;
    price_and_rename(store, "theirs", 1_000, "/theirs", 2).await;
    price_and_rename(other, "own", 5_000, "/own", 1).await;
    let (theirs, own) = (content(store).await, content(other).await);
    let (_, mut parts) = export(store, BackupFormat::JsonLines).await;
    parts.retain(|part| BACKUP_TABLES[..3].contains(&part.table.as_str()));
    import(other, &parts).await;
    let expected = Content { projects: own.projects, prices_in_use: own.prices_in_use, ..theirs };
    assert_eq!(content(other).await, expected);
}
