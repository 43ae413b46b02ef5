//! The client's retention of transcripts, by its settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bridge_analysis::SourceFile;
use bridge_analysis::incremental::folder_of_project;
use bridge_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The days after which the client deletes a transcript, unless its settings say otherwise.
const DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

/// Settings of the client are smaller; more of a file is not read.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// The files of settings in a folder of the client's configuration, or in `.claude` of a project; later files
/// override earlier ones.
const SETTINGS: [&str; 2] = ["settings.json", "settings.local.json"];
const MANAGED: &str = "managed-settings.json";
const MANAGED_PARTS: &str = "managed-settings.d";

/// The folder below the client's configuration that it cleans up.
const PROJECTS: &str = "projects";

/// The client's retention of transcripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TranscriptRetention {
    /// The folder of the client's configuration.
    pub folder: PathBuf,
    /// The days since a transcript was last modified.
    pub days: u32,
    /// The file of settings that states the days; `None` for the client's default.
    pub stated_in: Option<PathBuf>,
    /// Settings that could not be read, and why: they are taken as absent.
    pub errors: Vec<String>,
}

/// The retention of each folder of the client's configuration.
#[derive(Debug, Default)]
pub(crate) struct Retentions(BTreeMap<PathBuf, TranscriptRetention>);

impl Retentions {
    /// Reads the settings that apply to these transcripts, with those of an organization in `managed`.
    pub(crate) fn read(managed: &Path, files: &[SourceFile]) -> Self {
        let mut newest: BTreeMap<(&Path, Option<&str>), &SourceFile> = BTreeMap::new();
        for file in files {
            let Some(folder) = config_folder(&file.path) else { continue };
            let known = newest.entry((folder, file.project_folder.as_deref())).or_insert(file);
            if known.modified < file.modified {
                *known = file;
            }
        }
        let mut projects: BTreeMap<&Path, BTreeSet<PathBuf>> = BTreeMap::new();
        for ((folder, _), file) in newest {
            projects.entry(folder).or_default().extend(folder_of_project(file));
        }
        let retention = |(folder, projects): (&Path, BTreeSet<PathBuf>)| {
            (folder.to_owned(), TranscriptRetention::of(folder, &projects, managed))
        };
        Self(projects.into_iter().map(retention).collect())
    }

    /// Returns when the client may delete the transcript; `None` if it is in no folder that the client cleans up.
    pub(crate) fn expiry(&self, path: &Path, modified: Timestamp) -> Option<Timestamp> {
        let retention = self.0.get(config_folder(path)?)?;
        Some(modified.saturating_add(DAY.saturating_mul(retention.days)))
    }

    pub(crate) fn into_all(self) -> Vec<TranscriptRetention> {
        self.0.into_values().collect()
    }
}

/// The days that a file of settings states.
type Stated = Option<(u32, PathBuf)>;

impl TranscriptRetention {
    /// Managed settings override all others. Otherwise the shortest retention wins, because the client deletes
    /// transcripts of all projects by the settings of the one it starts in.
    fn of(folder: &Path, projects: &BTreeSet<PathBuf>, managed: &Path) -> Self {
        let mut errors = Vec::new();
        let (days, stated_in) = match managed_days(managed, &mut errors) {
            Some((days, file)) => (days, Some(file)),
            None => shortest(folder, projects, &mut errors),
        };
        errors.sort_unstable();
        errors.dedup();
        Self { folder: folder.to_owned(), days, stated_in, errors }
    }
}

/// Returns the shortest retention that applies in any project, and the file that states it.
fn shortest(folder: &Path, projects: &BTreeSet<PathBuf>, errors: &mut Vec<String>) -> (u32, Option<PathBuf>) {
    let elsewhere = last_stated(folder, errors);
    let mut shortest = elsewhere.map_or((DAYS, None), |(days, file)| (days, Some(file)));
    for project in projects {
        if let Some((days, file)) = last_stated(&project.join(".claude"), errors)
            && days < shortest.0
        {
            shortest = (days, Some(file));
        }
    }
    shortest
}

fn managed_days(folder: &Path, errors: &mut Vec<String>) -> Stated {
    let parts = std::fs::read_dir(folder.join(MANAGED_PARTS)).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = parts.map(|part| part.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort_unstable();
    files.insert(0, folder.join(MANAGED));
    last_of(files, errors)
}

fn last_stated(folder: &Path, errors: &mut Vec<String>) -> Stated {
    last_of(SETTINGS.map(|name| folder.join(name)), errors)
}

fn last_of(files: impl IntoIterator<Item = PathBuf>, errors: &mut Vec<String>) -> Stated {
    let mut stated = None;
    for file in files {
        match days_in(&file) {
            Ok(days) => stated = days.map(|days| (days, file)).or(stated),
            Err(error) => errors.push(format!("{}: {error}", file.display())),
        }
    }
    stated
}

/// Returns the folder of the client's configuration that the transcript is below.
fn config_folder(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == PROJECTS))?.parent()
}

