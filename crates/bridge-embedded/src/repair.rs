//! Repairs definitions that a full disk has truncated, before the engine starts: it cannot start with one.
//!
//! The engine keeps the definition of each table and database in a file and, next to it, a symbolic link to the folder
//! with the rows. A truncated definition is rewritten from the link and from the program's knowledge of its tables, so
//! every row is kept. The launcher prevents such files now (`launcher/files.rs`); older versions left them.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::layout::DataFolder;
use crate::{EngineError, EngineEvent};

/// Returns the definition of a table behind its name and identity, `(columns) ENGINE = …`, by the table's name;
/// `None` for a table that the program does not know, and for a view, which holds no rows.
pub type TableDefinitions = fn(&str) -> Option<String>;

/// A definition that was repaired or set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repaired {
    pub(crate) name: String,
    /// `false` for an unknown table: its file was set aside, and its rows stay in their folder.
    pub(crate) is_known: bool,
}

impl Repaired {
    pub(crate) fn into_event(self) -> EngineEvent {
        let Self { name, is_known } = self;
        if is_known { EngineEvent::Repaired { name } } else { EngineEvent::SetAside { name } }
    }
}

/// Repairs all definitions below the folder. The engine must not be running.
pub(crate) fn repair(
    folder: &DataFolder,
    definitions: Option<TableDefinitions>,
) -> Result<Vec<Repaired>, EngineError> {
    let store = folder.file("store");
    let mut repaired = Vec::new();
    for file in definition_files(&store.join("metadata"))? {
        let database = stem(&file);
        if is_damaged(&file)? {
            repaired.push(repair_database(&store, &file, &database)?);
        }
        let Some(content) = linked_folder(&store.join("metadata").join(&database)) else { continue };
        for file in definition_files(&content)? {
            if is_damaged(&file)? {
                repaired.push(repair_table(&store, &database, &file, definitions)?);
            }
        }
    }
    Ok(repaired)
}

fn repair_database(store: &Path, file: &Path, database: &str) -> Result<Repaired, EngineError> {
    let identity = linked_folder(&store.join("metadata").join(database)).as_deref().and_then(identity);
    match &identity {
        Some(identity) => {
            let text = format!("ATTACH DATABASE _ UUID '{identity}'\nENGINE = Atomic\n");
            replace(file, &text)?;
        }
        // It was being created and is still empty.
        None => set_aside(file)?,
    }
    Ok(Repaired { name: unescaped(database), is_known: identity.is_some() })
}

fn repair_table(
    store: &Path,
    database: &str,
    file: &Path,
    definitions: Option<TableDefinitions>,
) -> Result<Repaired, EngineError> {
    let table = stem(file);
    let rows = linked_folder(&store.join("data").join(database).join(&table));
    let name = unescaped(&table);
    let definition = definitions.and_then(|definition| definition(&name));
    let known = rows.as_deref().and_then(identity).zip(definition);
    match &known {
        Some((identity, definition)) => {
            let text = format!("ATTACH TABLE _ UUID '{identity}'\n{definition}\n");
            replace(file, &text)?;
        }
        None => set_aside(file)?,
    }
    Ok(Repaired { name: format!("{}.{name}", unescaped(database)), is_known: known.is_some() })
}

/// Replaces a definition. The engine removes stray files with this temporary name, so a crash here does no harm.
fn replace(file: &Path, text: &str) -> Result<(), EngineError> {
    let replacement = file.with_extension("sql.tmp");
    File::create(&replacement)
        .and_then(|mut open| open.write_all(text.as_bytes()).and_then(|()| open.sync_all()))
        .and_then(|()| fs::rename(&replacement, file))
        .map_err(EngineError::io("write", file))
}

/// Renames a definition to an extension that the engine ignores.
fn set_aside(file: &Path) -> Result<(), EngineError> {
    fs::rename(file, file.with_extension("sql.bak")).map_err(EngineError::io("rename", file))
}

/// Returns the definitions in a folder of the engine; none if there is no such folder yet.
fn definition_files(folder: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(EngineError::io("read", folder))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(EngineError::io("read", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Returns whether a definition is truncated. A complete one begins with `ATTACH`, ends with a newline and is balanced.
fn is_damaged(file: &Path) -> Result<bool, EngineError> {
    let text = fs::read(file).map_err(EngineError::io("read", file))?;
    let is_whole = text.starts_with(b"ATTACH ") && text.ends_with(b"\n") && is_closed(&text);
    let has_kind = [&b"ENGINE"[..], b"\nAS "].iter().any(|word| memmem(&text, word));
    Ok(!(is_whole && has_kind))
}

fn memmem(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// Returns whether all quotes and parentheses are closed.
fn is_closed(text: &[u8]) -> bool {
    let (mut depth, mut quote, mut escaped) = (0_i64, None, false);
    for byte in text {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), close) if open == *close => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'`' | b'"') => quote = Some(*byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth -= 1,
            (None, _) => {}
        }
    }
    depth == 0 && quote.is_none()
}

/// Returns the target of one of the engine's links. They are absolute and the store may have been moved since, so only
/// the last two components count: `store/<first three digits>/<identity>`.
fn linked_folder(link: &Path) -> Option<PathBuf> {
    let target = fs::read_link(link).ok()?;
    let identity = identity(&target)?;
    let store =
        link.ancestors().find(|folder| folder.join("metadata").is_dir() && folder.join("store").is_dir())?;
    let folder = store.join("store").join(identity.get(..3)?).join(&identity);
    folder.is_dir().then_some(folder)
}

/// Returns the UUID that names a folder.
fn identity(folder: &Path) -> Option<String> {
    // A link may end in a slash.
    let name = folder.components().next_back()?.as_os_str().to_str()?;
    let digits = name.bytes().filter(u8::is_ascii_hexdigit).count();
    (name.len() == 36 && digits == 32).then(|| name.to_owned())
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Decodes the percent escapes in the engine's file names.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, others @ ..] = rest {
        let code = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, code.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_truncated_anywhere_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.sql");
        let whole = "ATTACH TABLE _ UUID '14925fb1-4ec9-495a-9bda-b172fc495221'\n(\n    `a` Enum8('x(' = 1)\n)\nENGINE = MergeTree\nORDER BY a\n";
        fs::write(&file, whole).unwrap();
        assert!(!is_damaged(&file).unwrap());
        // Behind `MergeTree` a line's end is the end of a whole definition, too.
        let end = whole.find("MergeTree").unwrap();
        for length in 0..end {
            fs::write(&file, &whole[..length]).unwrap();
            assert!(is_damaged(&file).unwrap(), "{length}");
        }
        fs::write(&file, vec![0; whole.len()]).unwrap();
        assert!(is_damaged(&file).unwrap());
    }

    #[test]
    fn file_names_are_unescaped() {
        assert_eq!(unescaped("token_usage_checkpoint_a%2Db"), "token_usage_checkpoint_a-b");
        assert_eq!(unescaped("100%"), "100%");
    }
}
