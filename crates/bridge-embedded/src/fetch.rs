//! Finds the engine in the user's cache folder, or fetches it with npm.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bridge_core::Stopwatch;
use serde::{Deserialize, Serialize};

use crate::layout::{open_lock, remove_if_there, write_private};
use crate::lock::{self, Deadline};
use crate::version::{ENGINE_PACKAGE, ENGINE_VERSION};
use crate::{EngineError, EngineEvent, EngineOptions, npm};

const LIBRARY: &str = "libchdb.so";
const MARKER: &str = "complete.json";

/// Written last into a fetched engine's folder; marks it as complete.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Marker {
    version: String,
    library_bytes: u64,
}

/// State of the engine in the cache.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Complete,
    Missing,
    Damaged,
}

/// Returns the engine's library, fetched if necessary.
pub(crate) fn library(
    cache: &Path,
    options: &EngineOptions,
    observer: &mut dyn FnMut(EngineEvent),
) -> Result<PathBuf, EngineError> {
    let folder = cache.join(format!("engine-{ENGINE_VERSION}"));
    let library = folder.join(LIBRARY);
    if verify(&folder) == Found::Complete {
        return Ok(library);
    }
    fs::create_dir_all(cache).map_err(EngineError::io("create", cache))?;
    let _one_fetcher = lock_fetching(&cache.join("fetch.lock"), options, observer)?;
    // Another program may have fetched it while this one waited.
    match verify(&folder) {
        Found::Complete => return Ok(library),
        Found::Damaged => observer(EngineEvent::Damaged { path: library.clone() }),
        Found::Missing => {}
    }
    observer(EngineEvent::Fetching { folder: folder.clone() });
    let watch = Stopwatch::start();
    let bytes = fetch_into(&folder, options, observer)?;
    observer(EngineEvent::Fetched { bytes, elapsed: watch.elapsed() });
    Ok(library)
}

/// Returns the cache folder of engines and launchers.
pub(crate) fn cache_folder(options: &EngineOptions) -> Result<PathBuf, EngineError> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = options
        .cache_dir
        .clone()
        .or_else(|| set("BRIDGE_ENGINE_CACHE"))
        .or_else(|| {
            let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
            Some(caches.join("enhanced-token-bridge"))
        })
        .ok_or(EngineError::NoCacheFolder)?;
    std::path::absolute(&folder).map_err(EngineError::io("resolve", &folder))
}

/// Compares sizes only, which is cheap at every start; npm verified the hash when it fetched.
fn verify(folder: &Path) -> Found {
    let marker = fs::read(folder.join(MARKER)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let library_bytes = fs::metadata(folder.join(LIBRARY)).map(|file| file.len()).ok();
    match (marker, library_bytes) {
        (None, None) => Found::Missing,
        (Some(Marker { version, library_bytes: expected }), Some(bytes))
            if version == ENGINE_VERSION && bytes == expected =>
        {
            Found::Complete
        }
        _ => Found::Damaged,
    }
}

fn lock_fetching(
    path: &Path,
    options: &EngineOptions,
    observer: &mut dyn FnMut(EngineEvent),
) -> Result<File, EngineError> {
    let file = open_lock(path)?;
    if file.try_lock().is_err() {
        observer(EngineEvent::WaitingForFetch);
        lock::exclusive(&file, path, &Deadline::after(options.fetch_timeout))?;
    }
    Ok(file)
}

/// Fetches into a folder next to `folder` and renames it when complete. Returns the library's size.
fn fetch_into(
    folder: &Path,
    options: &EngineOptions,
    observer: &mut dyn FnMut(EngineEvent),
) -> Result<u64, EngineError> {
    let partial = folder.with_extension("partial");
    // Left by a killed fetcher: the lock excludes a running one.
    remove_folder(&partial)?;
    let outcome = npm::install(&partial, options, observer).and_then(|()| complete(&partial));
    let bytes = match outcome {
        Ok(bytes) => bytes,
        Err(error) => {
            remove_folder(&partial)?;
            return Err(error);
        }
    };
    remove_folder(folder)?;
    fs::rename(&partial, folder).map_err(EngineError::io("create", folder))?;
    Ok(bytes)
}

/// Reduces npm's folder to the library, synced to disk, and marks it as complete.
fn complete(partial: &Path) -> Result<u64, EngineError> {
    let modules = partial.join("node_modules");
    let fetched = modules.join(ENGINE_PACKAGE).join(LIBRARY);
    let library = partial.join(LIBRARY);
    let bytes = fs::metadata(&fetched).map_or(0, |file| file.len());
    if bytes == 0 {
        return Err(EngineError::PackageIncomplete { path: fetched });
    }
    fs::rename(&fetched, &library)
        .and_then(|()| File::open(&library)?.sync_all())
        .map_err(EngineError::io("keep", &library))?;
    remove_folder(&modules)?;
    remove_if_there(&partial.join("package.json"))?;
    remove_if_there(&partial.join("package-lock.json"))?;
    let marker = Marker { version: ENGINE_VERSION.to_owned(), library_bytes: bytes };
    let path = partial.join(MARKER);
    let text = serde_json::to_vec(&marker).map_err(|error| EngineError::Io {
        action: "write",
        path: path.clone(),
        source: error.into(),
    })?;
    write_private(&path, &text)?;
    Ok(bytes)
}

fn remove_folder(path: &Path) -> Result<(), EngineError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_of_another_size_or_version_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(verify(folder.path()), Found::Missing);
        fs::write(folder.path().join(LIBRARY), b"engine").unwrap();
        assert_eq!(verify(folder.path()), Found::Damaged, "no marker: the fetch did not end");
        let marker = |version: &str| Marker { version: version.to_owned(), library_bytes: 6 };
        let mark = |marker: &Marker| {
            fs::write(folder.path().join(MARKER), serde_json::to_vec(marker).unwrap()).unwrap();
        };
        mark(&marker(ENGINE_VERSION));
        assert_eq!(verify(folder.path()), Found::Complete);
        mark(&marker("1.0"));
        assert_eq!(verify(folder.path()), Found::Damaged);
        mark(&marker(ENGINE_VERSION));
        fs::write(folder.path().join(LIBRARY), b"engin").unwrap();
        assert_eq!(verify(folder.path()), Found::Damaged, "truncated");
        fs::remove_file(folder.path().join(LIBRARY)).unwrap();
        assert_eq!(verify(folder.path()), Found::Damaged, "removed");
    }
}
