//! The sample history in the examples.

use super::{Damage, HistoryPlan};

/// Returns the plan of `examples/sample`: small, readable in an editor, with every trap that is valid UTF-8.
pub fn sample_plan() -> HistoryPlan {
    HistoryPlan {
        seed: 2026,
        projects: 2,
        sessions: 2,
        responses_per_session: 3,
        text_bytes: 24,
        first_millis: 1_772_442_000_000, // 2026-03-02T09:00Z
        damage: Damage::Text,
    }
}
