//! The state that is kept for each response: 80 bytes.

use bridge_core::{Origin, ResponseKey, Timestamp, TokenCounts};

use crate::count::candidate::Candidate;
use crate::count::request::RequestPlace;
use crate::count::snapshot::Extras;

/// A response's row in the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: ResponseKey,
    /// The tokens of all its snapshots together.
    pub(crate) snapshot_tokens: u64,
    /// The lower 48 bits: milliseconds since 1970. Above them [`RowFlags`].
    time_and_flags: u64,
    counts: [u32; 4],
    cache_split: [u32; 2],
    pub(crate) context: u32,
    /// The file that holds all its snapshots, unless [`RowFlags::SHARED`].
    pub(crate) owner: u32,
    /// The place of its request's id in the table.
    pub(crate) request: RequestPlace,
    thinking: u32,
    web_search: u16,
    web_fetch: u16,
}

const _: () = assert!(size_of::<Row>() == 80, "performance.md: under 100 bytes a response, index included");

/// The flags of a row.
pub(crate) struct RowFlags;

impl RowFlags {
    const FINISHED: u64 = 1 << 48;
    const SIDECHAIN: u64 = 1 << 49;
    const NESTED: u64 = 1 << 50;
    const FORKED: u64 = 1 << 51;
    const ORIGIN: u32 = 52;
    /// A number does not fit its 32 bits, so all of them are kept separately.
    const WIDE: u64 = 1 << 55;
    /// Several files hold snapshots of it.
    pub(crate) const SHARED: u64 = 1 << 56;
    const WEAK: u64 = 1 << 58;
    /// It has changed since the changes were last taken.
    pub(crate) const CHANGED: u64 = 1 << 57;
    /// The flags that stay when another snapshot wins.
    const OF_RESPONSE: u64 = Self::SHARED | Self::CHANGED;
}

const ORIGINS: [Origin; 7] = [
    Origin::Assistant,
    Origin::Nested,
    Origin::Iterations,
    Origin::Advisor,
    Origin::Compaction,
    Origin::Declined,
    Origin::Other,
];
const TIME: u64 = (1 << 48) - 1;

/// Numbers of a row that are too large for it.
pub(crate) type WideCounts = (TokenCounts, (u64, u64), Extras);

/// Stands for an absent number in fewer bits.
const ABSENT_32: u32 = u32::MAX;
const ABSENT_16: u16 = u16::MAX;

impl Row {
    /// Creates the row of a response's first snapshot, and returns its numbers if they do not fit.
    pub(crate) fn new(candidate: &Candidate, owner: u32) -> (Self, Option<WideCounts>) {
        let mut row = Self {
            key: candidate.key,
            snapshot_tokens: candidate.tokens(),
            time_and_flags: 0,
            counts: [0; 4],
            cache_split: [0; 2],
            context: 0,
            owner,
            request: RequestPlace::default(),
            thinking: ABSENT_32,
            web_search: ABSENT_16,
            web_fetch: ABSENT_16,
        };
        let wide = row.set(candidate);
        (row, wide)
    }

    /// Lets another snapshot win.
    pub(crate) fn set(&mut self, candidate: &Candidate) -> Option<WideCounts> {
        let counts = candidate.counts;
        let small = |count: u64| u32::try_from(count).ok();
        let fit = || {
            Some((
                [
                    small(counts.input)?,
                    small(counts.output)?,
                    small(counts.cache_creation)?,
                    small(counts.cache_read)?,
                ],
                [small(candidate.cache_split.0)?, small(candidate.cache_split.1)?],
                small_or_absent(candidate.extras.thinking_tokens, ABSENT_32)?,
                [
                    small_or_absent(candidate.extras.web_search_requests, ABSENT_16)?,
                    small_or_absent(candidate.extras.web_fetch_requests, ABSENT_16)?,
                ],
            ))
        };
        let small = fit();
        let is_wide = small.is_none();
        (self.counts, self.cache_split, self.thinking, [self.web_search, self.web_fetch]) =
            small.unwrap_or_default();
        self.context = candidate.context;
        self.request = candidate.request;
        let origin = ORIGINS.iter().position(|origin| *origin == candidate.origin).unwrap_or_default() as u64;
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        self.time_and_flags = candidate.time.as_millis().unsigned_abs() & TIME
            | flag(candidate.finished, RowFlags::FINISHED)
            | flag(candidate.sidechain, RowFlags::SIDECHAIN)
            | flag(candidate.nested, RowFlags::NESTED)
            | flag(candidate.forked, RowFlags::FORKED)
            | flag(candidate.weak_key, RowFlags::WEAK)
            | flag(is_wide, RowFlags::WIDE)
            | origin << RowFlags::ORIGIN
            | self.time_and_flags & RowFlags::OF_RESPONSE;
        is_wide.then_some((counts, candidate.cache_split, candidate.extras))
    }

