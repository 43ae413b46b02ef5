//! Reports usage errors without quoting arguments that may be passwords.

use std::path::PathBuf;
use std::process::ExitCode;

use bridge::Escaped;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue};

const REDACTED: &str = "(hidden: it may contain a password)";

/// Prints the usage error, or the requested help, and returns the exit code.
pub(crate) fn report(error: clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    if error.use_stderr() {
        eprint!("{}", readable(&without_secrets(error)));
    } else {
        // A closed pipe, as in `--help | head`, is not an error.
        let _ = error.print();
    }
    code
}

/// Escapes the error for a terminal, because it quotes arguments.
fn readable(error: &clap::Error) -> String {
    error.to_string().lines().map(|line| format!("{}\n", Escaped::text(line))).collect()
}

/// Redacts arguments and values from the error: a misplaced one may be a password, or a URL with one.
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
    // The suggestion quotes the argument as well.
    error.remove(ContextKind::Suggested);
    error
}

/// Returns an option's name without its value, and redacts anything that is not an option.
fn argument(text: &str) -> String {
    let name = text.split(['=', ' ']).next().unwrap_or_default();
    let is_option =
        name.strip_prefix("--").is_some_and(|name| name.chars().all(|c| c.is_ascii_alphabetic() || c == '-'));
    let is_placeholder = text.starts_with('<');
    if is_option || is_placeholder {
        text.split('=').next().unwrap_or_default().to_owned()
    } else {
        REDACTED.to_owned()
    }
}

fn value(text: &str) -> String {
    if text.contains("://") || text.contains('@') || text.contains("password") {
        REDACTED.to_owned()
    } else {
        text.to_owned()
    }
}

/// Returns a parser for paths that rejects URLs: error messages quote paths, and a URL may contain a password.
pub(crate) fn path_parser() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        let is_url = path.to_string_lossy().contains("://");
        if is_url { Err("expected a path, not a URL") } else { Ok(path) }
    })
}
