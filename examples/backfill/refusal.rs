//! Refuses a command line without quoting what may be a password.

use std::path::PathBuf;
use std::process::ExitCode;

use bridge::Escaped;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue};

const NOT_SHOWN: &str = "(not shown: it may hold a password)";

/// Prints why the command line was refused, or its help, and returns the exit code for it.
pub(crate) fn refuse(error: clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    if error.use_stderr() {
        eprint!("{}", readable(&without_secrets(error)));
    } else {
        // Help that nobody reads to its end is no error.
        let _ = error.print();
    }
    code
}

/// The error's lines, safe for a terminal: it quotes arguments.
fn readable(error: &clap::Error) -> String {
    error.to_string().lines().map(|line| format!("{}\n", Escaped::text(line))).collect()
}

/// The error with what is in a wrong place left out: it may be a password, or a URL with one.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    for (kind, shown) in [
        (ContextKind::InvalidArg, argument as fn(&str) -> String),
        (ContextKind::InvalidSubcommand, argument),
        (ContextKind::InvalidValue, value),
    ] {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            let shown = shown(text);
            error.insert(kind, ContextValue::String(shown));
        }
    }
    // It quotes the argument, too.
    error.remove(ContextKind::Suggested);
    error
}

/// An option by its name; what is no option may be anything.
fn argument(text: &str) -> String {
    let name = text.split(['=', ' ']).next().unwrap_or_default();
    let is_option =
        name.strip_prefix("--").is_some_and(|name| name.chars().all(|c| c.is_ascii_alphabetic() || c == '-'));
    let is_placeholder = text.starts_with('<');
    if is_option || is_placeholder {
        text.split('=').next().unwrap_or_default().to_owned()
    } else {
        NOT_SHOWN.to_owned()
    }
}

fn value(text: &str) -> String {
    if text.contains("://") || text.contains('@') || text.contains("password") {
        NOT_SHOWN.to_owned()
    } else {
        text.to_owned()
    }
}

/// A path that is no URL: as a path it would be quoted in every message about it.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        let is_url = path.to_string_lossy().contains("://");
        if is_url { Err("a path is needed, not a URL") } else { Ok(path) }
    })
}
