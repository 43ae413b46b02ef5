//! The public API of the facade as a page, so that changes show up in reviews.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use bridge_tests::workspace;

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Returns the type whose block an unindented line opens, such as `impl Name {` or `pub struct Name {`.
fn block(line: &str) -> Option<String> {
    let rest = line.strip_suffix('{')?.trim();
    let named =
        ["pub struct ", "pub enum ", "pub trait ", "impl "].iter().find_map(|start| rest.strip_prefix(start));
    // Items of trait implementations belong to the trait.
    let name = named.filter(|name| !name.contains(" for "))?;
    Some(name.split([':', ' ']).next()?.to_owned())
}

/// Returns `true` if the signature is complete.
fn is_complete(signature: &str) -> bool {
    let ends = [";", "{", ",", "}"].iter().any(|end| signature.ends_with(end));
    ends && signature.matches('(').count() == signature.matches(')').count()
}

fn normalize(signature: &str) -> String {
    let joined = signature.split_whitespace().collect::<Vec<_>>().join(" ");
    let joined = joined.replace("( ", "(").replace(", )", ")").replace(",)", ")");
    joined.trim_end_matches([';', '{', ',', ' ']).to_owned()
}

/// Returns all public items of a file. Relies on the lint `unreachable_pub`, so that every `pub` item is reachable, and
/// on rustfmt for the indentation.
fn items(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let (mut items, mut owner, mut is_enum) = (Vec::new(), None::<String>, false);
    let mut lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        let (is_inner, is_top) = (line.len() == text.len() + 4, line.len() == text.len());
        if is_top && let Some(name) = block(line) {
            (owner, is_enum) = (Some(name), line.starts_with("pub enum"));
        } else if line == "}" {
            owner = None;
        }
        let is_variant = is_inner && is_enum && owner.is_some() && text.starts_with(char::is_uppercase);
        if !text.starts_with("pub ") && !is_variant || text.starts_with("pub use ") || !(is_inner || is_top) {
            continue;
        }
        let mut signature = text.to_owned();
        while !is_complete(&signature) {
            let Some(more) = lines.next() else { break };
            signature = format!("{signature} {}", more.trim());
        }
        match &owner {
            Some(owner) if is_inner => items.push(format!("{owner}: {}", normalize(&signature))),
            _ => items.push(normalize(&signature)),
        }
    }
    items
}

/// Returns the names at the root of the crate, and those in its inline modules, `backup::ExportOptions` for example.
fn root_names(lib: &str) -> Vec<String> {
    let code: Vec<_> = lib.lines().filter(|line| !line.starts_with("//")).collect();
    let code = code.join("\n");
    let mut parts = code.split("\npub mod ");
    let mut root = parts.next().unwrap().to_owned();
    let mut names = Vec::new();
    for part in parts {
        // A module in a file of its own may be followed by another one at once.
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let Some(module) = head.strip_suffix(" {") else {
            root += body;
            continue;
        };
        let (inner, rest) = body.split_once("\n}").unwrap();
        root += rest;
        names.extend(
            used_names(inner).iter().map(|name| name.replacen("use ", &format!("use {module}::"), 1)),
        );
    }
    names.extend(used_names(&root));
    names
}

fn used_names(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for statement in code.split(';') {
        let Some((_, used)) = statement.split_once("pub use ") else { continue };
        let hidden = if statement.contains("#[doc(hidden)]") { " (hidden)" } else { "" };
        match used.split_once("::{") {
            Some((_, list)) => {
                let list = list.trim_end_matches('}').split(',').map(str::trim);
                names.extend(list.filter(|name| !name.is_empty()).map(|name| format!("use {name}{hidden}")));
            }
            None => names.push(format!("use {}{hidden}", used.rsplit([':', ' ']).next().unwrap())),
        }
    }
    names
}

fn public_api() -> String {
    let folder = workspace::root().join("crates/bridge/src");
    let lib = fs::read_to_string(folder.join("lib.rs")).unwrap();
    let mut lines: BTreeSet<String> = root_names(&lib).into_iter().collect();
    for file in files_below(&folder) {
        lines.extend(items(&fs::read_to_string(file).unwrap()));
    }
    let head = "The public API of the crate `bridge`: names at its root (use), types, fields, variants and methods.\n\
                Made by `UPDATE_PUBLIC_API=1 cargo test -p bridge-tests --test suite public_api`.\n\n";
    head.to_owned() + &lines.into_iter().map(|line| line + "\n").collect::<String>()
}

#[test]
fn the_public_api_page_is_current() {
    let path = workspace::root().join("docs/public-api.txt");
    let api = public_api();
    if env::var_os("UPDATE_PUBLIC_API").is_some() {
        fs::write(&path, &api).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap();
    let (page, api): (BTreeSet<_>, BTreeSet<_>) = (page.lines().collect(), api.lines().collect());
    let gone: Vec<_> = page.difference(&api).collect();
    let new: Vec<_> = api.difference(&page).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "run with UPDATE_PUBLIC_API=1\ngone: {gone:#?}\nnew: {new:#?}"
    );
}

#[test]
fn the_public_api_is_small_and_shadows_no_crate() {
    let api = public_api();
    let handle = api.lines().filter(|line| line.starts_with("EnhancedTokenDatabaseBridge: pub ")).count();
    assert!((20..=31).contains(&handle), "{handle} methods of the handle");
    let root: Vec<_> = api.lines().filter_map(|line| line.strip_prefix("use ")).collect();
    let shown = root.iter().filter(|name| !name.ends_with("(hidden)") && !name.contains("::")).count();
    assert!((100..=135).contains(&shown), "{shown} names at the root");
    assert!(!root.iter().any(|name| ["core", "std", "alloc"].contains(name)));
}

#[test]
fn the_page_contains_every_signature() {
    let source = "pub struct A {\n    pub b: u8,\n    c: u8,\n}\n\nimpl A {\n    pub fn d(\n        &self,\n        e: u8,\n    ) -> u8 {\n        0\n    }\n}\n\n\
                  pub enum F {\n    G,\n    H(u8),\n}\n";
    let expected =
        ["pub struct A", "A: pub b: u8", "A: pub fn d(&self, e: u8) -> u8", "pub enum F", "F: G", "F: H(u8)"];
    assert_eq!(items(source), expected);
}
