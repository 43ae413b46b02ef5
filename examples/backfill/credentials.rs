//! What must not be quoted.

use bridge::core::Shown;

/// Returns what clap says of a command line, which it quotes: without credentials, and safe for a terminal.
pub(crate) fn readable(error: &clap::Error) -> String {
    let text = without_credentials(&error.to_string());
    text.lines().map(|line| format!("{}\n", Shown::text(line))).collect()
}

/// The text with what stands before the host left out of every URL: clap quotes a misplaced one. A password may
/// hold any character, so it ends with the line's last `@`.
fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let line_end = part.find('\n').unwrap_or(part.len());
        let host = part[..line_end].rfind('@').map_or(0, |at| at + 1);
        shown = shown + "://" + &part[host..];
    }
    shown
}
