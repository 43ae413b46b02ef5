//! The order that decides which snapshot of a response counts.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64;

use crate::hex::{self, hex_serde};
use crate::{InvalidValue, Origin, ResponseUsage, RuleRevision, Timestamp, TokenCounts};

/// The version of a response's row: 256 bits that sort as the counting rule orders snapshots.
///
/// From the highest bit down:
///
/// | bits | content | greater means |
/// |---|---|---|
/// | 1 | 1 | revision 2 or later (in revision 1 it is `finished`, and nothing is above the output's 52 bits) |
/// | 8 | revision of the counting rule, the [first that counts so](RuleRevision::counts_as) | newer |
/// | 1 | covered | see [`Origin::Covered`] |
/// | 1 | finished | has a `stop_reason` and is worth tokens |
/// | 47 | output tokens | more |
/// | 49 | sum of the four counters | more |
/// | 1 | main | neither side chain nor nested |
/// | 1 | original | not forked |
/// | 4 | number of revisions since that one | newer |
/// | 44 | time, inverted | earlier |
/// | 35 | forced | number of force updates |
/// | 64 | hash of all other fields (of a forced row: of all) | a fixed choice among snapshots that are equal so far |
///
/// The hash of a row with an [`Assignment`](crate::Assignment) is (*h* / 2^24 + 1) · 2^24 + *a*, at most 2^64 - 1,
/// where *h* is its hash without the assignment, and *a* 24 bits of the hash of the assignment. So a row that is
/// assigned replaces the same row that is not, whichever comes first; between two assignments of the same row the
/// choice is fixed, too. A row without one keeps the hash from before assignments existed.
///
/// The sums of a session ([`Origin::Summed`]) and its analysis ([`Origin::Analysis`]) rank by the time of their
/// analysis instead: the newest wins. A row of revision 1 keeps the version that it was stored under. Its output
/// would have to exceed 2^44 tokens to reach the bits of a newer revision.
///
/// With the hash inside, equal versions are equal rows, so the order in which rows arrive does not matter.
/// The `forced` bits are above the hash, so that a forced row beats the row it replaced and every copy of it,
/// even from another host, and still loses to a snapshot that is greater by the rule.
///
/// As text, in JSON too, it is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseVersion {
    high: u128,
    low: u128,
}

hex_serde!(ResponseVersion, (u128, u128));

const OUTPUT_BITS: u32 = 47;
const TOTAL_BITS: u32 = 49;
/// The widths of revision 1, which had no bits for the revision.
const OUTPUT_BITS_1: u32 = 52;
const TOTAL_BITS_1: u32 = 54;
const TIME_BITS: u32 = 44;
const FORCED_BITS: u32 = 35;
const HASH_BITS: u32 = 64;
/// Enough bytes for the hashed fields of most rows.
const REST_BYTES: usize = 512;
const FORCED_MAX: u128 = (1 << FORCED_BITS) - 1;

impl ResponseVersion {
    /// Returns the 128 higher and the 128 lower bits.
    #[must_use]
    pub fn to_parts(self) -> (u128, u128) {
        (self.high, self.low)
    }

    /// Returns the version with these higher and lower bits.
    #[must_use]
    pub fn from_parts(high: u128, low: u128) -> Self {
        Self { high, low }
    }