    pub(crate) fn has(&self, flag: u64) -> bool {
        self.time_and_flags & flag != 0
    }

    pub(crate) fn set_flag(&mut self, flag: u64) {
        self.time_and_flags |= flag;
    }

    pub(crate) fn clear_flag(&mut self, flag: u64) {
        self.time_and_flags &= !flag;
    }

    pub(crate) fn is_wide(&self) -> bool {
        self.has(RowFlags::WIDE)
    }

    /// Returns the winning snapshot. `wide`: its numbers, if the row [is wide](Self::is_wide).
    pub(crate) fn winner(&self, wide: Option<&WideCounts>) -> Candidate {
        let [input, output, cache_creation, cache_read] = self.counts.map(u64::from);
        let small = || {
            let counts = TokenCounts { input, output, cache_creation, cache_read };
            let extras = Extras {
                thinking_tokens: unless_absent(self.thinking, ABSENT_32),
                web_search_requests: unless_absent(self.web_search, ABSENT_16),
                web_fetch_requests: unless_absent(self.web_fetch, ABSENT_16),
            };
            (counts, (u64::from(self.cache_split[0]), u64::from(self.cache_split[1])), extras)
        };
        let (counts, cache_split, extras) = wide.copied().unwrap_or_else(small);
        let millis = i64::try_from(self.time_and_flags & TIME).unwrap_or(i64::MAX);
        let origin = (self.time_and_flags >> RowFlags::ORIGIN) as usize & 0b111;
        Candidate {
            key: self.key,
            time: Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX),
            counts,
            cache_split,
            extras,
            context: self.context,
            request: self.request,
            finished: self.has(RowFlags::FINISHED),
            sidechain: self.has(RowFlags::SIDECHAIN),
            nested: self.has(RowFlags::NESTED),
            forked: self.has(RowFlags::FORKED),
            weak_key: self.has(RowFlags::WEAK),
            origin: ORIGINS.get(origin).copied().unwrap_or_default(),
        }
    }
}

/// Returns the number in fewer bits, if it fits and is not `absent`, which means none.
fn small_or_absent<T: TryFrom<u64> + PartialEq>(number: Option<u64>, absent: T) -> Option<T> {
    match number {
        None => Some(absent),
        Some(number) => T::try_from(number).ok().filter(|number| *number != absent),
    }
}

fn unless_absent<T: Into<u64> + PartialEq>(number: T, absent: T) -> Option<u64> {
    if number == absent { None } else { Some(number.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::context::Context;
    use crate::count::request::RequestIds;
    use bridge_core::strategy::response_usage;
    use bridge_core::{ResponseUsage, RuleRevision};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_keeps_every_field(usage in response_usage()) {
            let mut requests = RequestIds::default();
            requests.add("before");
            let request = requests.add(usage.request_id.as_ref().map_or("", |id| id.as_str()));
            let candidate = Candidate {
                key: usage.key,
                time: usage.time,
                counts: usage.counts,
                cache_split: (usage.cache_creation_5m, usage.cache_creation_1h),
                extras: Extras {
                    thinking_tokens: usage.thinking_tokens,
                    web_search_requests: usage.web_search_requests,
                    web_fetch_requests: usage.web_fetch_requests,
                },
                context: 7,
                request,
                finished: usage.finished,
                sidechain: usage.sidechain,
                nested: usage.nested,
                forked: usage.forked,
                origin: usage.origin,
                weak_key: usage.weak_key,
            };
            let (mut row, wide) = Row::new(&candidate, 3);
            row.set_flag(RowFlags::CHANGED);
            row.set(&candidate);
            prop_assert_eq!(wide.is_some(), row.is_wide());
            prop_assert!(row.has(RowFlags::CHANGED) && !row.has(RowFlags::SHARED));
            let context = Context {
                session: usage.session.clone(),
                project: usage.project.clone(),
                host: usage.host.clone(),
                agent: usage.agent.clone(),
                model: usage.model.clone(),
                service_tier: usage.service_tier.clone(),
                assignment: usage.assignment.clone(),
                attribution: usage.attribution.clone(),
            };
            let winner = row.winner(wide.as_ref());
            let kept = winner.usage(&context, requests.get(winner.request));
            prop_assert_eq!(kept.rank(), candidate.rank());
            prop_assert_eq!(kept, ResponseUsage { forced: 0, rule_revision: RuleRevision::CURRENT, ..usage });
        }
    }
}
