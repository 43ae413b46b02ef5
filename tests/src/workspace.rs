//! The workspace that is tested.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{Metadata, MetadataCommand};

/// Its root; asked for when the test runs, because worktrees may share what is built.
///
/// # Panics
///
/// Never: the package stands in the workspace.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
        Path::new(&package).parent().expect("the package stands in the workspace").to_owned()
    });
    &ROOT
}

/// The folder that its builds go to: this test stands in `<target>/<profile>/deps`.
///
/// # Panics
///
/// The program stands elsewhere: it is no test that cargo built.
pub fn target_dir() -> PathBuf {
    let test = env::current_exe().expect("a program knows where it stands");
    test.ancestors().nth(3).expect("cargo built the test in the target folder").to_owned()
}

/// Its packages and what they declare.
///
/// # Panics
///
/// Cargo cannot read the workspace.
pub fn metadata() -> &'static Metadata {
    static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
        let mut command = MetadataCommand::new();
        command.cargo_path(env!("CARGO")).manifest_path(root().join("Cargo.toml")).no_deps();
        command.exec().expect("the workspace is readable")
    });
    &METADATA
}
