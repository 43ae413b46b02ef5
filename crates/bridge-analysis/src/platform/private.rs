//! Files and folders that only their owner may read, and their durability.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Creates a folder, and the missing ones above it, that only the owner may enter. On Windows the permissions are those
/// of the folder above.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file with these options; one that is created by it only the owner may read. On Windows the permissions are
/// those of the folder.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

/// Makes the names of the files in a folder durable, where a folder can be opened for that.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_owner_may_read_what_was_created() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("above").join("folder");
        create_private_folder(&folder).unwrap();
        let file = open_private(File::options().write(true).create_new(true), &folder.join("file")).unwrap();
        sync_folder(&folder).unwrap();
        let mode = |metadata: std::fs::Metadata| metadata.permissions().mode() & 0o777;
        assert_eq!(mode(folder.metadata().unwrap()), 0o700);
        assert_eq!(mode(file.metadata().unwrap()), 0o600);
    }
}
