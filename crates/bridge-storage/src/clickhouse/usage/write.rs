//! Writes rows: looks up what is stored, and writes what is greater.

use std::collections::{HashMap, HashSet};

use ::clickhouse::query::Query;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bridge_core::{BridgeError, Origin, ResponseKey, ResponseUsage};

use super::group_commit::RunIds;
use super::native;
use super::rows::{StoredRow, StoredUsage, USAGE_COLUMNS, UsageRow};
use super::saturating::{TOKENS, saturating};
use crate::capabilities::StoredResponse;
use crate::clickhouse::ClickHouseStore;
use crate::merge::{Stored, decide, greatest_of_each_key};
use crate::offered::{Candidate, RowsWithMarkers};
use crate::store::{UpsertOptions, UpsertOutcome};

const LOOK_UP: &str = "look up responses";

/// The keys of a look-up.
struct Keys {
    sql: String,
    packed: Option<String>,
    is_few: bool,
}

pub(super) const STORE: &str = "store responses";

/// Up to this many keys are listed one by one, which the database plans faster than a table of them.
const LISTED_MAX: usize = 32;

/// More are sent as one base64 text, which the database decodes about as fast as it copies bytes; in a list, it would
/// parse each number as an expression.
pub(crate) const PACKED: &str = "(SELECT arrayJoin(reinterpret(base64Decode(?), 'Array(UInt128)')))";

/// Up to this many keys are found faster by one thread than by several.
const ONE_THREAD_MAX: usize = 4;

/// From this many keys on, a look-up is made in two concurrent halves: the database uses one core for each.
const HALVED_MIN: usize = 20_000;

/// The rows that are stored under the keys of the candidates.
struct LookUp {
    /// Keys of session sums that a marker covers.
    covered: HashSet<ResponseKey>,
    stored: HashMap<ResponseKey, Stored>,
}

impl Keys {
    fn new(keys: &[ResponseKey]) -> Self {
        if keys.len() > LISTED_MAX {
            let packed = Some(packed_keys(keys.iter().copied()));
            return Self { sql: PACKED.to_owned(), packed, is_few: false };
        }
        let listed: Vec<String> = keys.iter().map(|key| format!("'{}'", key.0)).collect();
        let is_few = keys.len() <= ONE_THREAD_MAX;
        Self { sql: format!("({})", listed.join(", ")), packed: None, is_few }
    }

    fn bind(&self, query: Query) -> Query {
        let query = if self.is_few { query.with_setting("max_threads", "1") } else { query };
        match &self.packed {
            Some(packed) => query.bind(packed),
            None => query,
        }
    }
}

impl ClickHouseStore {
    pub(crate) async fn upsert_rows(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
        runs: RunIds,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let offered = RowsWithMarkers::new(rows);
        let mut outcomes = offered.outcomes();
        // Before the look-up: the rows found must not be of an older epoch than those written.
        let epoch = self.admit(STORE, options.epoch).await?;
        for candidates in greatest_of_each_key(&offered.candidates()).chunks(self.options.insert_rows) {
            let LookUp { covered, mut stored } = self.look_up(candidates, options).await?;
            let same = if options.force { self.rows_to_compare(candidates).await? } else { HashMap::new() };
            let mut writes = Vec::new();
            for candidate in candidates {
                let row = candidate.row;
                if covered.contains(&row.key) {
                    candidate.set_outcome(&mut outcomes, outcome_over_marker(row));
                    continue;
                }
                let force = options.force && !same.get(&row.key).is_some_and(|stored| is_same(row, stored));
                let (outcome, version) = decide(row, stored.remove(&row.key), force);
                candidate.set_outcome(&mut outcomes, outcome);
                let run_id = runs.run_id(candidate.belongs_to);
                writes.extend(version.map(|version| UsageRow { record: row, version, run_id, epoch }));
            }
            if let Err(error) = self.insert_usage(&writes).await {
                return Err(self.refused(STORE, epoch, error).await);
            }
        }
        Ok(outcomes)
    }

