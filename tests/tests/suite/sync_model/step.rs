//! What may happen between two synchronizations.

use fastrand::Rng;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A new file.
    Create,
    /// Whole lines at the end of a file.
    Append,
    /// A part of a line at the end of a file.
    Tear,
    /// The rest of a torn line.
    Mend,
    /// A file loses its end.
    Truncate,
    /// A file gets other content, under the same name.
    Rewrite,
    /// Some bytes of a file become others; its length stays.
    Edit,
    /// A file gets another name, perhaps in another project.
    Rename,
    /// A file is gone.
    Delete,
    /// A copy of a file, perhaps on the other host.
    Copy,
    /// A file is removed and another one takes its name, and its inode where the system likes to.
    Replace,
    /// The store forgets the cursors.
    LoseCursors,
    /// The store shows cursors of some time ago.
    StaleCursors,
    /// The program begins anew.
    Restart,
    /// A stored response is set to less by force.
    Force,
    /// An analysis without responses is stored, of a session with transcripts or without.
    Sums,
    /// A stored row is forged, is not handed out, and is taken out again.
    Forge,
    /// The program of the first revision of the counting rule gives way to the current one.
    Upgrade,
}

impl Step {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        use Step::*;
        const STEPS: [Step; 29] = [
            Create,
            Create,
            Append,
            Append,
            Append,
            Append,
            Append,
            Tear,
            Tear,
            Mend,
            Mend,
            Truncate,
            Rewrite,
            Edit,
            Edit,
            Rename,
            Delete,
            Copy,
            Copy,
            Replace,
            LoseCursors,
            StaleCursors,
            Restart,
            Force,
            Sums,
            Sums,
            Sums,
            Forge,
            Upgrade,
        ];
        STEPS[rng.usize(..STEPS.len())]
    }
}
