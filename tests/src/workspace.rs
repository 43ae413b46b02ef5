//! The workspace under test.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{Metadata, MetadataCommand};

/// Returns the workspace's root. Determined at run time, because worktrees may share build artifacts.
///
/// # Panics
///
/// Never panics, because the package has a parent folder.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
        Path::new(&package).parent().expect("the package is in the workspace").to_owned()
    });
    &ROOT
}

/// Returns the target folder, derived from this test's path `<target>/<profile>/deps`.
///
/// # Panics
///
/// Panics if the program is not a test built by cargo.
pub fn target_dir() -> PathBuf {
    let test = env::current_exe().expect("the test's path is available");
    test.ancestors().nth(3).expect("cargo builds tests in the target folder").to_owned()
}

/// Returns the manifests of all packages in the workspace.
///
/// # Panics
///
/// Panics if cargo cannot read the workspace.
pub fn metadata() -> &'static Metadata {
    static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
        let mut command = MetadataCommand::new();
        command.cargo_path(env!("CARGO")).manifest_path(root().join("Cargo.toml")).no_deps();
        command.exec().expect("the workspace is readable")
    });
    &METADATA
}