    /// Returns the 256 bits as bytes, lowest first, as ClickHouse keeps a `UInt256`.
    #[must_use]
    pub fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.low.to_le_bytes());
        bytes[16..].copy_from_slice(&self.high.to_le_bytes());
        bytes
    }

    /// Returns the version of these bytes, lowest first.
    #[must_use]
    pub fn from_le_bytes(bytes: [u8; 32]) -> Self {
        let half = |at: usize| {
            let mut part = [0; 16];
            part.copy_from_slice(&bytes[at..at + 16]);
            u128::from_le_bytes(part)
        };
        Self { high: half(16), low: half(0) }
    }

    /// Returns the number of force updates behind this version.
    #[must_use]
    pub fn forced(self) -> u32 {
        u32::try_from(self.low >> HASH_BITS & FORCED_MAX).unwrap_or(u32::MAX)
    }

    /// Returns the version under which `row` replaces by force the row of this version. It has the same rank, so that
    /// a row that is greater by the rule still wins.
    #[must_use]
    pub fn replaced_by(self, row: &ResponseUsage) -> Self {
        let rank = self.low >> (HASH_BITS + FORCED_BITS) << (HASH_BITS + FORCED_BITS);
        let forced = u128::from(self.forced().saturating_add(1)) << HASH_BITS;
        Self { low: rank | forced | u128::from(assigned(full_hash(row), row)), ..self }
    }

    /// Returns whether a row that is stored under this version is unchanged since the bridge wrote it. A version is
    /// computed from the fields of its row, so a later change of either makes them disagree. The rank of a forced row
    /// is that of the replaced row, and the rank of a covered row is that of the row it covers: neither proves
    /// anything, so their hash covers all fields instead.
    #[must_use]
    pub fn verifies(self, row: &ResponseUsage) -> bool {
        let (hash, forced) = (self.low & u128::from(u64::MAX), self.low >> HASH_BITS & FORCED_MAX);
        if row.origin == Origin::Covered {
            let is_marker = row.counts.is_zero() && row.assignment.is_empty();
            return is_marker && forced == FORCED_MAX && hash == u128::from(full_hash(row));
        }
        if row.forced == 0 {
            return self == row.version();
        }
        forced == u128::from(row.forced) && hash == u128::from(assigned(full_hash(row), row))
    }

    /// Returns the version under which `covered` (a row of [`Origin::Covered`]) replaces whatever revision 1 stored
    /// under its key from snapshots of at most this weight, including copies with another time, session or host. A
    /// row that revision 1 stored from a greater snapshot, whose source is unavailable, stays greater.
    #[must_use]
    pub fn covering_revision_1(finished: bool, counts: &TokenCounts, covered: &ResponseUsage) -> Self {
        let ties = (1 << RANKED_TIE_BITS) - 1;
        let weight = weight_1(finished, counts.output, counts.total());
        Self { high: weight << RANKED_TIE_BITS | ties, low: covered_low(covered) }
    }
}

/// The bits of the higher half below the weight of a row: main, original and the time's first 19 bits.
const RANKED_TIE_BITS: u32 = 21;

/// Above every snapshot of equal weight: all bits but the hash.
fn covered_low(row: &ResponseUsage) -> u128 {
    u128::MAX << HASH_BITS | u128::from(full_hash(row))
}

/// Returns the weight of a row of revision 1, in 107 bits.
fn weight_1(finished: bool, output: u64, total: u64) -> u128 {
    u128::from(finished) << (OUTPUT_BITS_1 + TOTAL_BITS_1)
        | clamp(output, OUTPUT_BITS_1) << TOTAL_BITS_1
        | clamp(total, TOTAL_BITS_1)
}

/// The part of a [`ResponseVersion`] that the counting rule ranks by, without the hash. It is cheap to compute and
/// compare before there is a row. A greater rank is a greater version; between equal ranks the version decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResponseRank {
    /// The revision that counts as the one that made the snapshot's row ([`RuleRevision::counts_as`]).
    pub revision: RuleRevision,
    /// The snapshot has a `stop_reason` and, from revision 2 on, is worth tokens: a gateway's empty last chunk does not
    /// beat real counters.
    pub finished: bool,
    /// Its output tokens.
    pub output: u64,
    /// The sum of its four counters.
    pub total: u64,
    /// It is neither on a side chain nor nested in another record.
    pub main: bool,
    /// It was not copied by a fork.
    pub original: bool,
    /// The revision that made the row: of two that count alike, the newer one's rows say more.
    pub made_by: RuleRevision,
    /// Its time; the earlier one ranks higher.
    pub time: Reverse<Timestamp>,
}

impl ResponseUsage {
    /// Returns the rank of this row of a snapshot. See [`ResponseRank`].
    #[must_use]
    pub fn rank(&self) -> ResponseRank {
        let is_first = self.rule_revision == RuleRevision::FIRST;
        ResponseRank {
            revision: self.rule_revision.counts_as(),
            finished: self.finished && (is_first || !self.counts.is_zero()),
            output: self.counts.output,
            total: self.counts.total(),
            main: !(self.sidechain || self.nested),
            original: !self.forked,
            made_by: self.rule_revision,
            time: Reverse(self.time),
        }
    }

