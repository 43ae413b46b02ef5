//! A store in memory: the reference model.

mod audit;
mod checkpoint;
mod dashboard;
mod hosts;
mod integrity;
mod prices;
mod probes;
mod projects;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bridge_core::{
    ActivityFacts, AnalysisFacts, AuditId, AuditRecord, BridgeError, Cost, HostName, Origin, ProjectName,
    ProjectRecord, ResponseKey, ResponseUsage, ResponseVersion, RuleRevision, SessionId, StorageKind,
    SummaryMetadata, SupersededKey, Timestamp, TokenCounts, TokenSummaryRecord,
};

use checkpoint::Checkpoints;

use crate::activity::activity_facts;
use crate::capabilities::{
    AuditStore, BackupStore, CheckpointStore, HealthProbes, HostStore, IntegrityStore, PriceStore,
    ProjectStore, StoreCapabilities,
};
use crate::dashboard::{DashboardData, DashboardFilter};
use crate::dimension::Dimension;
use crate::prices::PriceList;
use crate::query::{BreakdownRow, ResponseFilter, StoreTotals, SummaryFilter};
use crate::source::{SourceFilter, SourceRecord};
use crate::store::{ReplacedRow, TokenStore, UpsertOptions, UpsertOutcome};

/// Keeps everything in memory, in the most obvious way. Other stores are compared with it, and it suits tests
/// and programs that only need sums.
#[derive(Debug, Default)]
pub struct InMemoryStore {
    content: Mutex<Content>,
    audit: Mutex<BTreeMap<(Timestamp, AuditId), AuditRecord>>,
    prices: Mutex<prices::PriceLists>,
}

#[derive(Debug, Default)]
struct Content {
    tables: Tables,
    checkpoints: Checkpoints,
}

#[derive(Debug, Clone, Default)]
struct Tables {
    usage: BTreeMap<ResponseKey, Versioned>,
    sources: BTreeMap<(HostName, PathBuf, SessionId), SourceRecord>,
    projects: BTreeMap<ProjectName, ProjectRecord>,
}

/// A row with its stored version, which for a forced row does not follow from its fields.
#[derive(Debug, Clone)]
struct Versioned {
    row: ResponseUsage,
    version: ResponseVersion,
}

impl InMemoryStore {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn audit_table(&self) -> MutexGuard<'_, BTreeMap<(Timestamp, AuditId), AuditRecord>> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for InMemoryStore {
    async fn migrate(&self) -> Result<(), BridgeError> {
        Ok(())
    }

