//! One API response with its usage.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AnalysisNote, HostName, ModelName, ProjectName, RequestId, ResponseKey, RuleRevision,
    ServiceTier, SessionId, SharedAssignment, SharedAttribution, Timestamp, TokenCounts,
};

/// Place of a response's counters in a transcript, or the purpose of a row that is not a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The usage of an `assistant` line.
    #[default]
    Assistant,
    /// The usage of a record nested in a `progress` line: a subagent's response.
    Nested,
    /// The iterations of a usage whose own counters are all 0.
    Iterations,
    /// An advisor's iteration, a separate response.
    Advisor,
    /// A session's sums that an embedder brought without responses.
    Summed,
    /// A compaction step of a request, a separate response.
    Compaction,
    /// An attempt that was refused before a fallback answered, a separate response.
    Declined,
    /// An iteration of a type that this version does not know, a separate response.
    Other,
    /// Not a response: the marker under which all versions of a key count nothing, because its tokens are counted under
    /// other keys.
    Covered,
    /// Not a response: what a session's newest analysis says besides its counters.
    Analysis,
}

impl Origin {
    /// Returns whether rows of this origin are counted. Totals, lists and counts of responses include no others.
    #[must_use]
    pub fn is_counted(self) -> bool {
        !matches!(self, Self::Covered | Self::Analysis)
    }

    /// Returns whether rows of this origin are responses. If a session has any, only they count.
    #[must_use]
    pub fn is_response(self) -> bool {
        self.is_counted() && self != Self::Summed
    }

    /// Returns the stored and displayed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::Nested => "nested",
            Self::Iterations => "iterations",
            Self::Advisor => "advisor",
            Self::Summed => "summed",
            Self::Compaction => "compaction",
            Self::Declined => "declined",
            Self::Other => "other",
            Self::Covered => "covered",
            Self::Analysis => "analysis",
        }
    }
}

/// 2100-01-01. The database computes ages of rows with times up to 2106 in every version.
const MARKER_TIME: Timestamp = Timestamp::from_constant(4_102_444_800_000);

/// The first revision with markers. A later one writes the same.
const MARKER_REVISION: RuleRevision = RuleRevision(2);

/// The usage of one API response, from the snapshot that counts. One row of the store.
///
/// All fields come from one snapshot; fields of two are never mixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseUsage {
    /// Key of the response.
    pub key: ResponseKey,
    /// The session that the response belongs to.
    pub session: SessionId,
    /// Time of the record, UTC.
    pub time: Timestamp,
    /// The model that answered, if the record names one.
    pub model: Option<ModelName>,
    /// The project that the session worked on.
    pub project: Option<ProjectName>,
    /// Host of the transcript.
    pub host: Option<HostName>,
    /// The subagent that asked, if it was one.
    pub agent: Option<AgentId>,
    /// The service tier that the API reported.
    pub service_tier: Option<ServiceTier>,
    /// The four counters.
    pub counts: TokenCounts,
    /// Of the cache-creation tokens, those kept for five minutes.
    pub cache_creation_5m: u64,
    /// Of the cache-creation tokens, those kept for one hour.
    pub cache_creation_1h: u64,
    /// True for the response's last snapshot (with a `stop_reason`); otherwise the counters are a lower bound.
    pub finished: bool,
    /// True for a weak key, made of a short `message.id` and the counters for lack of a better identity.
    pub weak_key: bool,
    /// True if the record is on a side chain (a subagent's branch).
    pub sidechain: bool,
    /// True if the record is nested in another record.
    pub nested: bool,
    /// True if a fork copied the record from another session.
    pub forked: bool,
    /// Place of the counters.
    pub origin: Origin,
    /// The revision of the counting rule that made this row.
    pub rule_revision: RuleRevision,
    /// Facts of an analysis besides its counters, in a row of [`Origin::Analysis`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<AnalysisNote>,
    /// The context of the response: branch, client, skill and the like.
    #[serde(default, skip_serializing_if = "SharedAttribution::is_empty")]
    pub attribution: SharedAttribution,
    /// Of the output tokens, those of the model's thinking, if the API reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_tokens: Option<u64>,
    /// Web searches that the API made for the response, if it reported their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search_requests: Option<u64>,
    /// Web pages that the API fetched for the response, if it reported their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_fetch_requests: Option<u64>,
    /// The provider's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Whom and what the bridge that stores it assigns it to: developer, team, labels. Only rows that count have this.
    #[serde(default, skip_serializing_if = "SharedAssignment::is_empty")]
    pub assignment: SharedAssignment,
    /// Number of force updates behind this row; part of the version, see
    /// [`ResponseVersion`](crate::ResponseVersion).
    pub forced: u32,
}

impl ResponseUsage {
    /// Returns a response worth no tokens, with everything else unknown, to be filled in.
    #[must_use]
    pub fn new(key: ResponseKey, session: SessionId, time: Timestamp) -> Self {
        Self {
            key,
            session,
            time,
            model: None,
            project: None,
            host: None,
            agent: None,
            service_tier: None,
            counts: TokenCounts::ZERO,
            cache_creation_5m: 0,
            cache_creation_1h: 0,
            finished: false,
            weak_key: false,
            sidechain: false,
            nested: false,
            forked: false,
            origin: Origin::Assistant,
            rule_revision: RuleRevision::CURRENT,
            note: None,
            attribution: SharedAttribution::default(),
            thinking_tokens: None,
            web_search_requests: None,
            web_fetch_requests: None,
            request_id: None,
            assignment: SharedAssignment::default(),
            forced: 0,
        }
    }

    /// Returns the marker that covers this session's sums because its responses are stored: it has no tokens and is
    /// greater than every version of the sums, whichever is stored first.
    ///
    /// The marker of a session is always the same. Its time lies far in the future, so that it outlasts responses that
    /// expire: expired responses do not come back as a sum.
    #[must_use]
    pub fn covered_sums(session: SessionId) -> Self {
        Self::covered(ResponseKey::of_session_sums(&session), session)
    }

    /// Returns the marker that covers this key, so that no row stored under it counts.
    #[must_use]
    pub fn covered(key: ResponseKey, session: SessionId) -> Self {
        let marker = Self::new(key, session, MARKER_TIME);
        Self { origin: Origin::Covered, rule_revision: MARKER_REVISION, ..marker }
    }

    /// Returns the version of a response that counts: the one with the greater [`version`](Self::version).
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        debug_assert_eq!(self.key, other.key, "only versions of one response are merged");
        if other.version() > self.version() { other } else { self }
    }
}
