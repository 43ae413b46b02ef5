//! A store in memory: the reference model.

mod audit;
mod checkpoint;
mod dashboard;
mod integrity;
mod probes;

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bridge_core::{
    AnalysisFacts, AuditId, AuditRecord, BridgeError, HostName, ModelName, Origin, ProjectName, ResponseKey,
    ResponseUsage, ResponseVersion, RuleRevision, SessionId, StorageKind, SummaryMetadata, SupersededKey,
    Timestamp, TokenCounts, TokenSummaryRecord,
};

use xxhash_rust::xxh3::xxh3_64;

use checkpoint::Checkpoints;

use crate::capabilities::{
    AuditStore, BackupStore, CheckpointStore, HealthProbes, IntegrityStore, StoreCapabilities,
};
use crate::dashboard::{DashboardData, DashboardFilter};
use crate::offered::{Candidate, Offered};
use crate::query::{BreakdownRow, Dimension, ResponseFilter, StoreTotals, SummaryFilter};
use crate::source::{SourceFilter, SourceRecord};
use crate::store::{ReplacedRow, TokenStore, UpsertOptions, UpsertOutcome};

/// Keeps everything in memory and does it in the most obvious way. It is what other stores are compared
/// with, and good for tests and for programs that only need sums.
#[derive(Debug, Default)]
pub struct InMemoryStore {
    content: Mutex<Content>,
    audit: Mutex<BTreeMap<(Timestamp, AuditId), AuditRecord>>,
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
}

/// A row with its stored version, which for a forced row is not the one its fields would give.
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
        let offered = Offered::new(rows);
        let mut outcomes = offered.outcomes();
        let mut content = self.content();
        content.checkpoints.admit("store responses", options.epoch)?;
        for candidate in greatest_of_each_key(&offered.candidates()) {
            candidate.tell(&mut outcomes, content.tables.put(candidate.row, options.force));
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
        Ok(keys.iter().filter_map(|key| content.tables.cover(key)).collect())
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
                && filter.sessions.as_ref().is_none_or(|sessions| sessions.contains(&record.session))
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
            groups.entry(name_of(row, dimension)).or_default().push(row);
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
        let content = self.content();
        let tables = &content.tables;
        let mut sessions: BTreeMap<&SessionId, Vec<&ResponseUsage>> = BTreeMap::new();
        for row in tables.counted() {
            sessions.entry(&row.session).or_default().push(row);
        }
        sessions.retain(|session, rows| {
            filter.sessions.as_ref().is_none_or(|wanted| wanted.contains(session))
                && rows.iter().any(|row| filter.active.contains(row.time))
        });
        Ok(sessions.into_iter().map(|(session, rows)| tables.summary(session, &rows, filter)).collect())
    }

    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError> {
        Ok(self.content().tables.dashboard(filter))
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

    /// A store that is gone with its program needs no backups.
    fn backup(&self) -> Option<&dyn BackupStore> {
        None
    }

    fn probes(&self) -> Option<&dyn HealthProbes> {
        Some(self)
    }

    fn integrity(&self) -> Option<&dyn IntegrityStore> {
        Some(self)
    }
}

/// The rows that count among these: of each key the greatest, of equal ones the first.
pub(crate) fn greatest_of_each_key<'a>(rows: &[Candidate<'a>]) -> Vec<Candidate<'a>> {
    let mut greatest: HashMap<ResponseKey, usize, BuildHasherDefault<KeyHasher>> =
        HashMap::with_capacity_and_hasher(rows.len(), BuildHasherDefault::default());
    for (place, candidate) in rows.iter().enumerate() {
        match greatest.entry(candidate.row.key) {
            Entry::Vacant(entry) => drop(entry.insert(place)),
            Entry::Occupied(mut known) => {
                if candidate.row.version() > rows[*known.get()].row.version() {
                    known.insert(place);
                }
            }
        }
    }
    let mut places: Vec<usize> = greatest.into_values().collect();
    places.sort_unstable();
    places.into_iter().map(|place| rows[place]).collect()
}

/// A key is a hash already: half of it will do.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u128(&mut self, key: u128) {
        // The higher half: the lower one of keys that were not hashed may say little.
        self.0 =
            u64::try_from(key >> 64).unwrap_or(0) ^ u64::try_from(key & u128::from(u64::MAX)).unwrap_or(0);
    }
}

/// What is stored under a key.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) version: ResponseVersion,
    pub(crate) row: ReplacedRow,
    pub(crate) is_covered: bool,
}

/// What an upsert of `row` does where `stored` is stored under its key, and the version to write. By force a
/// row is written unless the caller knows that it is stored as it is: the version alone does not tell, it may
/// stand beside other fields than it was made from.
pub(crate) fn decide(
    row: &ResponseUsage,
    stored: Option<Stored>,
    force: bool,
) -> (UpsertOutcome, Option<ResponseVersion>) {
    let own = match row.forced {
        0 => row.version(),
        _ => ResponseUsage { forced: 0, ..row.clone() }.version(),
    };
    match stored {
        None => (UpsertOutcome::New, Some(own)),
        Some(stored) if own > stored.version => (UpsertOutcome::Replaced(stored.row), Some(own)),
        // By force neither: the tokens would be counted a second time.
        Some(stored) if stored.is_covered && row.origin != Origin::Covered => (UpsertOutcome::Covered, None),
        Some(stored) if stored.is_covered || !force => (UpsertOutcome::Unchanged, None),
        Some(stored) => (UpsertOutcome::Replaced(stored.row), Some(stored.version.replaced_by(row))),
    }
}

