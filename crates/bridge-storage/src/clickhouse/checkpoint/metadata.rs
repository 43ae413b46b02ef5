//! Metadata of a table, in its comment: the state of the store that the table belongs to.

use std::fmt;

use bridge_core::{Checkpoint, CheckpointName, CheckpointTotals, Epoch, Timestamp};

/// The comment of a `token_usage` or `source_files`, whether live, saved or about to become live.
///
/// A comment is part of a table and moves with it. So a program that sees the table under some name knows what
/// happened to it, whatever statement was the last before a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableMetadata {
    /// The rollback by which the table became live; for a saved table, the epoch in which it was saved.
    pub(crate) epoch: Epoch,
    /// The checkpoint that it was restored from.
    pub(crate) from: Option<CheckpointName>,
    /// The attempt that created it. The `source_files` of a checkpoint is the one of its run.
    pub(crate) run: String,
    /// When it was saved or restored, in milliseconds since 1970.
    pub(crate) at: i64,
    /// Its schema: the number of the last migration.
    pub(crate) schema: u32,
    /// Its definition was lost and recreated, so the rest of its comment is unknown.
    pub(crate) is_repaired: bool,
    /// Its totals, if they were counted.
    pub(crate) totals: Option<CheckpointTotals>,
}

const MARK: &str = "bridge";

const REPAIRED: &str = "repaired";

impl TableMetadata {
    /// Parses a comment. A table without the bridge's comment is unchanged since the schema created it.
    pub(crate) fn of_comment(comment: &str) -> Self {
        let mut metadata = Self::default();
        let mut words = comment.split_whitespace();
        if words.next() != Some(MARK) {
            return metadata;
        }
        metadata.is_repaired = comment.split_whitespace().any(|word| word == REPAIRED);
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let number = || value.parse().unwrap_or_default();
            match name {
                "epoch" => metadata.epoch = Epoch(value.parse().unwrap_or_default()),
                "from" => metadata.from = CheckpointName::new(value).ok(),
                "run" => value.clone_into(&mut metadata.run),
                "at" => metadata.at = value.parse().unwrap_or_default(),
                "schema" => metadata.schema = value.parse().unwrap_or_default(),
                "tokens" => metadata.totals.get_or_insert_default().tokens = number(),
                "responses" => metadata.totals.get_or_insert_default().responses = number(),
                "sessions" => metadata.totals.get_or_insert_default().sessions = number(),
                _ => {}
            }
        }
        metadata
    }

    /// Returns the checkpoint that a table with this metadata represents.
    pub(crate) fn checkpoint(&self, name: CheckpointName, totals: CheckpointTotals) -> Checkpoint {
        let taken_at = Timestamp::from_millis(self.at).unwrap_or(Timestamp::MIN);
        Checkpoint { name, taken_at, epoch: self.epoch, totals }
    }
}

/// Words and numbers only, so that it needs no escaping in a literal.
impl fmt::Display for TableMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK} epoch={} at={} schema={}", self.epoch, self.at, self.schema)?;
        if let Some(from) = &self.from {
            write!(f, " from={from}")?;
        }
        write!(f, " run={}", self.run)?;
        if self.is_repaired {
            write!(f, " {REPAIRED}")?;
        }
        match self.totals {
            Some(CheckpointTotals { tokens, responses, sessions }) => {
                write!(f, " tokens={tokens} responses={responses} sessions={sessions}")
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_round_trips_through_its_comment() {
        let metadata = TableMetadata {
            epoch: Epoch(7),
            from: CheckpointName::new("good").ok(),
            run: "0f".to_owned(),
            at: -5,
            schema: 2,
            is_repaired: false,
            totals: Some(CheckpointTotals { tokens: u64::MAX, responses: 2, sessions: 3 }),
        };
        assert_eq!(TableMetadata::of_comment(&metadata.to_string()), metadata);
        assert_eq!(
            TableMetadata::of_comment(&TableMetadata::default().to_string()),
            TableMetadata::default()
        );
    }

    #[test]
    fn foreign_comments_are_ignored() {
        for comment in ["", "the team's table, epoch=9", "bridges epoch=9"] {
            assert_eq!(TableMetadata::of_comment(comment), TableMetadata::default());
        }
    }
}
