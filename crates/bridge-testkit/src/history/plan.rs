//! The plan that a history is generated from.

use super::{GeneratedHistory, session::Session, transcript::WrittenSession, truth::HistoryTruth};
use fastrand::Rng;

/// The size and content of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPlan {
    /// Seed of the random generator.
    pub seed: u64,
    /// Number of project folders.
    pub projects: usize,
    /// Number of sessions per project.
    pub sessions: usize,
    /// Average number of responses in each session's own file; subagents have fewer.
    pub responses_per_session: usize,
    /// Typical length of a text in bytes.
    pub text_bytes: usize,
    /// Start of the first session in milliseconds since 1970. Each session starts 19 hours after the previous one.
    pub first_millis: i64,
    /// Kind of damage in the files.
    pub damage: Damage,
}

/// The kind of damage in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// No damage.
    None,
    /// Damaged lines that are still valid UTF-8, and truncated last lines.
    Text,
    /// Additionally lines with NUL bytes or invalid UTF-8.
    Bytes,
}

impl Default for HistoryPlan {
    fn default() -> Self {
        Self {
            seed: 1,
            projects: 2,
            sessions: 4,
            responses_per_session: 12,
            text_bytes: 80,
            first_millis: 1_761_984_000_000, // 2025-11-01
            damage: Damage::Bytes,
        }
    }
}

const HOURS_BETWEEN_SESSIONS: i64 = 19;

impl HistoryPlan {
    /// Generates the history.
    pub fn generate(&self) -> GeneratedHistory {
        let mut truth = HistoryTruth::default();
        let mut files = Vec::new();
        let mut start_millis = self.first_millis;
        for project in 0..self.projects {
            let mut previous: Option<WrittenSession> = None;
            for _ in 0..self.sessions {
                let mut session = Session::new(self, project, start_millis, self.rng(files.len()));
                let written = session.write(previous.as_ref(), &mut truth);
                files.extend(written.files(self.damage, &mut truth, &mut session.rng));
                previous = Some(written);
                start_millis += HOURS_BETWEEN_SESSIONS * 3_600_000;
            }
        }
        files.sort_by(|a, b| a.relative_path.cmp(&b.relative_path));
        GeneratedHistory { files, truth }
    }

    /// Returns a separate generator for each session, so that adding a session does not change the previous ones.
    fn rng(&self, files_before: usize) -> Rng {
        let mut seeds = Rng::with_seed(self.seed);
        let base = seeds.u64(..);
        Rng::with_seed(base ^ (files_before as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}
