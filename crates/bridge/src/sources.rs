//! From what the analyzer says of a file to what the store keeps of it.

use bridge_analysis::FileAnalysis;
use bridge_core::{ANALYSIS_VERSION, DamageCounts, HostName, SessionId, Timestamp};
use bridge_storage::{SourceCursor, SourceRecord};

/// What the store keeps of a file that was read to its end: a record for each session that stands in it.
/// What belongs to the file as a whole is booked on its home session.
pub(crate) fn source_records(file: &FileAnalysis, host: &HostName, read_at: Timestamp) -> Vec<SourceRecord> {
    let home_only = (!file.sessions.contains_key(&file.home_session)).then_some(&file.home_session);
    file.sessions.keys().chain(home_only).map(|session| source_record(file, session, host, read_at)).collect()
}

fn source_record(
    file: &FileAnalysis,
    session: &SessionId,
    host: &HostName,
    read_at: Timestamp,
) -> SourceRecord {
    let part = file.sessions.get(session);
    let home = *session == file.home_session;
    SourceRecord {
        host: host.clone(),
        path: file.file.path.clone(),
        session: session.clone(),
        cursor: SourceCursor {
            size: file.file.size,
            modified: file.file.modified,
            identity: 0,
            fingerprint: 0,
            offset: file.bytes,
            line: 0,
            carried_time: None,
        },
        project: part.and_then(|part| part.project.clone()),
        lines: if home { file.lines } else { 0 },
        damage: if home { file.damage } else { DamageCounts::default() },
        content_categories: if home { file.content_categories.clone() } else { Default::default() },
        snapshots: part.map_or(0, |part| part.snapshots),
        snapshot_tokens: part.map_or(0, |part| part.snapshot_tokens),
        first_time: part.map(|part| part.first_time),
        last_time: part.map(|part| part.last_time),
        analysis_version: ANALYSIS_VERSION.to_owned(),
        read_at,
    }
}
