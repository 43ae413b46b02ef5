//! Finds the transcripts that the client is going to delete and that are not stored.

use std::path::PathBuf;
use std::time::Duration;

use bridge_core::{BridgeError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ingest::cursors::known_files;
use crate::ingest::plan::{ReadPlan, SyncMode};
use crate::ingest::{Ingest, analysis_died};
use crate::operations::client_settings::{Retentions, TranscriptRetention};

/// The transcripts that the client is going to delete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExpiringTranscripts {
    /// Those that are not stored, or not to their end, the first to be deleted first.
    pub unstored: Vec<ExpiringTranscript>,
    /// The number of those that are stored.
    pub stored: u64,
    /// How long the client keeps transcripts, by the folder of its configuration.
    pub retention: Vec<TranscriptRetention>,
    /// Files and folders that could not be read, and why: nothing is known about them.
    pub errors: Vec<String>,
}

/// A transcript that the client is going to delete, and that is not stored to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExpiringTranscript {
    /// Its path.
    pub path: PathBuf,
    /// Bytes that are not stored.
    pub unstored_bytes: u64,
    /// Last modification time, from which the client counts.
    pub modified: Timestamp,
    /// When the client deletes it, at its next start.
    pub expires_at: Timestamp,
}

/// Returns the transcripts on this machine that the client will delete within this time and that are not stored.
pub(crate) async fn expiring(ingest: &Ingest, within: Duration) -> Result<ExpiringTranscripts, BridgeError> {
    let (found, known) = tokio::try_join!(ingest.discover(), known_files(ingest, "expiring_transcripts"))?;
    let (now, threads) = (ingest.clock.now(), ingest.reading_threads(None));
    let managed = ingest.managed_settings.clone();
    let work = move || {
        let mut expiring = ExpiringTranscripts::default();
        let retention = Retentions::read(&managed, &found.files);
        let limit = now.saturating_add(within);
        let mut due = found;
        due.files.retain(|file| {
            retention.expiry(&file.path, file.modified).is_some_and(|expires_at| expires_at <= limit)
        });
        let all = due.files.len() as u64;
        let plan = ReadPlan::recorded(due, known, SyncMode::Incremental, None, threads);
        for (file, unstored_bytes) in plan.unread() {
            let Some(expires_at) = retention.expiry(&file.path, file.modified) else { continue };
            let (path, modified) = (file.path.clone(), file.modified);
            expiring.unstored.push(ExpiringTranscript { path, unstored_bytes, modified, expires_at });
        }
        expiring.unstored.sort_by(|a, b| (a.expires_at, &a.path).cmp(&(b.expires_at, &b.path)));
        expiring.errors = plan.errors().map(ToString::to_string).collect();
        expiring.stored = all.saturating_sub((expiring.unstored.len() + expiring.errors.len()) as u64);
        expiring.retention = retention.into_all();
        expiring
    };
    tokio::task::spawn_blocking(work).await.map_err(analysis_died)
}
