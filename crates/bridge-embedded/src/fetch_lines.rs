//! Progress lines of a fetch, for programs without an observer.

use std::io::Write;
use std::time::Duration;

use crate::EngineEvent;

/// Interval between two progress lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Writes a line for each step of a fetch, and its progress at intervals. Other events take no time worth a line on
/// another program's standard error.
#[derive(Debug)]
pub(crate) struct FetchLines<W> {
    out: W,
    /// When the next line of progress is due.
    due: Duration,
}

impl<W: Write> FetchLines<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, due: Duration::ZERO }
    }

    pub(crate) fn show(&mut self, event: &EngineEvent) {
        match event {
            EngineEvent::WaitingForFetch
            | EngineEvent::Damaged { .. }
            | EngineEvent::Fetching { .. }
            | EngineEvent::Fetched { .. } => {}
            EngineEvent::FetchProgress { elapsed, .. } if *elapsed >= self.due => {
                self.due = elapsed.saturating_add(INTERVAL);
            }
            _ => return,
        }
        // A closed standard error must not stop the fetch.
        let _ = writeln!(self.out, "{event}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_steps_and_progress_of_a_fetch_only() {
        let mut written = Vec::new();
        let mut lines = FetchLines::new(&mut written);
        lines.show(&EngineEvent::Fetching { folder: "cache".into() });
        for second in 1..=11 {
            let elapsed = Duration::from_secs(second);
            lines.show(&EngineEvent::FetchProgress { bytes: second * 50_000_000, elapsed });
        }
        lines.show(&EngineEvent::Fetched { bytes: 566_000_000, elapsed: Duration::from_secs(11) });
        lines.show(&EngineEvent::Starting { data_folder: "data".into() });
        lines.show(&EngineEvent::Joined { url: "http://127.0.0.1:1".into() });
        let text = String::from_utf8(written).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("fetching ClickHouse once"), "{text}");
        assert_eq!(
            &lines[1..],
            [
                "fetching: 50 MB unpacked, 1 s",
                "fetching: 300 MB unpacked, 6 s",
                "fetching: 550 MB unpacked, 11 s",
                "fetched 566 MB in 11.0 s",
            ]
        );
    }
}
