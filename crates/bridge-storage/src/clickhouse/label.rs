//! What the bridge notes in the comment of a table: to which state of the store the table belongs.

use std::fmt;

use bridge_core::{Checkpoint, CheckpointName, CheckpointTotals, Epoch, Timestamp};

/// The comment of a `token_usage` or `source_files`, live, kept or about to be live.
///
/// A comment is part of a table, so it goes where the table goes: whoever sees the table under a name knows what
/// happened to it, whatever statement was the last before a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Label {
    /// The rollback that the table became live by; of a kept table the epoch that it was kept in.
    pub(super) epoch: Epoch,
    /// The checkpoint that it was restored from.
    pub(super) from: Option<CheckpointName>,
    /// The attempt that made it. The `source_files` of a checkpoint is the one of its run.
    pub(super) run: String,
    /// When it was kept or restored, in milliseconds since 1970.
    pub(super) at: i64,
    /// The schema that it has: the number of the last migration.
    pub(super) schema: u32,
    /// Whether its definition was lost and written anew: what else its comment said is not known.
    pub(super) is_repaired: bool,
    /// What it holds, where somebody counted.
    pub(super) figures: Option<CheckpointTotals>,
}

const MARK: &str = "bridge";

const REPAIRED: &str = "repaired";

impl Label {
    /// Reads a comment. A table without the bridge's is as the schema made it.
    pub(super) fn of_comment(comment: &str) -> Self {
        let mut label = Self::default();
        let mut words = comment.split_whitespace();
        if words.next() != Some(MARK) {
            return label;
        }
        label.is_repaired = comment.split_whitespace().any(|word| word == REPAIRED);
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let number = || value.parse().unwrap_or_default();
            match name {
                "epoch" => label.epoch = Epoch(value.parse().unwrap_or_default()),
                "from" => label.from = CheckpointName::new(value).ok(),
                "run" => value.clone_into(&mut label.run),
                "at" => label.at = value.parse().unwrap_or_default(),
                "schema" => label.schema = value.parse().unwrap_or_default(),
                "tokens" => label.figures.get_or_insert_default().tokens = number(),
                "responses" => label.figures.get_or_insert_default().responses = number(),
                "sessions" => label.figures.get_or_insert_default().sessions = number(),
                _ => {}
            }
        }
        label
    }

    /// The checkpoint that a table with this label is.
    pub(super) fn checkpoint(&self, name: CheckpointName, figures: CheckpointTotals) -> Checkpoint {
        let taken_at = Timestamp::from_millis(self.at).unwrap_or(Timestamp::MIN);
        Checkpoint { name, taken_at, epoch: self.epoch, figures }
    }
}

/// Words and numbers only, so that it can stand in a literal as it is.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK} epoch={} at={} schema={}", self.epoch, self.at, self.schema)?;
        if let Some(from) = &self.from {
            write!(f, " from={from}")?;
        }
        write!(f, " run={}", self.run)?;
        if self.is_repaired {
            write!(f, " {REPAIRED}")?;
        }
        match self.figures {
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
    fn a_label_comes_back_from_its_comment() {
        let label = Label {
            epoch: Epoch(7),
            from: CheckpointName::new("good").ok(),
            run: "0f".to_owned(),
            at: -5,
            schema: 2,
            is_repaired: false,
            figures: Some(CheckpointTotals { tokens: u64::MAX, responses: 2, sessions: 3 }),
        };
        assert_eq!(Label::of_comment(&label.to_string()), label);
        assert_eq!(Label::of_comment(&Label::default().to_string()), Label::default());
    }

    #[test]
    fn the_comment_of_somebody_else_says_nothing() {
        for comment in ["", "the team's table, epoch=9", "bridges epoch=9"] {
            assert_eq!(Label::of_comment(comment), Label::default());
        }
    }
}