    async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut content = self.content();
        content.checkpoints.admit("store responses", options.epoch)?;
        let markers = missing_markers(rows);
        let mut greatest: BTreeMap<ResponseKey, (&ResponseUsage, Option<usize>)> = BTreeMap::new();
        let places = (0..rows.len()).map(Some).chain(std::iter::repeat(None));
        for (row, place) in rows.iter().chain(&markers).zip(places) {
            let known = greatest.entry(row.key).or_insert((row, place));
            if row.version() > known.0.version() {
                *known = (row, place);
            }
        }
        let lesser = |row: &ResponseUsage| match greatest[&row.key].0.origin {
            Origin::Covered if row.origin == Origin::Summed => UpsertOutcome::Covered,
            _ => UpsertOutcome::Unchanged,
        };
        let mut outcomes: Vec<UpsertOutcome> = rows.iter().map(lesser).collect();
        for (row, place) in greatest.into_values() {
            let outcome = content.tables.put(row, options);
            // A note has no outcome of its own.
            if let Some(place) = place.filter(|_| row.origin != Origin::Analysis) {
                outcomes[place] = outcome;
            }
        }
        Ok(outcomes)
    }

    async fn cover(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut content = self.content();
        content.checkpoints.admit("cover superseded keys", options.epoch)?;
        Ok(keys.iter().filter_map(|key| content.tables.cover(key, options)).collect())
    }

    async fn put_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        let Some(epoch) = records.iter().map(|record| record.epoch).min() else { return Ok(()) };
        let mut content = self.content();
        content.checkpoints.admit("store sources", Some(epoch))?;
        let tables = &mut content.tables;
        for record in records {
            let place = (record.host.clone(), record.path.clone(), record.session.clone());
            let known = tables.sources.get(&place).map(SourceRecord::version);
            if known.is_none_or(|known| known <= record.version()) {
                tables.sources.insert(place, record.clone());
            }
        }
        Ok(())
    }

    async fn sources(&self, filter: &SourceFilter) -> Result<Vec<SourceRecord>, BridgeError> {
        let admitted = |record: &&SourceRecord| {
            filter.host.as_ref().is_none_or(|host| *host == record.host)
                && filter.paths.admit(&record.path)
                && filter.sessions.as_ref().is_none_or(|sessions| sessions.contains(&record.session))
                && filter.parent.as_ref().is_none_or(|parent| record.parent() == Some(parent))
                && (!filter.limited || record.activity.as_ref().is_some_and(|found| found.limits_hit > 0))
                && filter
                    .page
                    .as_ref()
                    .and_then(|page| page.after.as_ref())
                    .is_none_or(|(path, session)| (&record.path, &record.session) > (path, session))
        };
        let records_max = filter.page.as_ref().map_or(usize::MAX, |page| page.records_max);
        Ok(self.content().tables.sources.values().filter(admitted).take(records_max).cloned().collect())
    }

    async fn totals(&self, filter: &ResponseFilter) -> Result<StoreTotals, BridgeError> {
        Ok(sum(self.content().tables.admitted(filter)))
    }

    async fn breakdown(
        &self,
        dimension: Dimension,
        filter: &ResponseFilter,
        limit: Option<u32>,
    ) -> Result<Vec<BreakdownRow>, BridgeError> {
        let content = self.content();
        let tables = &content.tables;
        let mut groups: BTreeMap<Cow<'_, str>, Vec<&ResponseUsage>> = BTreeMap::new();
        for row in tables.admitted(filter) {
            groups.entry(tables.value(&dimension, row)).or_default().push(row);
        }
        let mut rows: Vec<BreakdownRow> = groups
            .into_iter()
            .map(|(name, rows)| BreakdownRow { name: name.into_owned(), totals: sum(rows.into_iter()) })
            .collect();
        if dimension != Dimension::Day {
            rows.sort_by_key(|row| std::cmp::Reverse(row.totals.counts.total()));
        }
        rows.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(rows)
    }

    async fn summaries(&self, filter: &SummaryFilter) -> Result<Vec<TokenSummaryRecord>, BridgeError> {
        let prices = if filter.include_cost { self.price_lists().get(None)? } else { None };
        let content = self.content();
        let tables = &content.tables;
        let mut sessions: BTreeMap<&SessionId, Vec<&ResponseUsage>> = BTreeMap::new();
        for row in tables.counted() {
            sessions.entry(&row.session).or_default().push(row);
        }
        sessions.retain(|session, rows| {
            filter.sessions.as_ref().is_none_or(|wanted| wanted.contains(session))
                && filter.after.as_ref().is_none_or(|after| *session > after)
                && rows.iter().any(|row| filter.active.contains(row.time))
        });
        let limit = filter.limit.map_or(usize::MAX, |limit| limit as usize);
        let page = sessions.into_iter().take(limit);
        Ok(page.map(|(session, rows)| tables.summary(session, &rows, filter, prices.as_deref())).collect())
    }

    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError> {
        let prices = if filter.cost { self.price_lists().get(filter.prices.as_deref())? } else { None };
        Ok(self.content().tables.dashboard(filter, prices.as_deref()))
    }

    async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError> {
        let content = self.content();
        let admitted = content.tables.admitted(filter);
        admitted.map(|row| content.tables.vouched(row).cloned()).collect()
    }
}

impl StoreCapabilities for InMemoryStore {
    fn audit(&self) -> Option<&dyn AuditStore> {
        Some(self)
    }

    fn checkpoints(&self) -> Option<&dyn CheckpointStore> {
        Some(self)
    }

    /// A store that ends with its program needs no backups.
    fn backup(&self) -> Option<&dyn BackupStore> {
        None
    }

    fn probes(&self) -> Option<&dyn HealthProbes> {
        Some(self)
    }

    fn hosts(&self) -> Option<&dyn HostStore> {
        Some(self)
    }

    fn integrity(&self) -> Option<&dyn IntegrityStore> {
        Some(self)
    }

    fn prices(&self) -> Option<&dyn PriceStore> {
        Some(self)
    }

    fn projects(&self) -> Option<&dyn ProjectStore> {
        Some(self)
    }
}

