//! What a history is generated from.

use super::{GeneratedHistory, session::Session, transcript::Written, truth::HistoryTruth};
use fastrand::Rng;

/// The size and the nature of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPlan {
    /// The same plan with another seed gives another history.
    pub seed: u64,
    /// Project folders.
    pub projects: usize,
    /// Sessions in each project.
    pub sessions: usize,
    /// Responses in each session's own file, on average; subagents have fewer.
    pub responses_per_session: usize,
    /// Bytes of a typical text.
    pub text_bytes: usize,
    /// When the first session begins, in milliseconds since 1970; each next one 19 hours later.
    pub first_millis: i64,
    /// Which lines are damaged.
    pub damage: Damage,
}

/// Which damage stands in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// None.
    None,
    /// Damaged lines that are text still, and torn last lines.
    Text,
    /// Besides, lines of bytes that are no text: NUL runs, invalid UTF-8.
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
    /// The history of this plan.
    pub fn generate(&self) -> GeneratedHistory {
        let mut truth = HistoryTruth::default();
        let mut files = Vec::new();
        let mut start_millis = self.first_millis;
        for project in 0..self.projects {
            let mut previous: Option<Written> = None;
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

    /// Another generator for each session, so that one more session leaves those before it as they are.
    fn rng(&self, files_before: usize) -> Rng {
        let mut seeds = Rng::with_seed(self.seed);
        let base = seeds.u64(..);
        Rng::with_seed(base ^ (files_before as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}
