//! The pinned engine, and the versions of data that it may open.

use std::fs;
use std::io::ErrorKind;

use crate::EngineError;
use crate::layout::{DataFolder, write_private};

/// The npm package that contains the engine.
pub const ENGINE_PACKAGE: &str = "@chdb/lib-linux-x64-gnu";

/// The pinned version of [`ENGINE_PACKAGE`]; `npm/package-lock.json` pins its hash.
pub const ENGINE_VERSION: &str = "26.7.3-stable.1";

/// File with the version that has written the data and answered on it.
const WRITTEN: &str = "engine-version";

/// File with the version that was started on older data and has not answered yet, which leaves `engine-version` as it
/// was.
const UPGRADE: &str = "engine-upgrade";

/// Refuses data that a newer engine has written or begun to upgrade. Without a record there is no data.
pub(crate) fn check(folder: &DataFolder) -> Result<(), EngineError> {
    for name in [WRITTEN, UPGRADE] {
        let data = read(folder, name)?.unwrap_or_default();
        if numbers(&data) > numbers(ENGINE_VERSION) {
            let path = folder.root().to_owned();
            return Err(EngineError::NewerData { path, data, engine: ENGINE_VERSION });
        }
    }
    Ok(())
}

/// Records that this engine is about to write the data.
pub(crate) fn begin(folder: &DataFolder) -> Result<(), EngineError> {
    if read(folder, WRITTEN)?.as_deref() == Some(ENGINE_VERSION) {
        return Ok(());
    }
    write_private(&folder.file(UPGRADE), format!("{ENGINE_VERSION}\n").as_bytes())
}

/// Records that the engine answers. Returns the previous version of the data, if this was an upgrade.
pub(crate) fn complete(folder: &DataFolder) -> Result<Option<String>, EngineError> {
    let path = folder.file(UPGRADE);
    let before = read(folder, WRITTEN)?;
    match fs::rename(&path, folder.file(WRITTEN)) {
        Ok(()) => Ok(before),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EngineError::io("rename", &path)(error)),
    }
}

fn read(folder: &DataFolder, name: &str) -> Result<Option<String>, EngineError> {
    let path = folder.file(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EngineError::io("read", &path)(error)),
    }
}

/// Returns the numbers of a version, by which versions are compared.
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
    fn lock_file_pins_package_and_version_without_a_host() {
        let lock = include_str!("../npm/package-lock.json");
        let manifest = include_str!("../npm/package.json");
        assert!(manifest.contains(&format!("\"{ENGINE_PACKAGE}\": \"{ENGINE_VERSION}\"")));
        assert!(lock.contains(&format!("\"version\": \"{ENGINE_VERSION}\"")));
        assert!(lock.contains("\"integrity\": \"sha512-"));
        assert!(!lock.contains("resolved") && !lock.contains("://"));
    }
}