    pub(crate) async fn insert_usage(&self, writes: &[UsageRow<'_>]) -> Result<(), BridgeError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.call(STORE, |tables| async move {
            native::insert_rows(|sql| tables.insert_formatted(sql, writes.len()), "token_usage", writes).await
        })
        .await
    }

    /// Returns what is stored under the candidates' keys. First reads only the key column and whether a row is a
    /// marker: most keys are new, and that shows it.
    async fn look_up(
        &self,
        candidates: &[Candidate<'_>],
        options: &UpsertOptions,
    ) -> Result<LookUp, BridgeError> {
        let keys: Vec<ResponseKey> = candidates.iter().map(|candidate| candidate.row.key).collect();
        let known = self.known_keys(&keys).await?;
        // No version is greater than that of a marker over a session's sums, so it need not be read: most sessions that
        // continue have one.
        let is_covered = |row: &ResponseUsage| {
            known.get(&row.key.0) == Some(&true) && row.key == ResponseKey::of_session_sums(&row.session)
        };
        let covered: HashSet<ResponseKey> = candidates
            .iter()
            .map(|candidate| candidate.row)
            .filter(|row| is_covered(row))
            .map(|row| row.key)
            .collect();
        let to_read = |is_wanted: &dyn Fn(&ResponseUsage) -> bool| -> Vec<ResponseKey> {
            let rows = candidates.iter().map(|candidate| candidate.row);
            let known = rows.filter(|row| known.contains_key(&row.key.0) && !covered.contains(&row.key));
            known.filter(|row| is_wanted(row)).map(|row| row.key).collect()
        };
        // A note alone is no reason for a second query: it is written, and the database's merge decides.
        let is_needed = options.force || !to_read(&|row| row.origin != Origin::Analysis).is_empty();
        let stored = match (is_needed, options.replaced_rows) {
            (false, _) => HashMap::new(),
            (true, false) => self.stored_rows(&to_read(&|_| true)).await?,
            (true, true) => self.whole_rows(&to_read(&|_| true)).await?,
        };
        Ok(LookUp { covered, stored })
    }

    async fn stored_rows(&self, keys: &[ResponseKey]) -> Result<HashMap<ResponseKey, Stored>, BridgeError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = &Keys::new(keys);
        let query = &format!(
            "SELECT key, version, session_id, {tokens} AS tokens, toUInt8(origin = 'covered') AS is_covered, rule_revision \
             FROM token_usage PREWHERE key IN {keys}",
            tokens = saturating(TOKENS),
            keys = keys.sql,
        );
        let found: Vec<StoredRow> = self
            .call(LOOK_UP, |tables| async move { keys.bind(tables.query(query)).fetch_all().await })
            .await?;
        greatest_versions(found.into_iter().map(StoredRow::into_stored))
    }

    /// As [`stored_rows`](Self::stored_rows), with the rows themselves.
    pub(super) async fn whole_rows(
        &self,
        keys: &[ResponseKey],
    ) -> Result<HashMap<ResponseKey, Stored>, BridgeError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = &Keys::new(keys);
        let query = &format!("SELECT {USAGE_COLUMNS} FROM token_usage PREWHERE key IN {}", keys.sql);
        let found: Vec<StoredUsage> = self
            .call(LOOK_UP, |tables| async move { keys.bind(tables.query(query)).fetch_all().await })
            .await?;
        greatest_versions(found.into_iter().map(StoredUsage::into_found))
    }

    /// Returns those of the keys that are stored, and for each whether a marker is among its versions.
    async fn known_keys(&self, keys: &[ResponseKey]) -> Result<HashMap<u128, bool>, BridgeError> {
        let (first, second) = match keys.len() {
            HALVED_MIN.. => keys.split_at(keys.len() / 2),
            _ => (keys, &[][..]),
        };
        let (found, others) = tokio::try_join!(self.known_keys_of(first), self.known_keys_of(second))?;
        let mut known = HashMap::with_capacity(found.len() + others.len());
        for (key, covered) in found.into_iter().chain(others) {
            *known.entry(key).or_default() |= covered > 0;
        }
        Ok(known)
    }

    async fn known_keys_of(&self, keys: &[ResponseKey]) -> Result<Vec<(u128, u8)>, BridgeError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys = &Keys::new(keys);
        let query =
            &format!("SELECT key, toUInt8(origin = 'covered') FROM token_usage PREWHERE key IN {}", keys.sql);
        self.call(LOOK_UP, |tables| async move { keys.bind(tables.query(query)).fetch_all().await }).await
    }

    /// Returns the stored rows with all their fields, because a forced update replaces only what differs.
    async fn rows_to_compare(
        &self,
        candidates: &[Candidate<'_>],
    ) -> Result<HashMap<ResponseKey, StoredResponse>, BridgeError> {
        let keys: Vec<ResponseKey> = candidates.iter().map(|candidate| candidate.row.key).collect();
        let keys = &Keys::new(&keys);
        let query = &format!("SELECT {USAGE_COLUMNS} FROM token_usage FINAL WHERE key IN {}", keys.sql);
        let stored: Vec<StoredUsage> = self
            .call(LOOK_UP, |tables| async move { keys.bind(tables.query(query)).fetch_all().await })
            .await?;
        Ok(stored.into_iter().map(StoredUsage::into_stored).map(|row| (row.key, row)).collect())
    }
}

/// Returns the stored row of each key. Without `FINAL` all versions not merged yet are found; the greatest is the
/// stored one.
fn greatest_versions(
    found: impl ExactSizeIterator<Item = Result<(ResponseKey, Stored), BridgeError>>,
) -> Result<HashMap<ResponseKey, Stored>, BridgeError> {
    let mut stored: HashMap<ResponseKey, Stored> = HashMap::with_capacity(found.len());
    for row in found {
        let (key, row) = row?;
        if stored.get(&key).is_none_or(|known| known.version < row.version) {
            stored.insert(key, row);
        }
    }
    Ok(stored)
}

/// Returns the outcome of a row whose key is covered by a marker.
fn outcome_over_marker(row: &ResponseUsage) -> UpsertOutcome {
    if row.origin == Origin::Covered { UpsertOutcome::Unchanged } else { UpsertOutcome::Covered }
}

/// Returns whether the stored row equals this one. A row whose version does not verify it never does.
fn is_same(row: &ResponseUsage, stored: &StoredResponse) -> bool {
    let same = |usage: &ResponseUsage| ResponseUsage { forced: usage.forced, ..row.clone() } == *usage;
    stored.usage.as_ref().is_some_and(same) && stored.is_intact()
}

pub(crate) fn packed_keys(keys: impl Iterator<Item = ResponseKey>) -> String {
    // Little-endian, as the database reinterprets bytes.
    let bytes: Vec<u8> = keys.flat_map(|key| key.0.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