/// A marker for each session with a response among the rows, unless the caller brought it.
fn missing_markers(rows: &[ResponseUsage]) -> Vec<ResponseUsage> {
    let brought: BTreeSet<ResponseKey> =
        rows.iter().filter(|row| row.origin == Origin::Covered).map(|row| row.key).collect();
    let sessions: BTreeSet<&SessionId> =
        rows.iter().filter(|row| row.origin.is_response()).map(|row| &row.session).collect();
    let markers = sessions.into_iter().map(|session| ResponseUsage::covered_sums(session.clone()));
    markers.filter(|marker| !brought.contains(&marker.key)).collect()
}

impl Tables {
    /// Decides with its own code and not the product's, so that a comparison finds a fault in either.
    fn put(&mut self, row: &ResponseUsage, options: &UpsertOptions) -> UpsertOutcome {
        // A row that was forced elsewhere is an ordinary snapshot here.
        let row = ResponseUsage { forced: 0, ..row.clone() };
        let own = row.version();
        let Some(stored) = self.usage.get(&row.key) else {
            self.insert(row, own);
            return UpsertOutcome::New;
        };
        let outcome = UpsertOutcome::Replaced(ReplacedRow::new(&stored.row, options));
        if own > stored.version {
            self.insert(row, own);
            return outcome;
        }
        if stored.row.origin == Origin::Covered {
            // Even by force: the tokens would be counted a second time.
            let is_marker = row.origin == Origin::Covered;
            return if is_marker { UpsertOutcome::Unchanged } else { UpsertOutcome::Covered };
        }
        if !options.force || row == (ResponseUsage { forced: 0, ..stored.row.clone() }) {
            return UpsertOutcome::Unchanged;
        }
        let version = stored.version.replaced_by(&row);
        self.insert(row, version);
        outcome
    }

    fn insert(&mut self, row: ResponseUsage, version: ResponseVersion) {
        let row = ResponseUsage { forced: version.forced(), ..row };
        self.usage.insert(row.key, Versioned { row, version });
    }

    /// Replaces what an older revision stored under the key with a marker.
    fn cover(&mut self, key: &SupersededKey, options: &UpsertOptions) -> Option<ReplacedRow> {
        let stored = self.usage.get_mut(&key.key)?;
        let (session, time) = (stored.row.session.clone(), stored.row.time);
        let is_older = stored.row.rule_revision < RuleRevision::CURRENT;
        if !is_older || !key.supersedes(stored.version, &session, time) {
            return None;
        }
        let replaced = ReplacedRow::new(&stored.row, options);
        let (row, version) = key.marker(session, time);
        *stored = Versioned { row, version };
        Some(replaced)
    }

    /// Returns the row, if it is unchanged since the bridge wrote it.
    fn vouched<'a>(&self, row: &'a ResponseUsage) -> Result<&'a ResponseUsage, BridgeError> {
        if self.usage.get(&row.key).is_some_and(|stored| stored.version.verifies(row)) {
            return Ok(row);
        }
        let message = format!("response {}: its version does not verify its fields", row.key);
        Err(BridgeError::storage(StorageKind::Corrupt, "read responses", message))
    }

    /// The rows that are counted.
    fn counted(&self) -> impl Iterator<Item = &ResponseUsage> {
        self.usage.values().map(|stored| &stored.row).filter(|row| row.origin.is_counted())
    }

    fn admitted<'a>(&'a self, filter: &'a ResponseFilter) -> impl Iterator<Item = &'a ResponseUsage> {
        self.counted().filter(|row| filter.admits_by(row, |dimension| self.value(dimension, row)))
    }

    fn summary(
        &self,
        session: &SessionId,
        rows: &[&ResponseUsage],
        filter: &SummaryFilter,
        prices: Option<&PriceList>,
    ) -> TokenSummaryRecord {
        let totals = sum(rows.iter().copied());
        let sources: Vec<&SourceRecord> =
            self.sources.values().filter(|source| source.session == *session).collect();
        let mut metadata = metadata(&sources, totals.counts.total(), self.facts(session));
        metadata.attribution = self.attribution(rows);
        rows.iter().for_each(|row| metadata.extra.add(&row.extra_counts()));
        let files = sources.iter().filter(|source| source.snapshots > 0).count() as u64;
        TokenSummaryRecord {
            session_id: session.clone(),
            projects: distinct(rows.iter().filter_map(|row| self.project(row).cloned())),
            models: distinct(rows.iter().filter_map(|row| row.model.clone())),
            hosts: distinct(rows.iter().filter_map(|row| row.host.clone())),
            first_time: rows.iter().map(|row| row.time).min().unwrap_or(bridge_core::Timestamp::MIN),
            last_time: rows.iter().map(|row| row.time).max().unwrap_or(bridge_core::Timestamp::MIN),
            counts: totals.counts,
            total_tokens: totals.counts.total(),
            responses: totals.responses,
            responses_worth_tokens: totals.responses_worth_tokens,
            finished_responses: totals.responses_worth_tokens - totals.unfinished_responses,
            files: newest_facts(&metadata).map_or(files, |facts| facts.files_processed),
            metadata: filter.include_metadata.then_some(metadata),
            cost: prices.map(|list| sum_of_costs(list, rows)),
        }
    }

    /// Returns what these responses name, by dimension.
    fn attribution(&self, rows: &[&ResponseUsage]) -> BTreeMap<String, Vec<String>> {
        let mut attribution: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let labels = rows.iter().flat_map(|row| row.assignment.labels.iter());
        let labels = distinct(labels.map(|(name, _)| Dimension::Label(name.clone())));
        for dimension in Dimension::ALL.iter().chain(&labels).filter(|dimension| dimension.is_attribution()) {
            let values = rows.iter().map(|row| self.value(dimension, row)).filter(|value| !value.is_empty());
            let values: Vec<String> = distinct(values).into_iter().map(Cow::into_owned).collect();
            if !values.is_empty() {
                attribution.insert(dimension.to_string(), values);
            }
        }
        attribution
    }

    /// Returns the facts of the session's newest stored analysis.
    fn facts(&self, session: &SessionId) -> Option<AnalysisFacts> {
        let row = &self.usage.get(&ResponseKey::of_session_analysis(session))?.row;
        row.note.as_ref()?.facts(row.time)
    }
}

