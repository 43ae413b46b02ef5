//! One line on a terminal.

use std::io::{self, Write};
use std::time::Duration;

use bridge::live::Watching;
use tokio::task::JoinHandle;

use crate::start::Running;

/// A line that is kept up to date until it is dropped.
#[derive(Debug)]
pub struct Line(JoinHandle<()>);

impl Line {
    /// Shows the line below the service's address.
    pub fn show(running: &Running) -> Self {
        let (progress, bridge) = (running.progress(), running.bridge().clone());
        Self(tokio::spawn(async move {
            loop {
                let tokens = bridge
                    .token_store()
                    .totals(&Default::default())
                    .await
                    .map(|totals| totals.counts.total());
                let tokens = tokens.map_or_else(
                    |_| "database unavailable".to_owned(),
                    |tokens| format!("{} tokens", grouped(tokens)),
                );
                let status = progress.get();
                let watching = match &status.watching {
                    Watching::Events => "following changes",
                    Watching::Polling | Watching::PollingInstead(_) => "polling",
                };
                let failing = if status.failures > 0 { ", not synchronized" } else { "" };
                // Erases what a longer line left.
                print!("\r{tokens}, {watching}{failing}\x1b[K");
                let _ = io::stdout().flush();
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.abort();
        println!();
    }
}

/// Returns the number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_grouped_by_three() {
        let texts = [0, 999, 1_000, 2_768_012_012].map(super::grouped);
        assert_eq!(texts, ["0", "999", "1,000", "2,768,012,012"]);
    }
}
