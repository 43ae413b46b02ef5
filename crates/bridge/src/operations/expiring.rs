//! Finds the transcripts that the client is going to delete and that are not stored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bridge_core::{BridgeError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ingest::cursors::known_files;
use crate::ingest::plan::{ReadPlan, SyncMode};
use crate::ingest::{Ingest, analysis_died};

/// The days after which the client deletes a transcript, unless its settings say otherwise.
const DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

/// Settings of the client are smaller; more of a file is not read.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// The files of settings in a folder of the client's configuration; the later one decides.
const SETTINGS: [&str; 2] = ["settings.json", "settings.local.json"];

/// The folder below the client's configuration that it cleans up.
const PROJECTS: &str = "projects";

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
    /// When it was last modified, which is what the client goes by.
    pub modified: Timestamp,
    /// From when on the client deletes it, the next time it is started.
    pub expires_at: Timestamp,
}

/// The time for which the client keeps transcripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TranscriptRetention {
    /// The folder of the client's configuration.
    pub folder: PathBuf,
    /// The days since a transcript was last modified.
    pub days: u32,
    /// Settings that could not be read, and why: they are taken as absent.
    pub errors: Vec<String>,
}

/// Returns the transcripts on this machine that the client will delete within this time and that are not stored.
pub(crate) async fn expiring(ingest: &Ingest, within: Duration) -> Result<ExpiringTranscripts, BridgeError> {
    let (found, known) = tokio::try_join!(ingest.discover(), known_files(ingest, "expiring_transcripts"))?;
    let (now, threads) = (ingest.clock.now(), ingest.reading_threads(None));
    let work = move || {
        let mut expiring = ExpiringTranscripts::default();
        let mut retention = Retentions::default();
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
        expiring.retention = retention.0.into_values().collect();
        expiring
    };
    tokio::task::spawn_blocking(work).await.map_err(analysis_died)
}

/// The retention of each folder of the client's configuration that was looked up.
#[derive(Debug, Default)]
pub(crate) struct Retentions(BTreeMap<PathBuf, TranscriptRetention>);

impl Retentions {
    /// Returns when the client may delete the transcript; `None` if it is in no folder that the client cleans up.
    pub(crate) fn expiry(&mut self, path: &Path, modified: Timestamp) -> Option<Timestamp> {
        let folder = config_folder(path)?;
        let retention =
            self.0.entry(folder.to_owned()).or_insert_with(|| TranscriptRetention::of(folder.to_owned()));
        Some(modified.saturating_add(DAY.saturating_mul(retention.days)))
    }
}

impl TranscriptRetention {
    fn of(folder: PathBuf) -> Self {
        let (mut days, mut errors) = (DAYS, Vec::new());
        for name in SETTINGS {
            match days_in(&folder.join(name)) {
                Ok(found) => days = found.unwrap_or(days),
                Err(error) => errors.push(format!("{name}: {error}")),
            }
        }
        Self { folder, days, errors }
    }
}

/// Returns the folder of the client's configuration that the transcript is below.
fn config_folder(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == PROJECTS))?.parent()
}

/// Returns the days that the file of settings states, if it states any.
fn days_in(path: &Path) -> io::Result<Option<u32>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    file.take(SETTINGS_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > SETTINGS_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    // The reason would quote the settings, which may hold secrets.
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "it is not valid");
    let settings: Map<String, Value> = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    let days = match settings.get("cleanupPeriodDays") {
        None | Some(Value::Null) => return Ok(None),
        Some(days) => days.as_u64().ok_or_else(unreadable)?,
    };
    Ok(Some(u32::try_from(days).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_decide_the_retention_and_damaged_ones_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            let retention = TranscriptRetention::of(folder.path().to_owned());
            (retention.days, retention.errors.len())
        };
        assert_eq!(TranscriptRetention::of(folder.path().to_owned()).days, 30);
        assert_eq!(of("settings.json", r#"{"env":{"TOKEN":"secret"},"cleanupPeriodDays":7}"#), (7, 0));
        assert_eq!(of("settings.local.json", r#"{"cleanupPeriodDays":99999999999}"#), (u32::MAX, 0));
        assert_eq!(of("settings.local.json", "{}"), (7, 0));
        for bad in [r#"{"cleanupPeriodDays":"seven"}"#, r#"{"cleanupPeriodDays":-1}"#, "{", "[1]"] {
            assert_eq!(of("settings.json", bad), (30, 1), "{bad}");
        }
        let retention = TranscriptRetention::of(folder.path().to_owned());
        assert!(!retention.errors[0].contains('1'), "it quotes nothing of the settings");
        assert_eq!(of("settings.json", &" ".repeat(2 << 20)), (30, 1));
    }

    #[test]
    fn only_files_below_projects_are_cleaned_up() {
        let folder = |path: &str| config_folder(Path::new(path)).map(Path::to_owned);
        let expected = Some(PathBuf::from("/h/.claude"));
        assert_eq!(folder("/h/.claude/projects/-p/s.jsonl"), expected);
        assert_eq!(folder("/h/.claude/projects/-p/s/subagents/agent-a.jsonl"), expected);
        assert_eq!(folder("/archive/s.jsonl"), None);
    }
}
