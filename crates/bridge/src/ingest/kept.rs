//! The records of this host's files, kept in memory between synchronizations.
//!
//! They are valid as long as they are what the store holds: a synchronization compares the store's epoch, and the digest
//! of its records, and reads all of them again if either differs. So it does not matter who changed them: another
//! program, a rollback, an import or an administrator.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bridge_core::BridgeError;
use bridge_storage::SourceRecord;

use crate::ingest::Ingest;
use crate::ingest::cursors::{KnownFiles, known_files};

/// The records that were read last, and those that were written since.
#[derive(Debug, Default)]
pub(crate) struct KeptFiles {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    Kept(Box<KnownFiles>),
    /// A synchronization has them. These were written meanwhile.
    InUse(Vec<SourceRecord>),
}

/// Number of records that may be written during a synchronization. After more, reading them again is not worth avoiding.
const WRITTEN_MAX: usize = 10_000;

impl KeptFiles {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the records for a synchronization, which gives them back when it has succeeded.
    fn take(&self) -> Option<KnownFiles> {
        match std::mem::replace(&mut *self.state(), State::InUse(Vec::new())) {
            State::Kept(known) => Some(*known),
            State::Nothing | State::InUse(_) => None,
        }
    }

    /// Keeps the records of a synchronization together with what was written since it took them.
    pub(crate) fn give_back(&self, mut known: KnownFiles) {
        let mut state = self.state();
        if let State::InUse(written) = &*state {
            known.take_over(written);
            *state = State::Kept(Box::new(known));
        }
    }

    /// Notes records that the store has taken.
    pub(crate) fn note_written(&self, records: &[SourceRecord]) {
        let mut state = self.state();
        match &mut *state {
            State::Nothing => {}
            State::Kept(known) => known.take_over(records),
            State::InUse(written) if written.len() + records.len() <= WRITTEN_MAX => {
                written.extend_from_slice(records);
            }
            State::InUse(_) => *state = State::Nothing,
        }
    }
}

/// Returns the records of this host's files, as [`known_files`] reads them, from memory if the store still holds the same.
pub(crate) async fn kept_files(ingest: &Ingest, operation: &'static str) -> Result<KnownFiles, BridgeError> {
    let kept = ingest.kept.take();
    if let Some((kept, hosts)) = kept.zip(ingest.store.hosts()) {
        let answers = tokio::try_join!(ingest.writable_epoch(operation), hosts.sources_digest(&ingest.host));
        match answers {
            Ok(answers) if answers == (kept.epoch(), kept.digest()) => return Ok(kept),
            Ok(_) => drop(kept),
            Err(error) => {
                ingest.kept.give_back(kept);
                return Err(error);
            }
        }
    }
    known_files(ingest, operation).await
}
