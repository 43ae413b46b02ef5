//! Events between two synchronizations.

use fastrand::Rng;

/// An event between two synchronizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Creates a file.
    Create,
    /// Appends complete lines to a file.
    Append,
    /// Appends part of a line to a file.
    AppendPartial,
    /// Appends the rest of a partial line.
    CompleteLine,
    /// Truncates a file.
    Truncate,
    /// Replaces a file's content in place.
    Rewrite,
    /// Changes a byte of a file, without changing its length.
    Edit,
    /// Renames a file, possibly into another project.
    Rename,
    /// Deletes a file.
    Delete,
    /// Copies a file, possibly to the other host.
    Copy,
    /// Deletes a file and creates another one with its name, possibly with the same inode.
    Replace,
    /// The store loses the cursors.
    LoseCursors,
    /// The store returns outdated cursors.
    StaleCursors,
    /// Restarts the program.
    Restart,
    /// Lowers a stored response by a forced update.
    Force,
    /// Stores an analysis without responses, for a session with or without transcripts.
    Sums,
    /// Forges a stored row, checks that it is rejected, and removes it.
    Forge,
    /// Replaces a program of revision 1 of the counting rule by the current one.
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
            AppendPartial,
            AppendPartial,
            CompleteLine,
            CompleteLine,
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
