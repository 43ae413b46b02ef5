//! The state that is kept for each response: 64 bytes.

use std::cmp::Reverse;

use bridge_core::{Origin, ResponseKey, ResponseRank, ResponseUsage, RuleRevision, Timestamp, TokenCounts};

use crate::context::Context;

/// A snapshot on its way to the table, its names replaced by the place of their context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) key: ResponseKey,
    pub(crate) time: Timestamp,
    pub(crate) counts: TokenCounts,
    /// Of the cache-creation tokens, those kept for five minutes and for one hour.
    pub(crate) cache_split: (u64, u64),
    pub(crate) context: u32,
    pub(crate) finished: bool,
    pub(crate) sidechain: bool,
    pub(crate) nested: bool,
    pub(crate) forked: bool,
    pub(crate) origin: Origin,
    pub(crate) weak_key: bool,
}

impl Offer {
    pub(crate) fn tokens(&self) -> u64 {
        self.counts.total()
    }

    pub(crate) fn rank(&self) -> ResponseRank {
        ResponseRank {
            revision: RuleRevision::CURRENT,
            finished: self.finished && !self.counts.is_zero(),
            output: self.counts.output,
            total: self.tokens(),
            main: !(self.sidechain || self.nested),
            original: !self.forked,
            time: Reverse(self.time),
        }
    }

    /// What decides over the tokens of the winner, and nothing else does.
    pub(crate) fn weight(&self) -> Weight {
        Weight {
            finished: self.finished && !self.counts.is_zero(),
            output: self.counts.output,
            total: self.tokens(),
        }
    }

    /// The whole row.
    pub(crate) fn usage(&self, context: &Context) -> ResponseUsage {
        ResponseUsage {
            key: self.key,
            session: context.session.clone(),
            time: self.time,
            model: context.model.clone(),
            project: context.project.clone(),
            host: context.host.clone(),
            agent: context.agent.clone(),
            service_tier: context.service_tier.clone(),
            counts: self.counts,
            cache_creation_5m: self.cache_split.0,
            cache_creation_1h: self.cache_split.1,
            finished: self.finished,
            sidechain: self.sidechain,
            nested: self.nested,
            forked: self.forked,
            origin: self.origin,
            weak_key: self.weak_key,
            rule_revision: RuleRevision::CURRENT,
            note: None,
            forced: 0,
        }
    }
}

/// The part of a snapshot's rank that stands before everything that is not about tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Weight {
    pub(crate) finished: bool,
    pub(crate) output: u64,
    pub(crate) total: u64,
}

/// A response's row in the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: ResponseKey,
    /// The tokens of all its snapshots together.
    pub(crate) snapshot_tokens: u64,
    /// The lower 48 bits: milliseconds since 1970. Above them [`Marks`].
    time_and_marks: u64,
    counts: [u32; 4],
    cache_split: [u32; 2],
    pub(crate) context: u32,
    /// The file that holds all its snapshots, unless [`Marks::SHARED`].
    pub(crate) owner: u32,
}

const _: () = assert!(size_of::<Row>() == 64, "performance.md: under 100 bytes a response, index included");

/// What is true of a row.
pub(crate) struct Marks;

impl Marks {
    const FINISHED: u64 = 1 << 48;
    const SIDECHAIN: u64 = 1 << 49;
    const NESTED: u64 = 1 << 50;
    const FORKED: u64 = 1 << 51;
    const ORIGIN: u32 = 52;
    /// A number does not fit its 32 bits: all of them are kept apart.
    const LARGE: u64 = 1 << 55;
    /// Several files hold snapshots of it.
    pub(crate) const SHARED: u64 = 1 << 56;
    const WEAK: u64 = 1 << 58;
    /// It changed since somebody asked last.
    pub(crate) const CHANGED: u64 = 1 << 57;
    /// What stays when another snapshot wins.
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

/// Numbers of a row that do not fit it.
pub(crate) type Large = (TokenCounts, (u64, u64));

impl Row {
    /// The row of a response's first snapshot, and its numbers where they do not fit.
    pub(crate) fn new(offer: &Offer, owner: u32) -> (Self, Option<Large>) {
        let mut row = Self {
            key: offer.key,
            snapshot_tokens: offer.tokens(),
            time_and_marks: 0,
            counts: [0; 4],
            cache_split: [0; 2],
            context: 0,
            owner,
        };
        let large = row.set(offer);
        (row, large)
    }

