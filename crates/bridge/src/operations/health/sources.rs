//! Transcripts that cannot be read, and changes that are not stored yet.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_analysis::{SourceFile, discover};
use bridge_core::Timestamp;
use bridge_storage::NewestSource;

use crate::ingest::Ingest;
use crate::operations::client_settings::Retentions;
use crate::telemetry::log::with_cause;

/// Maximum number of errors kept.
const ERRORS_MAX: usize = 100;

/// The time within which the deletion of a transcript that is not stored is a warning.
pub(super) const EXPIRING_WITHIN: Duration = Duration::from_hours(72);

/// The result of a scan of the transcripts. Small, however many there are.
#[derive(Debug, Default)]
pub(super) struct Transcripts {
    /// Number of folders scanned.
    pub(super) roots: usize,
    /// Errors of unreadable sources.
    pub(super) errors: Vec<String>,
    /// When each was modified, earliest first. Empty files have nothing to store.
    modified: Vec<Timestamp>,
    empty_files: usize,
    /// When those that the client will delete soon were modified.
    expiring: Vec<Timestamp>,
}

/// When an earlier check first saw that something is not stored yet. A file that is written all the time only shows its
/// last change.
#[derive(Debug, Default)]
pub(super) struct PendingSince(Mutex<Option<FirstSeen>>);

#[derive(Debug, Clone, Copy)]
struct FirstSeen {
    since: Timestamp,
    /// The position that was stored then. When it advances, the wait starts over.
    newest: Option<NewestSource>,
}

impl Transcripts {
    /// Scans all transcripts. A scan that hangs (for example on a network folder) holds one thread, and the next waits
    /// for it.
    pub(super) async fn scan(ingest: &Ingest, turn: &Arc<tokio::sync::Mutex<()>>) -> Arc<Self> {
        let turn = Arc::clone(turn).lock_owned().await;
        let (roots, now) = (ingest.source_roots(), ingest.clock.now());
        let managed = ingest.managed_settings.clone();
        let scanning = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            Self::below(&roots, now, &managed)
        });
        let died = |error: tokio::task::JoinError| Self {
            roots: 1,
            errors: vec![format!("the scan of the transcripts failed: {error}")],
            ..Self::default()
        };
        Arc::new(scanning.await.unwrap_or_else(died))
    }

    fn below(roots: &[PathBuf], now: Timestamp, managed: &Path) -> Self {
        let found = discover(roots);
        let mut errors: Vec<String> =
            found.errors.iter().take(ERRORS_MAX).map(|error| with_cause(error)).collect();
        let newest = found.files.iter().filter(|file| file.size > 0).max_by_key(|file| file.modified);
        if let Some(Err(error)) = newest.map(|file| read_a_byte(&file.path).map_err(|error| (file, error))) {
            errors.push(format!("{}: {}", error.0.path.display(), error.1));
        }
        let has_content = |file: &&SourceFile| file.size > 0;
        let mut modified: Vec<_> = found.files.iter().filter(has_content).map(|file| file.modified).collect();
        modified.sort_unstable();
        let (retentions, soon) =
            (Retentions::read(managed, &found.files), now.saturating_add(EXPIRING_WITHIN));
        let expires_soon = |file: &&SourceFile| {
            retentions.expiry(&file.path, file.modified).is_some_and(|expiry| expiry <= soon)
        };
        let expiring = found.files.iter().filter(has_content).filter(|file| expires_soon(file));
        let expiring = expiring.map(|file| file.modified).collect();
        let empty_files = found.files.len() - modified.len();
        Self { roots: roots.len(), errors, empty_files, modified, expiring }
    }

    /// Returns the number of transcripts that the client will delete soon and that were modified after everything that
    /// is stored.
    pub(super) fn expiring(&self, newest: Option<NewestSource>) -> usize {
        let stored_until = newest.map(|newest| newest.modified);
        self.expiring.iter().filter(|modified| Some(**modified) > stored_until).count()
    }

    pub(super) fn files(&self) -> usize {
        self.modified.len() + self.empty_files
    }

    /// Returns how long a change has been waiting to be stored; `None` if all are stored. Files with a time after `now`
    /// are ignored, here and in the store, because as the newest they would hide every other change until then.
    pub(super) fn unread(
        &self,
        newest: Option<NewestSource>,
        now: Timestamp,
        earlier: &PendingSince,
    ) -> Option<Duration> {
        let stored_until = newest.map(|newest| newest.modified);
        let first_later = self.modified.partition_point(|modified| Some(*modified) <= stored_until);
        let mut seen = earlier.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = self.modified.get(first_later).filter(|oldest| **oldest <= now);
        let Some(oldest) = oldest else {
            *seen = None;
            return None;
        };
        let since = match *seen {
            Some(seen) if seen.newest == newest => seen.since.min(*oldest),
            _ => *oldest,
        };
        *seen = Some(FirstSeen { since, newest });
        Some(now.saturating_since(since))
    }
}

fn read_a_byte(path: &Path) -> io::Result<()> {
    File::open(path)?.read(&mut [0]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(1_772_323_200_000 + minute * 60_000).unwrap()
    }

    fn files(minutes: &[i64]) -> Transcripts {
        Transcripts { modified: minutes.iter().map(|minute| at(*minute)).collect(), ..Transcripts::default() }
    }

    fn stored(minute: i64) -> Option<NewestSource> {
        Some(NewestSource { modified: at(minute), read_at: at(minute) })
    }

    fn minutes(time: Option<Duration>) -> Option<u64> {
        time.map(|time| time.as_secs() / 60)
    }

    #[test]
    fn the_oldest_change_that_is_not_stored_counts() {
        let unread =
            |files: &Transcripts, newest| minutes(files.unread(newest, at(100), &PendingSince::default()));
        assert_eq!(unread(&files(&[]), None), None);
        assert_eq!(unread(&files(&[10, 90]), None), Some(90));
        assert_eq!(unread(&files(&[10, 90, 95]), stored(10)), Some(10));
        assert_eq!(unread(&files(&[10, 90]), stored(90)), None);
    }

    #[test]
    fn a_file_from_the_future_hides_no_other() {
        let unread =
            |newest| minutes(files(&[10, 90, 500]).unread(newest, at(100), &PendingSince::default()));
        assert_eq!((unread(stored(10)), unread(stored(90))), (Some(10), None));
    }

    #[test]
    fn a_constantly_written_file_does_not_hide_the_lag() {
        let earlier = PendingSince::default();
        let unread = |minute, newest| minutes(files(&[minute]).unread(newest, at(minute), &earlier));
        assert_eq!(
            [unread(10, stored(5)), unread(20, stored(5)), unread(30, stored(5))],
            [Some(0), Some(10), Some(20)]
        );
        // It was stored meanwhile, if not to the end.
        assert_eq!(unread(40, stored(35)), Some(0));
        assert_eq!(unread(40, stored(40)), None);
    }
}
