//! The folders and paths of the user.

use std::path::{Path, PathBuf};

/// The separator of paths in a list such as `PATH`.
pub(crate) const PATH_LIST_SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

/// True if paths begin with a drive.
pub(crate) const HAS_DRIVES: bool = cfg!(windows);

/// Returns the folder of the settings that an organization gives the client.
pub fn managed_settings() -> PathBuf {
    PathBuf::from(if cfg!(target_os = "macos") {
        "/Library/Application Support/ClaudeCode"
    } else if cfg!(windows) {
        "C:\\Program Files\\ClaudeCode"
    } else {
        "/etc/claude-code"
    })
}

/// Returns the folder in which desktop programs keep their data: `%APPDATA%` on Windows, `Application Support` on
/// macOS, and the folder of configurations elsewhere.
pub(crate) fn application_data(
    roaming: Option<PathBuf>,
    home: Option<&Path>,
    config: Option<&Path>,
) -> Option<PathBuf> {
    if cfg!(windows) {
        roaming.or_else(|| Some(home?.join("AppData").join("Roaming")))
    } else if cfg!(target_os = "macos") {
        Some(home?.join("Library").join("Application Support"))
    } else {
        config.map(Path::to_owned)
    }
}
