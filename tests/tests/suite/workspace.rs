//! The workspace that is tested.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{Metadata, MetadataCommand};

/// Its root; asked for when the test runs, because worktrees may share what is built.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
        Path::new(&package).parent().expect("the package stands in the workspace").to_owned()
    });
    &ROOT
}

/// The folder that its builds go to.
pub(crate) fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo made it in the target folder").to_owned()
}

/// Its packages and what they declare.
pub(crate) fn metadata() -> &'static Metadata {
    static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
        let mut command = MetadataCommand::new();
        command.cargo_path(env!("CARGO")).manifest_path(root().join("Cargo.toml")).no_deps();
        command.exec().expect("the workspace is readable")
    });
    &METADATA
}
