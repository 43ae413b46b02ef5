//! A response as a history keeps it.

use bridge_core::{
    AgentId, HostName, ModelName, Origin, ProjectName, ResponseKey, ResponseUsage, ServiceTier, SessionId,
    Timestamp, TokenCounts,
};

use crate::count::candidate::Candidate;
use crate::count::context::Context;

/// A response of a [`History`](crate::History): the snapshot that counts, with borrowed names.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Response<'a> {
    /// Key of the response.
    pub key: ResponseKey,
    /// The session that the response belongs to.
    pub session: &'a SessionId,
    /// Time of the record, UTC.
    pub time: Timestamp,
    /// The model that answered, if the record names one.
    pub model: Option<&'a ModelName>,
    /// The project that the session worked on.
    pub project: Option<&'a ProjectName>,
    /// The machine that the transcript lies on.
    pub host: Option<&'a HostName>,
    /// The subagent that asked, if it was one.
    pub agent: Option<&'a AgentId>,
    /// The service tier that the API reported.
    pub service_tier: Option<&'a ServiceTier>,
    /// The four counters.
    pub counts: TokenCounts,
    /// True if the snapshot is the response's last; otherwise its counters are a floor.
    pub finished: bool,
    /// The place where the counters were found.
    pub origin: Origin,
    /// The tokens of all its snapshots together.
    pub snapshot_tokens: u64,
    /// The provider's id of the request, empty if the record has none.
    request: &'a str,
    winner: Candidate,
    context: &'a Context,
}

impl<'a> Response<'a> {
    pub(crate) fn new(
        winner: Candidate,
        context: &'a Context,
        request: &'a str,
        snapshot_tokens: u64,
    ) -> Self {
        Self {
            key: winner.key,
            session: &context.session,
            time: winner.time,
            model: context.model.as_ref(),
            project: context.project.as_ref(),
            host: context.host.as_ref(),
            agent: context.agent.as_ref(),
            service_tier: context.service_tier.as_ref(),
            counts: winner.counts,
            finished: winner.finished,
            origin: winner.origin,
            snapshot_tokens,
            request,
            winner,
            context,
        }
    }

    /// Returns the row for the store.
    #[must_use]
    pub fn to_usage(&self) -> ResponseUsage {
        self.winner.usage(self.context, self.request)
    }
}
