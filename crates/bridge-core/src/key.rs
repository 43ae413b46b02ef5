//! The response key: which snapshots are the same response.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::hex::{self, hex_text};
use crate::{Origin, SessionId, TokenCounts};

/// Identifies one API response, over all files, copies and machines.
///
/// 128 bits, derived from the record alone (never from where it was read): that is what makes the
/// store independent of order. The derivation is part of the stored format and never changes.
///
/// As text, in JSON too, it is 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseKey(pub u128);

hex_text!(ResponseKey, "response key", 32, u128);

/// A `message.id` of this many bytes or more is unique by itself: the API's own ids. Shorter ones are
/// made by gateways and fixtures, which reuse them.
const UNIQUE_MESSAGE_ID_BYTES_MIN: usize = 20;

impl ResponseKey {
    /// The key of a snapshot with a `message.id`; of a short id the `request_id` (empty if there is
    /// none) is a part.
    ///
    /// Takes bytes, because a JSON string may hold what is no UTF-8 once its escapes are decoded.
    #[must_use]
    pub fn of_message(message_id: impl AsRef<[u8]>, request_id: impl AsRef<[u8]>) -> Self {
        let id = message_id.as_ref();
        if id.len() >= UNIQUE_MESSAGE_ID_BYTES_MIN {
            Self::hash(b'm', &[id])
        } else {
            Self::hash(b'p', &[id, request_id.as_ref()])
        }
    }

    /// The key of a snapshot without a `message.id`: the `uuid` beside the message.
    #[must_use]
    pub fn of_uuid(uuid: impl AsRef<[u8]>) -> Self {
        Self::hash(b'u', &[uuid.as_ref()])
    }

    /// The key of a snapshot with neither id: the record's own bytes and the snapshot's place in it.
    #[must_use]
    pub fn of_record(record: &[u8], index: u64) -> Self {
        Self::hash(b'r', &[record, &index.to_le_bytes()])
    }

    /// The weak key of a snapshot with a short `message.id` and no request id.
    ///
    /// Gateways answer every request with one such id. The input side of the usage is equal on all lines of one
    /// response and different from turn to turn (`output` grows from line to line, so it is no part of the key).
    #[must_use]
    pub fn of_weak_message(message_id: impl AsRef<[u8]>, counts: &TokenCounts) -> Self {
        let counters = [counts.input, counts.cache_creation, counts.cache_read].map(u64::to_le_bytes);
        Self::hash(b'w', &[message_id.as_ref(), &counters[0], &counters[1], &counters[2]])
    }

    /// Returns whether a `message.id` identifies a response without a request id.
    #[must_use]
    pub fn is_unique_message_id(message_id: impl AsRef<[u8]>) -> bool {
        message_id.as_ref().len() >= UNIQUE_MESSAGE_ID_BYTES_MIN
    }

    /// The key of the response at `position` of the `iterations` of this response, for the origins that are responses
    /// of their own.
    #[must_use]
    pub fn iteration(self, origin: Origin, position: u64) -> Self {
        let kind = match origin {
            Origin::Compaction => b'c',
            Origin::Declined => b'd',
            Origin::Other => b'o',
            // The only one of revision 1, and the same key in every revision.
            _ => b'a',
        };
        Self::hash(kind, &[&self.0.to_le_bytes(), &position.to_le_bytes()])
    }

    /// The key of the sums that a session's analyses bring without responses.
    #[must_use]
    pub fn of_session_sums(session: &SessionId) -> Self {
        Self::hash(b'S', &[session.as_str().as_bytes()])
    }

    /// The key under which a session's newest analysis is noted. See [`Origin::Analysis`].
    #[must_use]
    pub fn of_session_analysis(session: &SessionId) -> Self {
        Self::hash(b'A', &[session.as_str().as_bytes()])
    }

    /// The key under which revision 1 stored the sums of each analysis: what a migration replaces.
    #[must_use]
    pub fn of_analysis_1(analysis: impl AsRef<[u8]>) -> Self {
        Self::hash(b's', &[analysis.as_ref()])
    }