/// Returns the days that the file of settings states, if it states any.
fn days_in(path: &Path) -> io::Result<Option<u32>> {
    let file = match File::open(path) {
        Err(error) if is_absent(&error) => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    file.take(SETTINGS_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > SETTINGS_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    // The reason would quote the settings, which may hold secrets.
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "it is not valid");
    let settings: Map<String, Value> = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    let days = match settings.get("cleanupPeriodDays") {
        None | Some(Value::Null) => return Ok(None),
        Some(days) => days.as_u64().ok_or_else(unreadable)?,
    };
    Ok(Some(u32::try_from(days).unwrap_or(u32::MAX)))
}

/// A project whose folder is gone, or was replaced by a file, has no settings.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn days(days: u64) -> String {
        format!(r#"{{"env":{{"TOKEN":"secret"}},"cleanupPeriodDays":{days}}}"#)
    }

    #[test]
    fn settings_decide_the_retention_and_damaged_ones_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (user, managed) = (folder.path().join(".claude"), folder.path().join("managed"));
        let retention = || TranscriptRetention::of(&user, &BTreeSet::new(), &managed);
        let of = |name: &str, text: &str| {
            write(&user.join(name), text);
            (retention().days, retention().errors.len())
        };
        assert_eq!((retention().days, retention().stated_in), (30, None));
        assert_eq!(of("settings.json", &days(7)), (7, 0));
        assert_eq!(retention().stated_in, Some(user.join("settings.json")));
        assert_eq!(of("settings.local.json", &days(99_999_999_999)), (u32::MAX, 0));
        assert_eq!(of("settings.local.json", "{}"), (7, 0));
        for bad in [r#"{"cleanupPeriodDays":"seven"}"#, r#"{"cleanupPeriodDays":-1}"#, "{", "[1]"] {
            assert_eq!(of("settings.json", bad), (30, 1), "{bad}");
            assert!(!retention().errors[0].contains("seven"), "it quotes nothing of the settings");
        }
        assert_eq!(of("settings.json", &" ".repeat(2 << 20)), (30, 1));
    }

    #[test]
    fn an_organization_decides_over_projects_and_these_over_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let projects = BTreeSet::from([at("app"), at("other"), at("gone")]);
        let decided = || {
            let retention = TranscriptRetention::of(&at(".claude"), &projects, &at("managed"));
            assert_eq!(retention.errors, [""; 0]);
            let file = retention.stated_in.map(|file| file.strip_prefix(folder.path()).unwrap().to_owned());
            (retention.days, file.unwrap_or_default())
        };
        std::fs::create_dir_all(at("other")).unwrap();
        write(&at(".claude/settings.json"), &days(90));
        assert_eq!(decided(), (90, ".claude/settings.json".into()));
        // The client deletes transcripts of all projects by the settings of the one that it is started in.
        write(&at("app/.claude/settings.json"), &days(20));
        assert_eq!(decided(), (20, "app/.claude/settings.json".into()));
        write(&at("app/.claude/settings.local.json"), &days(100));
        assert_eq!(decided(), (90, ".claude/settings.json".into()), "elsewhere the user's apply");
        write(&at("managed/managed-settings.json"), &days(200));
        assert_eq!(decided(), (200, "managed/managed-settings.json".into()));
        write(&at("managed/managed-settings.d/20-b.json"), &days(60));
        write(&at("managed/managed-settings.d/10-a.json"), &days(70));
        write(&at("managed/managed-settings.d/readme.txt"), "not read");
        assert_eq!(decided(), (60, "managed/managed-settings.d/20-b.json".into()));
    }

    #[test]
    fn without_settings_of_the_user_the_default_applies_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("app");
        write(&project.join(".claude/settings.json"), &days(365));
        let of = || TranscriptRetention::of(folder.path(), &[project.clone()].into(), Path::new("none"));
        assert_eq!((of().days, of().stated_in), (30, None));
        write(&project.join(".claude/settings.json"), &days(3));
        assert_eq!(of().days, 3);
    }

    #[test]
    fn only_files_below_projects_are_cleaned_up() {
        let folder = |path: &str| config_folder(Path::new(path)).map(Path::to_owned);
        let expected = Some(PathBuf::from("/h/.claude"));
        assert_eq!(folder("/h/.claude/projects/-p/s.jsonl"), expected);
        assert_eq!(folder("/h/.claude/projects/-p/s/subagents/agent-a.jsonl"), expected);
        assert_eq!(folder("/archive/s.jsonl"), None);
    }
}
