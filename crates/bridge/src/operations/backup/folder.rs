//! The folder of a backup: written so that it is either complete or absent, and read only if it is complete.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bridge_analysis::platform::{create_private_folder, open_private, sync_folder};
use bridge_core::{BridgeError, Epoch};
use bridge_storage::{BackupFormat, ExportSummary, TablePart};
use xxhash_rust::xxh3::Xxh3Default;

use super::leftover::{self, LOCK, PARTIAL, clear_away, is_of_export};
use super::manifest::{MANIFEST, Manifest, PartEntry, checksum, shown};

/// The size of the blocks in which files are checked.
const BLOCK_BYTES: usize = 1 << 18;

/// A backup that is being written, under a name that says so. Removed if it is dropped unfinished.
#[derive(Debug)]
pub(super) struct Draft {
    target: PathBuf,
    partial: PathBuf,
    /// Locked while it is written: an unlocked draft was left behind by a killed program.
    _lock: File,
    parts: u32,
    finished: bool,
}

impl Draft {
    pub(super) fn begin(target: &Path) -> Result<Self, BridgeError> {
        refuse_what_is_there(target)?;
        let mut name =
            target.file_name().ok_or_else(|| unusable(target, "the path does not name a folder"))?.to_owned();
        name.push(PARTIAL);
        let partial = target.with_file_name(name);
        let lock = Self::claim(target, &partial)?;
        clear_away(parent_of(target));
        clear(&partial)?;
        Ok(Self { target: target.to_owned(), partial, _lock: lock, parts: 0, finished: false })
    }

    /// Creates the folder and locks it.
    fn claim(target: &Path, partial: &Path) -> Result<File, BridgeError> {
        let path = partial.join(LOCK);
        loop {
            create_private_folder(partial).map_err(unwritable(partial))?;
            let opened = open_private(File::options().write(true).create(true).truncate(false), &path);
            let mut lock = match opened {
                // Removed as abandoned since it was created.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened.map_err(unwritable(partial))?,
            };
            if !leftover::claim(&mut lock).map_err(unwritable(partial))? {
                return Err(unusable(target, "another export is writing it"));
            }
            if leftover::is_there(&lock, &path) {
                return Ok(lock);
            }
        }
    }

    /// Writes a part to a file of its own.
    pub(super) fn add(&mut self, part: &TablePart) -> Result<PartEntry, BridgeError> {
        let file = format!("{}-{:05}.{}", part.table, self.parts, part.format.extension());
        self.parts += 1;
        self.write(&file, &part.data)?;
        Ok(PartEntry {
            file,
            table: part.table.clone(),
            rows: part.rows,
            bytes: part.data.len() as u64,
            xxh3: checksum(&part.data),
        })
    }

    /// Writes the manifest and renames the folder to its final name.
    pub(super) fn finish(mut self, manifest: &Manifest) -> Result<(), BridgeError> {
        let json = manifest.to_json().map_err(io::Error::from).map_err(unwritable(&self.target))?;
        self.write(MANIFEST, &json)?;
        sync_folder(&self.partial).map_err(unwritable(&self.partial))?;
        refuse_what_is_there(&self.target)?;
        fs::rename(&self.partial, &self.target).map_err(unwritable(&self.target))?;
        self.finished = true;
        // Only now, so that no other program takes the draft for an abandoned one.
        fs::remove_file(self.target.join(LOCK)).map_err(unwritable(&self.target))?;
        sync_folder(parent_of(&self.target)).map_err(unwritable(&self.target))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), BridgeError> {
        let path = self.partial.join(name);
        let mut file = open_private(File::options().write(true).create_new(true), &path)
            .map_err(unwritable(&self.target))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(unwritable(&self.target))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            // The next export finds what cannot be removed.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// A backup whose files are all present and unchanged.
#[derive(Debug)]
pub(super) struct Backup {
    folder: PathBuf,
    manifest: Manifest,
}

impl Backup {
    /// Checks a whole backup, for a store of this schema.
    pub(super) fn open(folder: &Path, schema: u32) -> Result<Self, BridgeError> {
        let path = folder.join(MANIFEST);
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(unusable(
                    folder,
                    "there is no manifest: it is not a backup, or an incomplete one",
                ));
            }
            Err(error) => return Err(unreadable(&path)(error)),
        };
        let manifest = Manifest::from_json(&json, schema).map_err(|why| unusable(folder, &why))?;
        let backup = Self { folder: folder.to_owned(), manifest };
        for number in 0..backup.parts() {
            backup.reader(number).check()?;
        }
        Ok(backup)
    }