    /// Hashes the parts with their lengths, so that no two lists of parts look alike.
    fn hash(kind: u8, parts: &[&[u8]]) -> Self {
        // Ids are short, and laid out in one piece they hash five times as fast as piece by piece.
        let mut piece = [0; SHORT_BYTES_MAX];
        if let Some(bytes) = in_one_piece(&mut piece, kind, parts) {
            return Self(xxh3_128(bytes));
        }
        let mut hasher = Xxh3::new();
        hasher.update(&[kind]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.digest128())
    }
}

/// Parts that take no more bytes than this together are hashed in one piece.
const SHORT_BYTES_MAX: usize = 192;

/// The kind and the parts with their lengths, one behind the other; `None` where they do not fit.
fn in_one_piece<'p>(piece: &'p mut [u8; SHORT_BYTES_MAX], kind: u8, parts: &[&[u8]]) -> Option<&'p [u8]> {
    piece[0] = kind;
    let mut end = 1;
    for part in parts {
        piece.get_mut(end..end + 8)?.copy_from_slice(&(part.len() as u64).to_le_bytes());
        piece.get_mut(end + 8..end + 8 + part.len())?.copy_from_slice(part);
        end += 8 + part.len();
    }
    Some(&piece[..end])
}

impl fmt::Display for ResponseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<u128> for ResponseKey {
    fn from(number: u128) -> Self {
        Self(number)
    }
}

impl From<ResponseKey> for u128 {
    fn from(key: ResponseKey) -> Self {
        key.0
    }
}

impl ResponseKey {
    fn from_hex(text: &str) -> Option<Self> {
        hex::number(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "msg_0123456789abcdef";

    #[test]
    fn a_long_message_id_is_unique_alone_and_a_short_one_is_not() {
        assert_eq!(LONG.len(), 20);
        assert_eq!(ResponseKey::of_message(LONG, "a"), ResponseKey::of_message(LONG, "b"));
        assert_ne!(ResponseKey::of_message(&LONG[1..], "a"), ResponseKey::of_message(&LONG[1..], "b"));
    }

    #[test]
    fn the_kinds_and_the_borders_between_parts_are_kept_apart() {
        assert_ne!(ResponseKey::of_message("ab", "c"), ResponseKey::of_message("a", "bc"));
        assert_ne!(ResponseKey::of_uuid("a"), ResponseKey::of_record(b"a", 0));
        let parent = ResponseKey::of_uuid("a");
        let origins = [Origin::Advisor, Origin::Compaction, Origin::Declined, Origin::Other];
        let mut keys: Vec<_> =
            origins.iter().flat_map(|origin| (0..2).map(|place| parent.iteration(*origin, place))).collect();
        keys.push(parent);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 9);
    }

    #[test]
    fn a_weak_key_depends_on_the_input_side_alone() {
        let counts = |input, output| TokenCounts { input, output, cache_creation: 3, cache_read: 4 };
        let key = |counts| ResponseKey::of_weak_message("msg_proxy_stream", &counts);
        assert_eq!(key(counts(1, 1)), key(counts(1, 250)));
        assert_ne!(key(counts(1, 1)), key(counts(2, 1)));
        assert_ne!(key(counts(1, 1)), ResponseKey::of_message("msg_proxy_stream", ""));
    }

    #[test]
    fn a_key_is_the_same_in_one_piece_and_in_several() {
        for bytes in 0..3 * SHORT_BYTES_MAX {
            let id = "i".repeat(bytes);
            let mut hasher = Xxh3::new();
            hasher.update(b"u");
            hasher.update(&(bytes as u64).to_le_bytes());
            hasher.update(id.as_bytes());
            assert_eq!(ResponseKey::of_uuid(&id).0, hasher.digest128(), "{bytes}");
        }
    }

    /// The derivation is a stored format: this value must never change.
    #[test]
    fn the_derivation_is_fixed() {
        assert_eq!(ResponseKey::of_uuid("a").to_string(), "0eead56f94306c199fd67a31e760efc0");
    }
}
