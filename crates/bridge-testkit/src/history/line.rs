//! Lines of generated files, with their contribution to the naive sums.

use std::ops::AddAssign;

/// One line, without its newline.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) text: Vec<u8>,
    pub(crate) totals: LineTotals,
    /// `true` if resumed sessions repeat the line, because a new session id does not change its response key.
    pub(crate) is_copied: bool,
}

/// The tokens that a line adds to the naive sums, and its damage.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineTotals {
    pub(crate) naive: u64,
    pub(crate) nested_naive: u64,
    pub(crate) from_iterations: u64,
    pub(crate) raised: u64,
    pub(crate) advisor_naive: u64,
    pub(crate) apart_naive: u64,
    pub(crate) bad_usage: u64,
    pub(crate) is_bad_line: bool,
}

impl AddAssign for LineTotals {
    fn add_assign(&mut self, other: Self) {
        self.naive += other.naive;
        self.nested_naive += other.nested_naive;
        self.from_iterations += other.from_iterations;
        self.raised += other.raised;
        self.advisor_naive += other.advisor_naive;
        self.apart_naive += other.apart_naive;
        self.bad_usage += other.bad_usage;
        self.is_bad_line |= other.is_bad_line;
    }
}

impl Line {
    /// Creates a line without usage.
    pub(crate) fn plain(text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into(), totals: LineTotals::default(), is_copied: true }
    }

    /// Copies the line to another session, or returns `None` for lines that sessions do not repeat.
    pub(crate) fn copied(&self, from_session: &str, to_session: &str, forked: bool) -> Option<Self> {
        let text =
            std::str::from_utf8(&self.text).ok().filter(|text| self.is_copied && text.starts_with('{'))?;
        let mut text = text.replace(&format!("\"{from_session}\""), &format!("\"{to_session}\""));
        if forked {
            let fork = format!(r#"{{"forkedFrom":{{"sessionId":"{from_session}"}},"#);
            text = text.replacen('{', &fork, 1);
        }
        Some(Self { text: text.into_bytes(), ..self.clone() })
    }
}