    /// Returns the version of this row. See [`ResponseVersion`].
    #[must_use]
    pub fn version(&self) -> ResponseVersion {
        if self.origin == Origin::Covered {
            return ResponseVersion { high: u128::MAX, low: covered_low(self) };
        }
        let (high, time_low) = ranked(self);
        let forced = u128::from(self.forced) << HASH_BITS;
        let hash = if self.is_ranked_by_analysis() { full_hash(self) } else { rest_hash(self) };
        let low = time_low << (HASH_BITS + FORCED_BITS) | forced | u128::from(assigned(hash, self));
        ResponseVersion { high, low }
    }

    /// Revision 1 stored the sums of each analysis under a key of its own and ranked them as snapshots.
    fn is_ranked_by_analysis(&self) -> bool {
        match self.origin {
            Origin::Summed => self.rule_revision > RuleRevision::FIRST,
            origin => origin == Origin::Analysis,
        }
    }
}

/// Returns the rank as a number: 128 bits from `finished` down to the time's first bits, and the time's remaining bits.
fn ranked(row: &ResponseUsage) -> (u128, u128) {
    if row.is_ranked_by_analysis() {
        // 10 bits, then the time's 48 and the total's 49.
        let millis = u128::from(row.time.as_millis().unsigned_abs()) & ((1 << TIME_BITS) - 1);
        let total = clamp(row.counts.total(), TOTAL_BITS);
        return (revision_bits(row.rule_revision.counts_as()) << 118 | millis << 70 | total << 21, 0);
    }
    let rank = row.rank();
    let refined = row.rule_revision.0 - rank.revision.0;
    let earliness = u128::from(refined) << TIME_BITS | earliness(row.time);
    let weight = if row.rule_revision == RuleRevision::FIRST {
        weight_1(rank.finished, rank.output, rank.total)
    } else {
        // 10 bits + 1 + 47 + 49 = 107, as in revision 1.
        revision_bits(rank.revision) << 97
            | u128::from(rank.finished) << 96
            | clamp(rank.output, OUTPUT_BITS) << TOTAL_BITS
            | clamp(rank.total, TOTAL_BITS)
    };
    let front = weight << 2 | u128::from(rank.main) << 1 | u128::from(rank.original);
    (front << 19 | earliness >> 29, earliness & ((1 << 29) - 1))
}

/// Returns the ten highest bits of a row that is not covered: 1, the revision, 0.
fn revision_bits(revision: RuleRevision) -> u128 {
    1 << 9 | u128::from(revision.0) << 1
}

fn clamp(count: u64, bits: u32) -> u128 {
    u128::from(count.min((1 << bits) - 1))
}

fn earliness(time: Timestamp) -> u128 {
    const _: () = assert!(10_413_791_999_999_u64 < 1 << TIME_BITS);
    let late = u128::from((Timestamp::MAX.as_millis() - time.as_millis()).unsigned_abs());
    late & ((1 << TIME_BITS) - 1)
}

