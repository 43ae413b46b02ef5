//! Proptest strategies for the domain types.

use proptest::prelude::*;

use crate::{
    Assignment, Attribution, AttributionValue, HostName, Labels, ModelName, Origin, ProjectName, RequestId,
    ResponseKey, ResponseUsage, RuleRevision, ServiceTier, SessionId, Timestamp, TokenCounts,
};

/// Counts that the analyzer accepts, mostly small so that ties happen.
pub fn token_counts() -> impl Strategy<Value = TokenCounts> {
    let counter = || prop_oneof![4 => 0_u64..4, 1 => 0..=1_000_000_000_u64];
    (counter(), counter(), counter(), counter()).prop_map(|(input, output, cache_creation, cache_read)| {
        TokenCounts { input, output, cache_creation, cache_read }
    })
}

/// Times at which a narrower type for dates or times wraps or ends, in milliseconds: of dates in 16 bits (1970 to
/// 2149-06-06), of seconds in 31 and 32 bits (2038, 2106), and of [`Timestamp`] itself; and one of a wrong clock, in
/// 2205.
pub const OUTLYING_MILLIS: [i64; 8] = [
    Timestamp::MIN.as_millis(),
    86_400_000,
    2_147_483_648_000,
    4_294_967_296_000,
    5_662_310_399_999,
    5_662_310_400_000,
    7_416_230_400_000,
    Timestamp::MAX.as_millis(),
];

/// The origins of snapshots.
const ORIGINS: [Origin; 7] = [
    Origin::Assistant,
    Origin::Nested,
    Origin::Iterations,
    Origin::Advisor,
    Origin::Compaction,
    Origin::Declined,
    Origin::Other,
];

/// Attributions of few values, in which each field is sometimes set.
pub fn attribution() -> impl Strategy<Value = Attribution> {
    (any::<u16>(), 0_u8..2).prop_map(|(set, value)| {
        let value = AttributionValue::new(format!("n{value}")).ok();
        let mut fields = 0_u32..;
        let all = Attribution {
            branch: Some(()),
            client_version: Some(()),
            entrypoint: Some(()),
            effort: Some(()),
            agent_type: Some(()),
            skill: Some(()),
            plugin: Some(()),
            mcp_server: Some(()),
            mcp_tool: Some(()),
            speed: Some(()),
            inference_geo: Some(()),
            worktree: Some(()),
            fallback_credit: Some(()),
        };
        all.and_then(|()| value.clone().filter(|_| fields.next().is_some_and(|field| set >> field & 1 == 1)))
    })
}

/// Assignments of few values; mostly none.
pub fn assignment() -> impl Strategy<Value = Assignment> {
    let name = || proptest::option::of((0_u8..2).prop_map(|n| format!("n{n}")));
    let some = (name(), name(), name(), name()).prop_map(|(developer, team, tenant, environment)| {
        let value = |name: Option<String>| name.and_then(|name| AttributionValue::new(name).ok());
        let labels = [("tenant", tenant), ("environment", environment)];
        let labels = labels.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let labels = Labels::new(labels).expect("two short labels");
        Assignment { developer: value(developer), team: value(team), labels }
    });
    prop_oneof![2 => Just(Assignment::default()), 1 => some]
}

/// Responses with few keys, sessions, times and names, so that versions of one response meet and tie.
/// Some have a time that no clock should show.
pub fn response_usage() -> impl Strategy<Value = ResponseUsage> {
    let name = |count: u8| (0..count).prop_map(|n| format!("n{n}"));
    let usual =
        (0_i64..3, 0_i64..3).prop_map(|(days, millis)| 1_750_000_000_000 + days * 86_400_000 + millis);
    let instant = prop_oneof![9 => usual, 1 => proptest::sample::select(OUTLYING_MILLIS.to_vec())];
    let place =
        (0_u128..12, name(3), instant, proptest::option::of(name(2)), proptest::option::of(name(2)), name(2));
    let flags = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0_usize..ORIGINS.len(),
        proptest::option::of(name(2)),
    );
    let counted = || proptest::option::of(prop_oneof![4 => 0_u64..3, 1 => 0..=1_000_000_000_u64]);
    let attributed = (attribution(), counted(), counted(), counted(), proptest::option::of(name(2)));
    let revision = prop_oneof![4 => Just(RuleRevision::CURRENT), 1 => Just(RuleRevision::FIRST)];
    (place, flags, token_counts(), revision, attributed, assignment()).prop_map(
        |(place, flags, counts, revision, attributed, assignment)| {
            let (key, session, millis, model, project, host) = place;
            let (finished, sidechain, nested, forked, origin, tier) = flags;
            let session = SessionId::new(session).expect("a short name");
            let time = Timestamp::from_millis(millis).expect("a time in range");
            // Spread over all 128 bits, as hashes are.
            let mut row = ResponseUsage::new(ResponseKey(key.wrapping_mul(u128::MAX / 11)), session, time);
            row.model = model.and_then(|name| ModelName::new(name).ok());
            row.project = project.and_then(|name| ProjectName::new(name).ok());
            row.host = HostName::new(host).ok();
            row.service_tier = tier.and_then(|name| ServiceTier::new(name).ok());
            row.counts = counts;
            row.cache_creation_1h = counts.cache_creation / 2;
            row.cache_creation_5m = counts.cache_creation - row.cache_creation_1h;
            row.finished = finished;
            row.sidechain = sidechain;
            row.nested = nested;
            row.forked = forked;
            row.origin = ORIGINS[origin];
            row.rule_revision = revision;
            let (attribution, thinking, searches, fetches, request_id) = attributed;
            row.attribution = attribution.into();
            row.thinking_tokens = thinking.map(|tokens| tokens.min(counts.output));
            (row.web_search_requests, row.web_fetch_requests) = (searches, fetches);
            row.request_id = request_id.and_then(|id| RequestId::new(id).ok());
            row.assignment = assignment.into();
            row
        },
    )
}
