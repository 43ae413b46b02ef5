//! The folder of a transcript's project on this host.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use serde::Deserialize;

use super::git::{is_whole, on_this_host};
use crate::count::project::place_of;
use crate::source::SourceFile;

/// The client writes the folder into nearly every record: what comes after this does not have it either.
const READ_BYTES_MAX: u64 = 256 << 10;

#[derive(Deserialize)]
struct Record {
    cwd: Option<String>,
}

/// Returns the folder of the project, by the first record that names one; `None` if none does, or the transcript
/// cannot be read. The folder need not exist.
#[must_use]
pub fn folder_of_project(transcript: &SourceFile) -> Option<PathBuf> {
    let file = BufReader::new(File::open(&transcript.path).ok()?.take(READ_BYTES_MAX));
    let cwd = file.split(b'\n').map_while(Result::ok).find_map(|line| {
        let record: Record = serde_json::from_slice(&line).ok()?;
        record.cwd.filter(|cwd| !cwd.is_empty())
    })?;
    let project = place_of(transcript.project_folder.as_deref(), Some(&cwd)).project?;
    is_whole(project.as_str()).then(|| on_this_host(project.as_str()))
}

#[cfg(test)]
mod tests {
    use bridge_core::Timestamp;

    use super::*;

    #[test]
    fn the_first_record_with_a_folder_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("projects/-home-pat-app/s.jsonl");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            folder_of_project(&SourceFile::of_path(&path, 0, Timestamp::MIN))
        };
        let lines = "{}\nno JSON\n{\"cwd\":\"\"}\n{\"a\":{\"cwd\":\"/x\"},\"cwd\":\"/home/pat/app/src\"}\n";
        assert_eq!(of(lines), Some(PathBuf::from("/home/pat/app")));
        assert_eq!(of("{\"cwd\":\"relative\"}\n"), None);
        assert_eq!(of(""), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(folder_of_project(&SourceFile::of_path(&path, 0, Timestamp::MIN)), None);
    }
}