fn replaced(row: &ResponseUsage) -> ReplacedRow {
    ReplacedRow { session: row.session.clone(), tokens: row.counts.total(), rule_revision: row.rule_revision }
}

impl Tables {
    fn put(&mut self, row: &ResponseUsage, force: bool) -> UpsertOutcome {
        let stored = self.usage.get(&row.key);
        let same = stored
            .is_some_and(|stored| ResponseUsage { forced: stored.row.forced, ..row.clone() } == stored.row);
        let stored = stored.map(|stored| {
            let row = &stored.row;
            Stored { version: stored.version, row: replaced(row), is_covered: row.origin == Origin::Covered }
        });
        let (outcome, version) = decide(row, stored, force && !same);
        if let Some(version) = version {
            let row = ResponseUsage { forced: version.forced(), ..row.clone() };
            self.usage.insert(row.key, Versioned { row, version });
        }
        outcome
    }

    /// Puts a marker in the place of what an older revision stored under the key.
    fn cover(&mut self, key: &SupersededKey) -> Option<ReplacedRow> {
        let stored = self.usage.get_mut(&key.key)?;
        let (session, time) = (stored.row.session.clone(), stored.row.time);
        let is_older = stored.row.rule_revision < RuleRevision::CURRENT;
        if !is_older || !key.supersedes(stored.version, &session, time) {
            return None;
        }
        let replaced = replaced(&stored.row);
        let (row, version) = key.marker(session, time);
        *stored = Versioned { row, version };
        Some(replaced)
    }

    /// The row, if it is as the bridge wrote it.
    fn vouched<'a>(&self, row: &'a ResponseUsage) -> Result<&'a ResponseUsage, BridgeError> {
        if self.usage.get(&row.key).is_some_and(|stored| stored.version.verifies(row)) {
            return Ok(row);
        }
        Err(BridgeError::Storage {
            operation: "read responses",
            kind: StorageKind::Corrupt,
            message: format!("response {}: its version does not vouch for what it says", row.key),
            context: Box::default(),
            source: None,
        })
    }

    /// The rows that are counted.
    fn counted(&self) -> impl Iterator<Item = &ResponseUsage> {
        self.usage.values().map(|stored| &stored.row).filter(|row| row.origin.is_counted())
    }

    fn admitted<'a>(&'a self, filter: &'a ResponseFilter) -> impl Iterator<Item = &'a ResponseUsage> {
        self.counted().filter(|row| {
            filter.time.contains(row.time)
                && filter.sessions.as_ref().is_none_or(|sessions| sessions.contains(&row.session))
                && names_admit(filter.projects.as_deref(), row, Dimension::Project)
                && names_admit(filter.models.as_deref(), row, Dimension::Model)
                && names_admit(filter.hosts.as_deref(), row, Dimension::Host)
        })
    }

    fn summary(
        &self,
        session: &SessionId,
        rows: &[&ResponseUsage],
        filter: &SummaryFilter,
    ) -> TokenSummaryRecord {
        let totals = sum(rows.iter().copied());
        let sources: Vec<&SourceRecord> =
            self.sources.values().filter(|source| source.session == *session).collect();
        let metadata = metadata(&sources, totals.counts.total(), self.facts(session));
        let files = sources.iter().filter(|source| source.snapshots > 0).count() as u64;
        TokenSummaryRecord {
            session_id: session.clone(),
            projects: distinct(rows.iter().filter_map(|row| row.project.clone())),
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
        }
    }

    /// What the session's newest stored analysis says.
    fn facts(&self, session: &SessionId) -> Option<AnalysisFacts> {
        let row = &self.usage.get(&ResponseKey::of_session_analysis(session))?.row;
        row.note.as_ref()?.facts(row.time)
    }
}

/// The stored analysis, where it is not older than the last reading of the session's sources.
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
    metadata.accuracy_ratio = (snapshot_tokens > 0).then(|| total as f64 / snapshot_tokens as f64);
    if let Some(facts) = newest_facts(&metadata).cloned() {
        metadata.content_categories = facts.content_categories;
        metadata.accuracy_ratio = Some(facts.accuracy_ratio);
        metadata.analysis_version = facts.analysis_version;
    }
    metadata
}

fn names_admit(names: Option<&[String]>, row: &ResponseUsage, dimension: Dimension) -> bool {
    names.is_none_or(|names| names.iter().any(|name| *name == name_of(row, dimension)))
}

fn name_of(row: &ResponseUsage, dimension: Dimension) -> Cow<'_, str> {
    let name = match dimension {
        Dimension::Project => row.project.as_ref().map(ProjectName::as_str),
        Dimension::Model => row.model.as_ref().map(ModelName::as_str),
        Dimension::Host => row.host.as_ref().map(HostName::as_str),
        Dimension::Session => Some(row.session.as_str()),
        Dimension::Origin => Some(row.origin.name()),
        Dimension::Day => return Cow::Owned(row.time.date()),
    };
    Cow::Borrowed(name.unwrap_or_default())
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