fn sum_of_costs(list: &PriceList, rows: &[&ResponseUsage]) -> Cost {
    let mut sum = Cost::default();
    rows.iter().for_each(|row| sum.add(&list.cost(row)));
    sum
}

/// Returns the stored analysis, if it is not older than the last read of the session's sources.
fn newest_facts(metadata: &SummaryMetadata) -> Option<&AnalysisFacts> {
    metadata.analysis.as_ref().filter(|facts| Some(facts.timestamp) >= metadata.last_sync)
}

fn metadata(sources: &[&SourceRecord], total: u64, analysis: Option<AnalysisFacts>) -> SummaryMetadata {
    let mut metadata = SummaryMetadata { analysis, ..SummaryMetadata::default() };
    let mut snapshot_tokens = 0;
    let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
    for source in sources {
        add(&mut metadata.lines, source.lines);
        add(&mut metadata.bad_lines, source.damage.bad_lines);
        add(&mut snapshot_tokens, source.snapshot_tokens);
        for (category, tokens) in &source.content_categories {
            add(metadata.content_categories.entry(*category).or_default(), *tokens);
        }
        if metadata.last_sync <= Some(source.read_at) {
            metadata.last_sync = Some(source.read_at);
            metadata.analysis_version.clone_from(&source.analysis_version);
        }
    }
    metadata.activity = activity_facts(sources.iter().copied(), ActivityFacts::PAUSE);
    metadata.accuracy_ratio = (snapshot_tokens > 0).then(|| total as f64 / snapshot_tokens as f64);
    if let Some(facts) = newest_facts(&metadata).cloned() {
        metadata.content_categories = facts.content_categories;
        metadata.accuracy_ratio = Some(facts.accuracy_ratio);
        metadata.analysis_version = facts.analysis_version;
    }
    metadata
}

fn distinct<T: Ord>(names: impl Iterator<Item = T>) -> Vec<T> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn sum<'a>(rows: impl Iterator<Item = &'a ResponseUsage>) -> StoreTotals {
    let mut totals = StoreTotals::default();
    let mut sessions = BTreeSet::new();
    let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
    for row in rows {
        totals.responses += 1;
        totals.responses_worth_tokens += u64::from(!row.counts.is_zero());
        totals.unfinished_responses += u64::from(!row.counts.is_zero() && !row.finished);
        let TokenCounts { input, output, cache_creation, cache_read } = row.counts;
        add(&mut totals.counts.input, input);
        add(&mut totals.counts.output, output);
        add(&mut totals.counts.cache_creation, cache_creation);
        add(&mut totals.counts.cache_read, cache_read);
        sessions.insert(&row.session);
    }
    totals.sessions = sessions.len() as u64;
    totals
}
