//! Checks the promises of the tour and records the results.

use std::fmt::Display;

/// The promises checked so far.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    steps: u32,
    kept: u32,
    broken: Vec<String>,
}

impl Promises {
    /// Begins a step and prints its title and the API calls that it demonstrates.
    pub(crate) fn step(&mut self, title: &str, call: &str) {
        self.steps += 1;
        println!("\n{:2}. {title}  ·  {call}", self.steps);
    }

    /// Checks that two values are equal.
    pub(crate) fn check_equal<T: PartialEq + Display>(&mut self, promise: &str, got: T, expected: T) {
        self.record(promise, got == expected, || format!("expected {expected}, got {got}"));
    }

    /// Checks a condition. `actual` describes the state if the condition does not hold.
    pub(crate) fn check(&mut self, promise: &str, holds: bool, actual: impl Display) {
        self.record(promise, holds, || actual.to_string());
    }

    fn record(&mut self, promise: &str, holds: bool, actual: impl FnOnce() -> String) {
        if holds {
            self.kept += 1;
            println!("    ✓ {promise}");
        } else {
            let line = format!("✗ {promise}: {}", actual());
            println!("    {line}");
            self.broken.push(format!("  step {:2}  {line}", self.steps));
        }
    }

    pub(crate) fn all_kept(&self) -> bool {
        self.broken.is_empty()
    }

    /// Summarizes the results of all checks.
    pub(crate) fn summary(&self) -> String {
        let (kept, broken) = (self.kept, self.broken.len());
        if self.all_kept() {
            return format!("{kept} promises in {} steps, all kept.", self.steps);
        }
        format!("{broken} of {} promises broken:\n{}", kept as usize + broken, self.broken.join("\n"))
    }
}