    /// Lets another snapshot win.
    pub(crate) fn set(&mut self, offer: &Offer) -> Option<Large> {
        let counts = offer.counts;
        let small = |count: u64| u32::try_from(count).ok();
        let fit = || {
            Some((
                [
                    small(counts.input)?,
                    small(counts.output)?,
                    small(counts.cache_creation)?,
                    small(counts.cache_read)?,
                ],
                [small(offer.cache_split.0)?, small(offer.cache_split.1)?],
            ))
        };
        let small = fit();
        (self.counts, self.cache_split) = small.unwrap_or_default();
        self.context = offer.context;
        let origin = ORIGINS.iter().position(|origin| *origin == offer.origin).unwrap_or_default() as u64;
        let flag = |is_set: bool, mark: u64| if is_set { mark } else { 0 };
        self.time_and_marks = offer.time.as_millis().unsigned_abs() & TIME
            | flag(offer.finished, Marks::FINISHED)
            | flag(offer.sidechain, Marks::SIDECHAIN)
            | flag(offer.nested, Marks::NESTED)
            | flag(offer.forked, Marks::FORKED)
            | flag(offer.weak_key, Marks::WEAK)
            | flag(small.is_none(), Marks::LARGE)
            | origin << Marks::ORIGIN
            | self.time_and_marks & Marks::OF_RESPONSE;
        small.is_none().then_some((counts, offer.cache_split))
    }

    pub(crate) fn has(&self, mark: u64) -> bool {
        self.time_and_marks & mark != 0
    }

    pub(crate) fn mark(&mut self, mark: u64) {
        self.time_and_marks |= mark;
    }

    pub(crate) fn unmark(&mut self, mark: u64) {
        self.time_and_marks &= !mark;
    }

    pub(crate) fn is_large(&self) -> bool {
        self.has(Marks::LARGE)
    }

    /// The winning snapshot. `large`: its numbers, where the row [is large](Self::is_large).
    pub(crate) fn winner(&self, large: Option<&Large>) -> Offer {
        let [input, output, cache_creation, cache_read] = self.counts.map(u64::from);
        let small = || {
            let counts = TokenCounts { input, output, cache_creation, cache_read };
            (counts, (u64::from(self.cache_split[0]), u64::from(self.cache_split[1])))
        };
        let (counts, cache_split) = large.copied().unwrap_or_else(small);
        let millis = i64::try_from(self.time_and_marks & TIME).unwrap_or(i64::MAX);
        let origin = (self.time_and_marks >> Marks::ORIGIN) as usize & 0b111;
        Offer {
            key: self.key,
            time: Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX),
            counts,
            cache_split,
            context: self.context,
            finished: self.has(Marks::FINISHED),
            sidechain: self.has(Marks::SIDECHAIN),
            nested: self.has(Marks::NESTED),
            forked: self.has(Marks::FORKED),
            weak_key: self.has(Marks::WEAK),
            origin: ORIGINS.get(origin).copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge_core::strategy::response_usage;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_keeps_every_field(usage in response_usage()) {
            let offer = Offer {
                key: usage.key,
                time: usage.time,
                counts: usage.counts,
                cache_split: (usage.cache_creation_5m, usage.cache_creation_1h),
                context: 7,
                finished: usage.finished,
                sidechain: usage.sidechain,
                nested: usage.nested,
                forked: usage.forked,
                origin: usage.origin,
                weak_key: usage.weak_key,
            };
            let (mut row, large) = Row::new(&offer, 3);
            row.mark(Marks::CHANGED);
            row.set(&offer);
            prop_assert_eq!(large.is_some(), row.is_large());
            prop_assert!(row.has(Marks::CHANGED) && !row.has(Marks::SHARED));
            let context = Context {
                session: usage.session.clone(),
                project: usage.project.clone(),
                host: usage.host.clone(),
                agent: usage.agent.clone(),
                model: usage.model.clone(),
                service_tier: usage.service_tier.clone(),
            };
            let kept = row.winner(large.as_ref()).usage(&context);
            prop_assert_eq!(kept.rank(), offer.rank());
            prop_assert_eq!(kept, ResponseUsage { forced: 0, rule_revision: RuleRevision::CURRENT, ..usage });
        }
    }
}
