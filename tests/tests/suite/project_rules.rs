//! Rules of the source tree that no lint checks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::Package;
use serde_json::Value;

use bridge_tests::workspace;

/// Returns the project's files: those tracked by git or, without git, all outside the target folder.
fn sources() -> Vec<PathBuf> {
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(workspace::root()).output();
    let tracked: Vec<_> = match git {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8(output.stdout).unwrap();
            names.split_terminator('\0').map(|name| workspace::root().join(name)).collect()
        }
        _ => files_below(workspace::root()),
    };
    let found: Vec<_> = tracked.into_iter().filter(|path| path.is_file()).collect();
    assert!(found.len() > 50, "only {} files found", found.len());
    found
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let sources = entries.filter(|entry| entry.file_name() != "target" && entry.file_name() != ".git");
    sources
        .flat_map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

/// Returns the machine-specific absolute paths in a text. Home folders of `user`, `me` and `pat` are permitted as examples.
fn machine_paths(text: &str) -> Vec<&str> {
    let after = |folder: &'static str| text.split(folder).skip(1);
    let is_name = |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    // Split, so that this file does not match itself.
    let homes = after(concat!("/ho", "me/")).filter(|rest| is_name(rest));
    let real = homes.filter(|rest| {
        !["user/", "me/", "pat/", "user\"", "user\\", "user}", "user-"]
            .iter()
            .any(|name| rest.starts_with(name))
    });
    let bare = [concat!("/wo", "rk"), concat!("/ro", "ot"), concat!("/Use", "rs/")];
    let found = bare.into_iter().flat_map(after).filter(|rest| rest.starts_with('/'));
    found.chain(real).map(|rest| rest.lines().next().unwrap_or(rest)).collect()
}

#[test]
fn no_file_contains_machine_specific_paths() {
    for path in sources() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let found = machine_paths(&text);
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

#[test]
fn machine_specific_paths_are_detected() {
    for path in
        [concat!("cd /wo", "rk/main"), concat!("/ro", "ot/.cargo"), concat!("x = \"/ho", "me/jane/a\"")]
    {
        assert_eq!(machine_paths(path).len(), 1, "{path}");
    }
    assert!(machine_paths("/home/user/app and /workflows/a and {folder}/rooted").is_empty());
}

/// A private mirror would be unreachable on other machines.
#[test]
fn locked_dependencies_come_from_public_registries() {
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock")).unwrap();
    let sources: Vec<_> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert!(!sources.is_empty());
    for source in sources {
        assert_eq!(source, "\"registry+https://github.com/rust-lang/crates.io-index\"");
    }
    for lock in sources_named("package-lock.json") {
        let lock: Value = serde_json::from_slice(&fs::read(lock).unwrap()).unwrap();
        for package in lock["packages"].as_object().unwrap().values() {
            let resolved = package["resolved"].as_str().unwrap_or("https://registry.npmjs.org/");
            assert!(resolved.starts_with("https://registry.npmjs.org/"), "{resolved}");
        }
    }
}

/// Registry settings of cargo and npm belong to the machine, not to the project.
#[test]
fn no_file_configures_a_package_registry() {
    let names = ["config.toml", ".npmrc", "credentials.toml"];
    let found: Vec<_> = names.iter().flat_map(|name| sources_named(name)).collect();
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("registry") && !text.contains("replace-with"), "{}", path.display());
    }
    for path in sources_named("Cargo.toml") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("registry ="), "{}", path.display());
    }
}

fn sources_named(name: &str) -> Vec<PathBuf> {
    sources().into_iter().filter(|path| path.file_name().is_some_and(|found| found == name)).collect()
}

#[test]
fn every_package_inherits_the_lints_and_the_rust_version() {
    let version = &workspace_version();
    for package in &workspace::metadata().packages {
        // Can be copied out of the workspace, and therefore inherit nothing.
        if ["embed", "service", "tenant"].contains(&package.name.as_str()) {
            continue;
        }
        assert!(inherits_lints(package), "{} does not inherit the lints", package.name);
        assert_eq!(
            package.rust_version.as_ref().map(ToString::to_string).as_ref(),
            Some(version),
            "{}",
            package.name
        );
    }
}

fn inherits_lints(package: &Package) -> bool {
    let manifest = fs::read_to_string(&package.manifest_path).unwrap();
    let section = manifest.split("\n[lints]\n").nth(1).unwrap_or_default();
    section.split("\n[").next().is_some_and(|lines| lines.lines().any(|line| line == "workspace = true"))
}

fn workspace_version() -> String {
    let manifest = fs::read_to_string(workspace::root().join("Cargo.toml")).unwrap();
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let short = version.expect("the workspace has a rust-version").trim_matches('"');
    if short.matches('.').count() == 1 { format!("{short}.0") } else { short.to_owned() }
}

/// Older compilers are not tested, so `rust-version` is the compiler in use, or a version that the README documents.
#[test]
fn the_rust_version_is_the_compiler_in_use_or_documented() {
    let rustc = Command::new("rustc").arg("--version").output().unwrap();
    let text = String::from_utf8(rustc.stdout).unwrap();
    let required = workspace_version();
    let minor = required.trim_end_matches(".0");
    let in_use = text.split(' ').nth(1).is_some_and(|version| version.starts_with(&format!("{minor}.")));
    let readme = fs::read_to_string(workspace::root().join("README.md")).unwrap();
    assert!(
        in_use || readme.contains(&format!("Rust {minor}")),
        "{text} is in use, but {required} is required"
    );
}

