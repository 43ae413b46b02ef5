//! Who may depend on whom.

use std::collections::BTreeSet;
use std::process::Command;

use cargo_metadata::{Dependency, DependencyKind, Package};

use bridge_tests::workspace;

fn package(name: &str) -> &'static Package {
    let mut packages = workspace::metadata().packages.iter();
    packages.find(|package| *package.name == name).unwrap_or_else(|| panic!("there is no package {name}"))
}

fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

/// What it depends on when it is used, not only tested; in this workspace.
fn edges(package: &Package) -> impl Iterator<Item = &Dependency> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development && dependency.path.is_some())
}

fn assert_edges(name: &str, allowed: &[&str]) {
    let names: BTreeSet<_> = edges(package(name)).map(|dependency| &*dependency.name).collect();
    assert!(names.is_subset(&allowed.iter().copied().collect()), "{name} depends on {names:?}");
}

/// Everything that a package with its default features is built from, on any platform.
fn built_from(name: &str) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "tree",
        "--edges",
        "normal,build",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{lib}|{p}",
    ]);
    let output = command.args(["--package", name]).current_dir(workspace::root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let package = |line: &str| Some(line.split('|').nth(1)?.split(' ').next()?.to_owned());
    let names: BTreeSet<_> = text.lines().filter_map(package).collect();
    assert!(names.contains(name) && names.len() > 1, "{text}");
    names
}

fn assert_built_without(name: &str, banned: &[&str]) {
    let found = built_from(name);
    let banned: Vec<_> = banned.iter().filter(|banned| found.contains(**banned)).collect();
    assert!(banned.is_empty(), "{name} is built from {banned:?}");
}

#[test]
fn core_stands_alone_and_the_layers_stand_on_core_only() {
    assert_edges("bridge-core", &[]);
    for layer in ["bridge-analysis", "bridge-storage", "bridge-cache", "bridge-embedded"] {
        assert_edges(layer, &["bridge-core"]);
    }
}

#[test]
fn the_facade_stands_on_the_layers_and_on_the_engine_only_if_asked_to() {
    let layers = ["bridge-core", "bridge-analysis", "bridge-storage", "bridge-cache", "bridge-embedded"];
    assert_edges("bridge", &layers);
    let facade = package("bridge");
    assert_eq!(edges(facade).count(), layers.len());
    let optional: Vec<_> = edges(facade).filter(|edge| edge.optional).map(|edge| &*edge.name).collect();
    assert_eq!(optional, ["bridge-embedded"]);
    assert_eq!(facade.features["embedded"], ["dep:bridge-embedded"]);
    assert!(facade.features.get("default").is_none_or(Vec::is_empty));
}

#[test]
fn nothing_published_depends_on_what_is_not() {
    let packages = &workspace::metadata().packages;
    let private: BTreeSet<_> = packages
        .iter()
        .filter(|package| !is_published(package))
        .map(|package| package.name.to_string())
        .collect();
    for name in ["bridge-testkit", "bridge-examples", "bridge-tests", "bridge-benches"] {
        assert!(private.contains(name), "{name} would be published");
    }
    for package in packages.iter().filter(|package| is_published(package)) {
        let found: Vec<_> = edges(package).filter(|edge| private.contains(&edge.name)).collect();
        assert!(found.is_empty(), "{} depends on {found:?}", package.name);
    }
}

#[test]
fn core_and_analysis_need_no_runtime_and_no_client() {
    for name in ["bridge-core", "bridge-analysis"] {
        assert_built_without(
            name,
            &["tokio", "async-std", "futures-executor", "clickhouse", "hyper", "moka"],
        );
    }
    assert_built_without("bridge-cache", &["clickhouse", "hyper"]);
}

#[test]
fn the_facade_by_default_brings_no_engine_no_program_and_no_tls() {
    let programs = ["clap", "indicatif", "comfy-table", "axum", "mockall", "proptest"];
    let tls =
        ["rustls", "native-tls", "openssl", "openssl-sys", "ring", "aws-lc-rs", "hyper-tls", "hyper-rustls"];
    assert_built_without(
        "bridge",
        &[&["bridge-embedded", "bridge-testkit"], &programs[..], &tls[..]].concat(),
    );
}
