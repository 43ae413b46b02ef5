//! What the tour promises, and whether it was kept.

use std::fmt::Display;

/// The promises so far.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    steps: u32,
    kept: u32,
    broken: Vec<String>,
}

impl Promises {
    /// Begins a step: what a person wants, and the call that does it.
    pub(crate) fn step(&mut self, title: &str, call: &str) {
        self.steps += 1;
        println!("\n{:2}. {title}  ·  {call}", self.steps);
    }

    /// Two figures that must be the same.
    pub(crate) fn equal<T: PartialEq + Display>(&mut self, promise: &str, got: T, expected: T) {
        self.tell(promise, got == expected, || format!("expected {expected}, got {got}"));
    }

    /// Something that must be so; where it is not, `what_is` says what is instead.
    pub(crate) fn hold(&mut self, promise: &str, is_so: bool, what_is: impl Display) {
        self.tell(promise, is_so, || what_is.to_string());
    }

    fn tell(&mut self, promise: &str, is_kept: bool, what_is: impl FnOnce() -> String) {
        if is_kept {
            self.kept += 1;
            println!("    ✓ {promise}");
        } else {
            let line = format!("✗ {promise}: {}", what_is());
            println!("    {line}");
            self.broken.push(format!("  step {:2}  {line}", self.steps));
        }
    }

    pub(crate) fn are_kept(&self) -> bool {
        self.broken.is_empty()
    }

    /// The last words of the tour.
    pub(crate) fn summary(&self) -> String {
        let (kept, broken) = (self.kept, self.broken.len());
        if self.are_kept() {
            return format!("{kept} promises in {} steps, all kept.", self.steps);
        }
        format!("{broken} of {} promises broken:\n{}", kept as usize + broken, self.broken.join("\n"))
    }
}
