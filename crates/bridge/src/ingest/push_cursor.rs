//! The cursor of pushed entries. They have no file, so it is recorded in those fields of a file's cursor that
//! identify the file.

use bridge_analysis::incremental::FileState;
use bridge_storage::SourceCursor;

use crate::ingest::overlap::{Chain, StoredEntries};

/// The entries of a stream that are stored, and its generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PushCursor {
    /// Recorded as the lines, the fingerprint and the identity.
    pub(crate) stored: StoredEntries,
    /// Grows when another stream takes the name. Recorded as the time of the last change: records with a later one
    /// replace the others, even if their stream is shorter.
    pub(crate) generation: u64,
}

impl From<&SourceCursor> for PushCursor {
    fn from(cursor: &SourceCursor) -> Self {
        let stored = StoredEntries {
            number: cursor.line,
            chain: Chain(u64::try_from(cursor.fingerprint).unwrap_or_default()),
            before_last_push: Chain(cursor.identity),
        };
        Self { stored, generation: cursor.changed_nanos }
    }
}

impl PushCursor {
    /// Returns the cursor of another stream of the same name, of which nothing is stored.
    pub(crate) fn replaced(self) -> Self {
        Self { stored: StoredEntries::default(), generation: self.generation.saturating_add(1) }
    }

    /// Writes it, except for the number of entries, which reading counts.
    pub(crate) fn write_to(&self, state: &mut FileState) {
        state.fingerprint = u128::from(self.stored.chain.0);
        state.identity = self.stored.before_last_push.0;
        state.changed_nanos = self.generation;
    }
}