/// A port to another system begins and ends in one module. The embedded engine exists for Linux and macOS only.
#[test]
fn code_that_depends_on_the_operating_system_is_in_the_platform_module() {
    let crates = workspace::root().join("crates");
    let libraries =
        ["bridge", "bridge-analysis", "bridge-cache", "bridge-core", "bridge-pricing", "bridge-storage"];
    let mut files = 0;
    for path in libraries.iter().flat_map(|name| files_below(&crates.join(name).join("src"))) {
        let text = fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]").next().and_then(|text| text.split("#[cfg(all(test").next());
        let marks = ["std::os::", "libc::", "cfg(unix", "cfg(not(unix", "windows)", "target_os", "\"/proc/"];
        let found = marks.into_iter().find(|mark| product.unwrap().contains(mark));
        if path.starts_with(crates.join("bridge-analysis/src/platform")) {
            files += usize::from(found.is_some());
        } else {
            assert_eq!(found, None, "{}", path.display());
        }
    }
    assert!(files > 3, "only {files} files of the platform module depend on the system");
}

fn pages() -> impl Iterator<Item = PathBuf> {
    sources().into_iter().filter(|path| path.extension().is_some_and(|end| end == "md"))
}

/// Returns the page's links within the repository: their paths, and the text after each.
fn links(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let links = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let paths = links.map(|(link, rest)| (link.split('#').next().unwrap_or(link), rest));
    paths.filter(|(path, _)| !path.contains("://"))
}

/// The pages link to code, tests and each other.
#[test]
fn every_link_in_the_docs_points_to_a_file() {
    let mut number = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (link, _) in links(&text) {
            assert!(page.parent().unwrap().join(link).exists(), "{}: {link}", page.display());
            number += 1;
        }
    }
    assert!(number > 300, "{number}");
}

/// Returns the names after a link: `` [file](link) `one`, `other` ``.
fn names_after(rest: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(rest);
    std::iter::from_fn(move || {
        let text = rest?;
        let text = text.strip_prefix(" `").or_else(|| text.strip_prefix(", `"))?;
        let (name, after) = text.split_once('`')?;
        rest = Some(after);
        Some(name)
    })
}

#[test]
fn every_name_after_a_docs_link_occurs_in_the_linked_file() {
    let mut names = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (link, rest) in links(&text) {
            for name in names_after(rest) {
                let file = fs::read_to_string(page.parent().unwrap().join(link)).unwrap();
                assert!(file.contains(name), "{}: {link}: {name}", page.display());
                names += 1;
            }
        }
    }
    assert!(names > 100, "{names}");
}

/// The page names a test on the engine for each primary method.
#[test]
fn each_primary_method_is_tested_on_the_engine() {
    let page = fs::read_to_string(workspace::root().join("docs/specification.md")).unwrap();
    let primary =
        page.split("\n## Primary methods").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    for method in [
        "store_enhanced_analysis",
        "backfill_historical_data",
        "sync_session_tokens",
        "sync_all_sessions",
        "get_stored_token_summaries",
    ] {
        let row = primary.lines().find(|line| line.starts_with(&format!("| `{method}` |"))).expect(method);
        let (_, test) = row.split_once("**engine**: [").expect(method);
        let file = test.split("](").nth(1).and_then(|rest| rest.split(')').next()).expect(method);
        let on_engine = ["/tests/engine/", "/tests/observability/", "/conformance/"];
        assert!(on_engine.iter().any(|folder| file.contains(folder)), "{method}: {file}");
    }
}

/// All names in the specification: classes, methods, metrics and configuration keys.
const SPECIFIED: &str = "EnhancedTokenDatabaseBridge store_enhanced_analysis backfill_historical_data sync_session_tokens \
    sync_all_sessions get_stored_token_summaries EnhancedTokenAnalysis BridgeResult BackfillResult SyncResult \
    IntegrityResult RollbackResult TokenSummaryRecord BridgeError BridgeConnectionError BridgeStorageError \
    BridgeValidationError BackfillError _execute_with_retry get_analysis_with_fallback _batch_store_analyses \
    BridgeConnectionPool acquire_connection release_connection BridgeCache AnalysisValidator validate_analysis \
    ValidationResult verify_data_integrity DashboardBridgeAdapter get_dashboard_token_metrics DashboardTokenMetrics \
    TimeRange JSONLProcessorBridge on_content_batch_processed BatchProcessingResult health_check HealthStatus \
    BridgeMetrics storage_operation_duration backfill_progress_gauge error_rate_counter tokens_stored_total \
    sessions_synchronized data_freshness_gauge log_bridge_operation rollback_bridge_integration \
    clickhouse_client token_counter batch_size enable_validation session_id force_update start_date end_date \
    progress_callback connection_pool_size connection_timeout retry_attempts max_memory_mb parallel_limit \
    ttl_seconds max_entries health_check_interval metrics_export_interval";

#[test]
fn the_docs_mention_every_name_in_the_specification() {
    let page = fs::read_to_string(workspace::root().join("docs/specification.md")).unwrap();
    for name in SPECIFIED.split_whitespace() {
        assert!(page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}:")), "{name}");
    }
}
