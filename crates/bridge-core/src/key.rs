//! The response key: the identity of a response.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::hex::hex_id;
use crate::{Origin, SessionId, TokenCounts};

/// Identifies one API response across all files, copies and hosts.
///
/// 128 bits, derived from the record alone and never from where it was read. This makes the stored result
/// independent of reading order. The derivation is part of the stored format and never changes.
///
/// Text and JSON form: 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseKey(pub u128);

hex_id!(ResponseKey, "response key");

/// Minimum length of a `message.id` that is unique by itself. The API's own ids are longer; shorter ones come from
/// gateways and fixtures, which reuse them.
const UNIQUE_MESSAGE_ID_BYTES_MIN: usize = 20;

impl ResponseKey {
    /// Returns the key of a snapshot with a `message.id`. The `request_id` (empty if absent) is included if the id is
    /// short.
    ///
    /// Takes bytes, because a JSON string may decode to something that is not UTF-8.
    #[must_use]
    pub fn of_message(message_id: impl AsRef<[u8]>, request_id: impl AsRef<[u8]>) -> Self {
        let id = message_id.as_ref();
        if id.len() >= UNIQUE_MESSAGE_ID_BYTES_MIN {
            Self::hash(b'm', &[id])
        } else {
            Self::hash(b'p', &[id, request_id.as_ref()])
        }
    }

    /// Returns the key of a snapshot without a `message.id`, from the record's `uuid`.
    #[must_use]
    pub fn of_uuid(uuid: impl AsRef<[u8]>) -> Self {
        Self::hash(b'u', &[uuid.as_ref()])
    }

    /// Returns the key of a snapshot with neither id, from the record's bytes and the snapshot's index in it.
    #[must_use]
    pub fn of_record(record: &[u8], index: u64) -> Self {
        Self::hash(b'r', &[record, &index.to_le_bytes()])
    }

    /// Returns the weak key of a snapshot with a short `message.id` and no request id.
    ///
    /// Some gateways answer every request with the same id. The input counters are equal on all lines of a response and
    /// differ from turn to turn; `output` grows from line to line and is therefore not part of the key.
    #[must_use]
    pub fn of_weak_message(message_id: impl AsRef<[u8]>, counts: &TokenCounts) -> Self {
        let counters = [counts.input, counts.cache_creation, counts.cache_read].map(u64::to_le_bytes);
        Self::hash(b'w', &[message_id.as_ref(), &counters[0], &counters[1], &counters[2]])
    }

    /// Returns whether this `message.id` identifies a response without a request id.
    #[must_use]
    pub fn is_unique_message_id(message_id: impl AsRef<[u8]>) -> bool {
        message_id.as_ref().len() >= UNIQUE_MESSAGE_ID_BYTES_MIN
    }

    /// Returns the key of the iteration at `position` of this response, for origins that are separate responses.
    #[must_use]
    pub fn iteration(self, origin: Origin, position: u64) -> Self {
        let kind = match origin {
            Origin::Compaction => b'c',
            Origin::Declined => b'd',
            Origin::Other => b'o',
            // Advisors: the only kind in revision 1, with the same key in every revision.
            _ => b'a',
        };
        Self::hash(kind, &[&self.0.to_le_bytes(), &position.to_le_bytes()])
    }

    /// Returns the key of a session's sums, stored for analyses without responses.
    #[must_use]
    pub fn of_session_sums(session: &SessionId) -> Self {
        Self::hash(b'S', &[session.as_str().as_bytes()])
    }

    /// Returns the key of a session's newest analysis. See [`Origin::Analysis`].
    #[must_use]
    pub fn of_session_analysis(session: &SessionId) -> Self {
        Self::hash(b'A', &[session.as_str().as_bytes()])
    }

    /// Returns the key under which revision 1 stored the sums of an analysis; a migration replaces it.
    #[must_use]
    pub fn of_analysis_1(analysis: impl AsRef<[u8]>) -> Self {
        Self::hash(b's', &[analysis.as_ref()])
    }

    /// Hashes the parts with their lengths, so that different lists of parts never yield the same bytes.
    fn hash(kind: u8, parts: &[&[u8]]) -> Self {
        // Ids are short, and hashing one contiguous buffer is five times as fast as streaming the parts.
        let mut buffer = [0; BUFFER_BYTES];
        if let Some(bytes) = concatenate(&mut buffer, kind, parts) {
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

/// Size of the stack buffer for kind and parts.
const BUFFER_BYTES: usize = 192;

/// Writes the kind and the parts with their lengths to the buffer; `None` if they do not fit.
fn concatenate<'b>(buffer: &'b mut [u8; BUFFER_BYTES], kind: u8, parts: &[&[u8]]) -> Option<&'b [u8]> {
    buffer[0] = kind;
    let mut end = 1;
    for part in parts {
        buffer.get_mut(end..end + 8)?.copy_from_slice(&(part.len() as u64).to_le_bytes());
        buffer.get_mut(end + 8..end + 8 + part.len())?.copy_from_slice(part);
        end += 8 + part.len();
    }
    Some(&buffer[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "msg_0123456789abcdef";

    #[test]
    fn only_long_message_ids_are_unique_by_themselves() {
        assert_eq!(LONG.len(), 20);
        assert_eq!(ResponseKey::of_message(LONG, "a"), ResponseKey::of_message(LONG, "b"));
        assert_ne!(ResponseKey::of_message(&LONG[1..], "a"), ResponseKey::of_message(&LONG[1..], "b"));
    }

    #[test]
    fn kinds_and_part_borders_give_different_keys() {
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
    fn weak_key_depends_on_input_counters_only() {
        let counts = |input, output| TokenCounts { input, output, cache_creation: 3, cache_read: 4 };
        let key = |counts| ResponseKey::of_weak_message("msg_proxy_stream", &counts);
        assert_eq!(key(counts(1, 1)), key(counts(1, 250)));
        assert_ne!(key(counts(1, 1)), key(counts(2, 1)));
        assert_ne!(key(counts(1, 1)), ResponseKey::of_message("msg_proxy_stream", ""));
    }

    #[test]
    fn buffered_and_streamed_hashes_are_equal() {
        for bytes in 0..3 * BUFFER_BYTES {
            let id = "i".repeat(bytes);
            let mut hasher = Xxh3::new();
            hasher.update(b"u");
            hasher.update(&(bytes as u64).to_le_bytes());
            hasher.update(id.as_bytes());
            assert_eq!(ResponseKey::of_uuid(&id).0, hasher.digest128(), "{bytes}");
        }
    }

    /// The derivation is part of the stored format: this value must never change.
    #[test]
    fn derivation_never_changes() {
        assert_eq!(ResponseKey::of_uuid("a").to_string(), "0eead56f94306c199fd67a31e760efc0");
    }
}
