//! The progress bar on stderr.

use bridge::{BackfillPhase, BackfillProgress};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Creates a bar that shows bytes, files and tokens. It is hidden unless stderr is a terminal.
pub(crate) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:32} {bytes}/{total_bytes}  {bytes_per_sec}  {msg}  {elapsed_precise}, {eta} left",
    );
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Returns a callback that updates the bar.
pub(crate) fn callback(bar: &ProgressBar) -> impl Fn(&BackfillProgress) + Send + Sync + 'static {
    let bar = bar.clone();
    move |progress| show(&bar, progress)
}

fn show(bar: &ProgressBar, progress: &BackfillProgress) {
    bar.set_length(progress.bytes_total);
    bar.set_position(progress.bytes);
    let phase = match progress.phase {
        BackfillPhase::Storing => ", storing",
        _ => "",
    };
    bar.set_message(format!(
        "{}/{} files  {} tokens{phase}",
        progress.files,
        progress.files_total,
        HumanCount(progress.tokens)
    ));
}
