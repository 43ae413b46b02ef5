//! Which engine is pinned, and which versions of data it may open.

use std::fs;
use std::path::Path;

use crate::EngineError;
use crate::layout::write_private;

/// The npm package that holds the engine.
pub const ENGINE_PACKAGE: &str = "@chdb/lib-linux-x64-gnu";

/// The pinned version of [`ENGINE_PACKAGE`]; `npm/package-lock.json` pins its hash.
pub const ENGINE_VERSION: &str = "26.7.3-stable.1";

/// Refuses data that a newer engine has written. No record means no data.
pub(crate) fn check(folder: &Path, record: &Path) -> Result<(), EngineError> {
    let text = match fs::read_to_string(record) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(EngineError::io("read", record)(error)),
    };
    let data = text.trim();
    if numbers(data) > numbers(ENGINE_VERSION) {
        return Err(EngineError::NewerData {
            path: folder.to_owned(),
            data: data.to_owned(),
            engine: ENGINE_VERSION,
        });
    }
    Ok(())
}

/// Records that this engine writes the data from now on.
pub(crate) fn record(record: &Path) -> Result<(), EngineError> {
    write_private(record, format!("{ENGINE_VERSION}\n").as_bytes())
}

/// The numbers of a version in their order: what a version is compared by.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(numbers("26.10.1-stable.1") > numbers("26.7.3-stable.1"));
        assert!(numbers("26.7.3-stable.2") > numbers("26.7.3-stable.1"));
        assert!(numbers("25.12.9") < numbers("26.1"));
    }

    #[test]
    fn the_lock_file_pins_this_package_and_version_without_a_host() {
        let lock = include_str!("../npm/package-lock.json");
        let manifest = include_str!("../npm/package.json");
        assert!(manifest.contains(&format!("\"{ENGINE_PACKAGE}\": \"{ENGINE_VERSION}\"")));
        assert!(lock.contains(&format!("\"version\": \"{ENGINE_VERSION}\"")));
        assert!(lock.contains("\"integrity\": \"sha512-"));
        assert!(!lock.contains("resolved") && !lock.contains("://"));
    }
}
