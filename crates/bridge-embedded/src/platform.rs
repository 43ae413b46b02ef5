//! Supported platforms.

use crate::EngineError;

/// Returns an error on platforms without an engine.
pub(crate) fn check() -> Result<(), EngineError> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(());
    }
    let libc = if cfg!(target_env = "musl") { " (musl)" } else { "" };
    Err(EngineError::UnsupportedPlatform {
        platform: format!("{} {}{libc}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