/// Returns a hash of every field that the rank does not determine, including the host.
fn rest_hash(row: &ResponseUsage) -> u64 {
    let mut bytes = Vec::with_capacity(REST_BYTES);
    let numbers = [
        row.counts.input,
        row.counts.output,
        row.counts.cache_creation,
        row.counts.cache_read,
        row.cache_creation_5m,
        row.cache_creation_1h,
        flags(row),
        match row.origin {
            Origin::Assistant => 0,
            Origin::Nested => 1,
            Origin::Iterations => 2,
            Origin::Advisor => 3,
            Origin::Summed => 4,
            Origin::Compaction => 5,
            Origin::Declined => 6,
            Origin::Other => 7,
            Origin::Covered => 8,
            Origin::Analysis => 9,
        },
    ];
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let texts = [
        Some(row.session.as_str()),
        row.model.as_ref().map(|name| name.as_str()),
        row.project.as_ref().map(|name| name.as_str()),
        row.host.as_ref().map(|name| name.as_str()),
        row.agent.as_ref().map(|name| name.as_str()),
        row.service_tier.as_ref().map(|name| name.as_str()),
    ];
    for text in texts {
        let text = text.unwrap_or_default();
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    put_attribution(row, &mut bytes);
    xxh3_64(&bytes)
}

/// Appends what is set, each value after its number: rows without any keep the hash from before these fields existed.
fn put_attribution(row: &ResponseUsage, bytes: &mut Vec<u8>) {
    let request_id = row.request_id.as_ref().map(|id| id.as_str());
    let values = row.attribution.values().map(|(_, value)| value.map(|value| value.as_str()));
    for (number, text) in (0_u8..).zip([request_id].into_iter().chain(values)) {
        if let Some(text) = text {
            bytes.push(number);
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    let numbers = [row.thinking_tokens, row.web_search_requests, row.web_fetch_requests];
    for (number, count) in (FIRST_NUMBER..).zip(numbers) {
        if let Some(count) = count {
            bytes.push(number);
            bytes.extend_from_slice(&count.to_le_bytes());
        }
    }
}

/// Leaves room for more texts in an attribution.
const FIRST_NUMBER: u8 = 128;

/// Returns the flags that the rank does not determine: since revision 2 also `finished` of a row worth no tokens.
fn flags(row: &ResponseUsage) -> u64 {
    let flags = u64::from(row.sidechain) | u64::from(row.nested) << 1;
    if row.rule_revision == RuleRevision::FIRST {
        return flags;
    }
    flags | u64::from(row.finished) << 2 | u64::from(row.weak_key) << 3
}

/// Returns a hash of every field, because the rank of a forced row is another row's, and that of sums determines few
/// fields.
fn full_hash(row: &ResponseUsage) -> u64 {
    let ranked = [
        rest_hash(row),
        row.time.as_millis().unsigned_abs(),
        u64::from(row.finished) | u64::from(row.forked) << 1 | revision_of_hash(row) << 2,
    ];
    let mut bytes = ranked.map(u64::to_le_bytes).concat();
    // Rows without a note keep the hash from before notes existed.
    bytes.extend_from_slice(row.note.as_ref().map_or("", |note| note.as_str()).as_bytes());
    xxh3_64(&bytes)
}

/// The bits of the assignment's hash.
const ASSIGNMENT_BITS: u32 = 24;

/// Returns the hash of a row with its assignment, whose hash without it is this.
fn assigned(hash: u64, row: &ResponseUsage) -> u64 {
    if row.assignment.is_empty() {
        return hash;
    }
    let next = (hash >> ASSIGNMENT_BITS).saturating_add(1).min(u64::MAX >> ASSIGNMENT_BITS);
    next << ASSIGNMENT_BITS | assignment_hash(row) >> (HASH_BITS - ASSIGNMENT_BITS)
}

fn assignment_hash(row: &ResponseUsage) -> u64 {
    let texts = [&row.assignment.developer, &row.assignment.team]
        .map(|value| value.as_ref().map(|value| value.as_str()));
    let labels =
        row.assignment.labels.iter().flat_map(|(name, value)| [Some(name.as_str()), Some(value.as_str())]);
    let mut bytes = Vec::new();
    for text in texts.into_iter().chain(labels) {
        let text = text.unwrap_or_default();
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh3_64(&bytes)
}

/// Zero in revision 1, whose hashes did not include the revision.
fn revision_of_hash(row: &ResponseUsage) -> u64 {
    u64::from(row.rule_revision.0.saturating_sub(RuleRevision::FIRST.0))
}

impl fmt::Display for ResponseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}{:032x}", self.high, self.low)
    }
}

impl From<(u128, u128)> for ResponseVersion {
    /// Returns the version with these higher and lower bits.
    fn from((high, low): (u128, u128)) -> Self {
        Self { high, low }
    }
}

impl From<ResponseVersion> for (u128, u128) {
    fn from(version: ResponseVersion) -> Self {
        version.to_parts()
    }
}

impl FromStr for ResponseVersion {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let halves = || {
            let (high, low) = text.split_at_checked(32)?;
            Some(Self { high: hex::parse(high)?, low: hex::parse(low)? })
        };
        halves().ok_or(InvalidValue::new("response version", "have 64 hexadecimal digits"))
    }
}
