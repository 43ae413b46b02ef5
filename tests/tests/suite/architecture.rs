//! Permitted dependencies between the packages.

use std::collections::BTreeSet;
use std::process::Command;

use cargo_metadata::{Dependency, DependencyKind, Package};

use bridge_tests::workspace;

fn package(name: &str) -> &'static Package {
    let mut packages = workspace::metadata().packages.iter();
    packages.find(|package| *package.name == name).unwrap_or_else(|| panic!("no package {name}"))
}

fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

/// Returns the package's dependencies within the workspace, except development dependencies.
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

/// Returns all transitive dependencies of a package with these arguments of features, on any platform.
fn all_dependencies(name: &str, features: &[&str]) -> BTreeSet<String> {
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
    let output =
        command.args(["--package", name]).args(features).current_dir(workspace::root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let package = |line: &str| Some(line.split('|').nth(1)?.split(' ').next()?.to_owned());
    let names: BTreeSet<_> = text.lines().filter_map(package).collect();
    assert!(names.contains(name) && names.len() > 1, "{text}");
    names
}

fn assert_no_dependency(name: &str, banned: &[&str]) {
    assert_no_dependency_with(name, &[], banned);
}

fn assert_no_dependency_with(name: &str, features: &[&str], banned: &[&str]) {
    let found = all_dependencies(name, features);
    let banned: Vec<_> = banned.iter().filter(|banned| found.contains(**banned)).collect();
    assert!(banned.is_empty(), "{name} depends on {banned:?}");
}

#[test]
fn core_has_no_internal_dependencies_and_layers_depend_only_on_core() {
    assert_edges("bridge-core", &[]);
    for layer in ["bridge-analysis", "bridge-storage", "bridge-cache", "bridge-embedded", "bridge-pricing"] {
        assert_edges(layer, &["bridge-core"]);
    }
}

#[test]
fn the_facade_depends_on_the_layers_and_optionally_on_the_engine() {
    let layers = [
        "bridge-core",
        "bridge-analysis",
        "bridge-storage",
        "bridge-cache",
        "bridge-embedded",
        "bridge-pricing",
    ];
    assert_edges("bridge", &layers);
    let facade = package("bridge");
    assert_eq!(edges(facade).count(), layers.len());
    let optional: Vec<_> = edges(facade).filter(|edge| edge.optional).map(|edge| &*edge.name).collect();
    assert_eq!(optional, ["bridge-embedded"]);
    assert_eq!(facade.features["embedded"], ["clickhouse", "dep:bridge-embedded"]);
    assert_eq!(facade.features["default"], ["cache", "clickhouse"]);
}

#[test]
fn published_packages_depend_only_on_published_ones() {
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
fn core_analysis_and_pricing_have_no_runtime_and_no_client_dependencies() {
    for name in ["bridge-core", "bridge-analysis", "bridge-pricing"] {
        assert_no_dependency(
            name,
            &["tokio", "async-std", "futures-executor", "clickhouse", "hyper", "moka"],
        );
    }
    assert_no_dependency("bridge-cache", &["clickhouse", "hyper"]);
}

/// Who brings a store, and caches elsewhere, compiles neither the client nor the cache.
#[test]
fn without_features_the_facade_has_no_client_and_no_cache() {
    let banned = ["clickhouse", "deadpool", "hyper", "hyper-util", "httparse", "lz4_flex", "moka"];
    assert_no_dependency_with("bridge", &["--no-default-features"], &banned);
    let found = all_dependencies("bridge", &[]);
    assert!(["clickhouse", "hyper", "moka"].iter().all(|name| found.contains(*name)), "{found:?}");
    let without_cache = ["--no-default-features", "--features", "config,embedded,tls"];
    assert_no_dependency_with("bridge", &without_cache, &["moka"]);
}

#[test]
fn the_default_facade_has_no_engine_no_cli_and_no_tls_dependencies() {
    let programs = ["clap", "indicatif", "comfy-table", "axum", "mockall", "proptest"];
    let tls =
        ["rustls", "native-tls", "openssl", "openssl-sys", "ring", "aws-lc-rs", "hyper-tls", "hyper-rustls"];
    assert_no_dependency(
        "bridge",
        &[&["bridge-embedded", "bridge-testkit"], &programs[..], &tls[..]].concat(),
    );
}
