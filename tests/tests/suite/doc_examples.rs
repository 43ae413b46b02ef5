//! What a user configures and calls appears in an example of the documentation, which is compiled and run.
//!
//! Data that operations return need none of their own: the example of the operation shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bridge_tests::workspace;

const CRATES: [&str; 6] =
    ["bridge", "bridge-analysis", "bridge-cache", "bridge-core", "bridge-embedded", "bridge-storage"];

/// Types whose every method appears in an example, besides those that are named as options or filters.
const TYPES: [&str; 15] = [
    "AllowedHosts",
    "BridgeBuilder",
    "BridgeConnectionPool",
    "ClickHouseStore",
    "DashboardBridgeAdapter",
    "DashboardQuery",
    "EmbeddedDatabase",
    "Engine",
    "EnhancedTokenDatabaseBridge",
    "InMemoryStore",
    "JsonlProcessorBridge",
    "Schema",
    "SessionEntries",
    "TokenAnalyzer",
    "TranscriptStream",
];
const ENDS: [&str; 5] = ["Filter", "Limits", "Options", "Page", "Policy"];

/// Methods without an example, each with the reason.
const EXEMPT: [(&str, &str); 2] = [
    ("BridgeBuilder::assignments", "the type of its argument has the example"),
    ("ClickHouseOptions::located", "for a database that moves; `EmbeddedDatabase::store_options` calls it"),
];

fn is_covered(name: &str) -> bool {
    TYPES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

/// The public methods of a crate by type, and the words of its examples.
#[derive(Default)]
struct Documentation {
    methods: BTreeMap<String, BTreeSet<String>>,
    words: BTreeSet<String>,
}

impl Documentation {
    fn read(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => self.read(&path),
                Some(extension) if extension == "rs" => self.read_source(&fs::read_to_string(path).unwrap()),
                _ => {}
            }
        }
    }

    fn read_source(&mut self, source: &str) {
        let (mut in_example, mut hidden, mut owner) = (false, false, None);
        for line in source.split("#[cfg(test)]\nmod tests").next().unwrap().lines() {
            let text = line.trim_start();
            if let Some(doc) = text.strip_prefix("///").or(text.strip_prefix("//!")) {
                if doc.trim_start().starts_with("```") {
                    in_example = !in_example && !doc.contains("text");
                } else if in_example {
                    let words = doc.split(|c: char| !c.is_alphanumeric() && c != '_');
                    self.words.extend(words.map(str::to_owned));
                }
            } else if text.starts_with("#[") {
                hidden |= text == "#[doc(hidden)]";
            } else {
                if let Some(block) = line.strip_prefix("impl ") {
                    owner = block.strip_suffix(" {").filter(|name| is_covered(name)).map(str::to_owned);
                }
                let method = text.strip_prefix("pub ").filter(|_| line.len() == text.len() + 4 && !hidden);
                if let (Some(owner), Some(name)) = (&owner, method.and_then(function)) {
                    self.methods.entry(owner.clone()).or_default().insert(name.to_owned());
                }
                hidden = false;
            }
        }
    }
}

/// Returns the name of a function's signature.
fn function(signature: &str) -> Option<&str> {
    let name = signature.trim_start_matches("const ").trim_start_matches("async ").strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

#[test]
fn every_method_that_users_call_appears_in_an_example() {
    let mut documentation = Documentation::default();
    for name in CRATES {
        documentation.read(&workspace::root().join("crates").join(name).join("src"));
    }
    assert!(documentation.methods.len() > 30, "{:?}", documentation.methods.keys());
    let exempt: BTreeMap<_, _> = EXEMPT.into();
    let missing: Vec<_> = documentation
        .methods
        .iter()
        .flat_map(|(owner, methods)| methods.iter().map(move |method| (owner, method)))
        .filter(|(_, method)| !documentation.words.contains(*method))
        .map(|(owner, method)| format!("{owner}::{method}"))
        .filter(|name| !exempt.contains_key(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "without an example: {missing:#?}");
}
