//! The folders and paths of the user.

use std::path::{Path, PathBuf};

/// The separator of paths in a list such as `PATH`.
pub(crate) const PATH_LIST_SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

/// Returns the folder in which desktop programs keep their data: `%APPDATA%` on Windows, `Application Support` on macOS,
/// and the folder of configurations elsewhere.
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
