//! Repairs the store.

use std::collections::BTreeSet;

use bridge_core::{
    BridgeError, DifferenceKind, IntegrityResult, RepairAction, ResponseKey, ResponseUsage, ResponseVersion,
    SupersededKey,
};
use bridge_storage::{UpsertOptions, require};

use super::comparison::{Comparison, Finding};
use super::live::LiveResponses;
use crate::ingest::Ingest;
use crate::ingest::read::Batch;
use crate::ingest::upsert::upsert;
use crate::ingest::write::Writer;

/// Levels of repair. Each one includes those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Nothing is repaired.
    #[default]
    Off,
    /// Rows that are missing or outdated are stored again by the normal merge. A damaged row that a source knows is
    /// restored, and so is a marker that covers a session's sums. Nothing that the bridge stored is lost.
    Restore,
    /// In addition, rows that exceed the sources are replaced by force. If a source was rewritten, this erases history,
    /// even if the greater snapshot is read again. Forced corrections stay.
    Force,
    /// In addition, rows that no source can explain are removed: damaged ones that no source knows, and those that
    /// count a response a second time. The undamaged content of a deleted source's rows is lost with them.
    Purge,
}

impl Repair {
    /// Unreadable sources may hold what the store has, so in that case only lossless repairs are made.
    pub(super) fn permitted_by(self, live: &LiveResponses) -> Self {
        if live.are_complete() { self } else { self.min(Self::Restore) }
    }

    fn action(self, finding: &Finding, is_whole: bool) -> Option<RepairAction> {
        let difference = &finding.difference;
        let is_known = difference.live.is_some();
        let (action, needed) = match difference.kind {
            DifferenceKind::Missing | DifferenceKind::Behind | DifferenceKind::Uncovered => {
                (RepairAction::Restored, Self::Restore)
            }
            DifferenceKind::Outdated if is_known => (RepairAction::Restored, Self::Restore),
            // Its replacements may belong to other sessions, so only a check of the whole store shows that all are
            // stored.
            DifferenceKind::Outdated if is_whole => (RepairAction::Covered, Self::Restore),
            DifferenceKind::Corrupted if is_known => (RepairAction::Restored, Self::Restore),
            DifferenceKind::Ahead => (RepairAction::Forced, Self::Force),
            DifferenceKind::Corrupted | DifferenceKind::Duplicated => (RepairAction::Removed, Self::Purge),
            _ => return None,
        };
        (self >= needed).then_some(action)
    }
}

/// The writes and removals of a repair.
#[derive(Debug, Default)]
struct Work {
    join: Vec<ResponseUsage>,
    force: Vec<ResponseUsage>,
    /// Written unchanged, because no analysis holds them.
    markers: Vec<ResponseUsage>,
    remove: Vec<(ResponseKey, ResponseVersion)>,
    cover: Vec<SupersededKey>,
}

impl Work {
    fn add(&mut self, finding: &Finding, action: RepairAction) {
        let Finding { difference, version, is_intact, superseded } = finding;
        match action {
            RepairAction::Covered => self.cover.extend(*superseded),
            RepairAction::Forced => self.force.extend(difference.live.clone()),
            _ if difference.kind == DifferenceKind::Uncovered => self.markers.extend(difference.live.clone()),
            _ => self.join.extend(difference.live.clone()),
        }
        // A damaged row may have a version greater than, or equal to, its response's own. Force would keep its rank,
        // and a later snapshot could lose to it. Without force, the merge restores the row.
        let is_damaged = difference.kind == DifferenceKind::Corrupted || !is_intact;
        let is_in_the_way = is_damaged || action == RepairAction::Removed;
        self.remove.extend(version.filter(|_| is_in_the_way).map(|version| (difference.key, version)));
    }
}

/// Repairs the store, within this level of repair.
pub(super) async fn apply(
    ingest: &Ingest,
    repair: Repair,
    comparison: &mut Comparison,
    result: &mut IntegrityResult,
) -> Result<(), BridgeError> {
    let epoch = ingest.writable_epoch("repair").await?;
    let report = result.repair.get_or_insert_default();
    let mut work = Work::default();
    for finding in &mut comparison.findings {
        let Some(action) = repair.action(finding, comparison.session.is_none()) else { continue };
        work.add(finding, action);
        finding.difference.repaired = Some(action);
        match action {
            RepairAction::Forced => report.forced += 1,
            RepairAction::Removed => report.removed += 1,
            RepairAction::Covered => report.covered += 1,
            _ => report.restored += 1,
        }
    }
    // An interruption between these leaves out rows that the sources hold. The next repair finds them.
    if !work.remove.is_empty() {
        require(ingest.store.integrity(), "repair")?.remove(&work.remove).await?;
    }
    if !work.markers.is_empty() {
        let options = UpsertOptions::default().with_run_id(fastrand::u128(1..)).begun_in(epoch);
        let _ = upsert(ingest, work.markers, &options).await?;
    }
    let without_sources =
        |rows| Batch { rows, superseded: Vec::new(), sources: Vec::new(), sessions: BTreeSet::new() };
    let writers =
        [(Writer::new(ingest, epoch), work.join), (Writer::new(ingest, epoch).forced(), work.force)];
    for (mut writer, rows) in writers {
        writer.write(without_sources(rows)).await?;
        result.errors.extend(writer.rejections());
    }
    Writer::new(ingest, epoch).cover(&work.cover).await
}
