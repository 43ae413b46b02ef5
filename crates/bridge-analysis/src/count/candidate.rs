//! A snapshot that may become its response's row.

use std::cmp::Reverse;

use bridge_core::{
    Origin, RequestId, ResponseKey, ResponseRank, ResponseUsage, RuleRevision, Timestamp, TokenCounts,
};

use crate::count::context::Context;
use crate::count::request::RequestPlace;
use crate::count::snapshot::Extras;

/// A snapshot that is added to the table, its names replaced by the place of their context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) key: ResponseKey,
    pub(crate) time: Timestamp,
    pub(crate) counts: TokenCounts,
    /// Of the cache-creation tokens, those kept for five minutes and for one hour.
    pub(crate) cache_split: (u64, u64),
    pub(crate) extras: Extras,
    pub(crate) context: u32,
    pub(crate) request: RequestPlace,
    pub(crate) finished: bool,
    pub(crate) sidechain: bool,
    pub(crate) nested: bool,
    pub(crate) forked: bool,
    pub(crate) origin: Origin,
    pub(crate) weak_key: bool,
}

impl Candidate {
    pub(crate) fn tokens(&self) -> u64 {
        self.counts.total()
    }

    pub(crate) fn rank(&self) -> ResponseRank {
        ResponseRank {
            revision: RuleRevision::CURRENT.counts_as(),
            finished: self.finished && !self.counts.is_zero(),
            output: self.counts.output,
            total: self.tokens(),
            main: !(self.sidechain || self.nested),
            original: !self.forked,
            made_by: RuleRevision::CURRENT,
            time: Reverse(self.time),
        }
    }

    /// Returns the part of the rank that alone decides the tokens of the winner.
    pub(crate) fn token_rank(&self) -> TokenRank {
        TokenRank {
            finished: self.finished && !self.counts.is_zero(),
            output: self.counts.output,
            total: self.tokens(),
        }
    }

    /// Returns the whole row. `request`: the text at [`request`](Self::request).
    pub(crate) fn usage(&self, context: &Context, request: &str) -> ResponseUsage {
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
            attribution: context.attribution.clone(),
            thinking_tokens: self.extras.thinking_tokens,
            web_search_requests: self.extras.web_search_requests,
            web_fetch_requests: self.extras.web_fetch_requests,
            request_id: RequestId::new(request).ok(),
            assignment: context.assignment.clone(),
            forced: 0,
        }
    }
}

/// The part of a snapshot's rank that precedes everything that is not about tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenRank {
    pub(crate) finished: bool,
    pub(crate) output: u64,
    pub(crate) total: u64,
}