    pub(super) fn summary(&self) -> &ExportSummary {
        &self.manifest.summary
    }

    pub(super) fn bytes(&self) -> u64 {
        self.manifest.bytes()
    }

    pub(super) fn parts(&self) -> usize {
        self.manifest.parts.len()
    }

    pub(super) fn reader(&self, number: usize) -> PartReader {
        let entry = self.manifest.parts[number].clone();
        let (path, epoch) = (self.folder.join(&entry.file), self.summary().epoch);
        PartReader { path, format: self.manifest.format, epoch, entry }
    }
}

/// Reads one file of a backup.
#[derive(Debug)]
pub(super) struct PartReader {
    path: PathBuf,
    format: BackupFormat,
    epoch: Epoch,
    entry: PartEntry,
}

impl PartReader {
    /// Returns the part. Checks it again, because the file may have changed since the whole backup was checked.
    pub(super) fn read(self) -> Result<TablePart, BridgeError> {
        let data = fs::read(&self.path).map_err(unreadable(&self.path))?;
        self.compare(data.len() as u64, &checksum(&data))?;
        let PartEntry { table, rows, .. } = self.entry;
        Ok(TablePart { table, format: self.format, epoch: self.epoch, rows, data })
    }

    fn check(&self) -> Result<(), BridgeError> {
        let mut file = File::open(&self.path).map_err(unreadable(&self.path))?;
        let (mut hash, mut bytes, mut block) = (Xxh3Default::new(), 0, vec![0; BLOCK_BYTES]);
        loop {
            match file.read(&mut block) {
                Ok(0) => return self.compare(bytes, &shown(hash.digest128())),
                Ok(read) => {
                    hash.update(&block[..read]);
                    bytes += read as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&self.path)(error)),
            }
        }
    }

    fn compare(&self, bytes: u64, checksum: &str) -> Result<(), BridgeError> {
        if bytes != self.entry.bytes {
            let why = format!("it has {bytes} bytes instead of {}", self.entry.bytes);
            return Err(unusable(&self.path, &why));
        }
        if checksum != self.entry.xxh3 {
            return Err(unusable(&self.path, "it is damaged: its checksum does not match"));
        }
        Ok(())
    }
}

fn refuse_what_is_there(target: &Path) -> Result<(), BridgeError> {
    match fs::read_dir(target) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(unusable(target, "something exists there already and is not overwritten")),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unwritable(target)(error)),
    }
}

fn parent_of(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes what a killed export to the same place left behind, and nothing else.
fn clear(partial: &Path) -> Result<(), BridgeError> {
    for entry in fs::read_dir(partial).map_err(unwritable(partial))? {
        let path = entry.map_err(unwritable(partial))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name {
            LOCK => {}
            _ if is_of_export(Path::new(name)) => fs::remove_file(&path).map_err(unwritable(&path))?,
            _ => return Err(unusable(&path, "it was not left behind by an export and is not removed")),
        }
    }
    Ok(())
}

fn unusable(path: &Path, why: &str) -> BridgeError {
    error(path, why.to_owned(), None)
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> BridgeError {
    move |cause| {
        let full = matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        let why = if full { "the disk is full" } else { "it cannot be written" };
        error(path, why.to_owned(), Some(cause.into()))
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> BridgeError {
    move |cause| {
        let missing = cause.kind() == ErrorKind::NotFound;
        let why = if missing { "the file is missing" } else { "it cannot be read" };
        error(path, why.to_owned(), Some(cause.into()))
    }
}

fn error(path: &Path, message: String, source: Option<Box<dyn Error + Send + Sync>>) -> BridgeError {
    let error = BridgeError::backup(path, message);
    match source {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}
