//! The sample is shown to those who have nothing and named nothing, and never stored beside real figures.

use std::fs;

use super::sources::{GOOD_LINE, GOOD_TOKENS, dry_run, sample};
use bridge_tests::program::{Finished, Run, backfill};

const SAMPLE_TOKENS: u64 = 885_591;

fn assert_refused(run: Run, why: &[&str]) -> Finished {
    let done = run.run();
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{done:?}");
    assert!(why.iter().all(|why| done.stderr.contains(why)), "{why:?}: {done:?}");
    done
}

#[test]
fn the_sample_is_not_stored_into_a_database_that_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert_refused(backfill(["--json", "--data-dir"]).arg(&data), &["no transcripts", "--source"]);
    assert!(!data.exists(), "nothing is started for it");
    // Nobody listens there: it is refused before anything is asked of the database.
    assert_refused(backfill(["--url", "http://127.0.0.1:1/usage"]), &["no transcripts", "--source"]);
}

#[test]
fn the_sample_is_marked_in_words_and_in_json() {
    let done = backfill(["--dry-run", "--json"]).run();
    let json = done.json();
    assert_eq!((&json["sample"], &json["total_tokens"]), (&true.into(), &SAMPLE_TOKENS.into()), "{done:?}");
    let done = backfill(["--dry-run"]).run();
    assert!(done.stdout.contains("SAMPLE DATA, not your transcripts"), "{done:?}");
    // Asked for by its path it is a folder like any other.
    assert_eq!(dry_run([sample()]).json()["sample"], false);
}

/// What the variable names is configured: nothing else is counted in its place.
#[test]
fn a_configured_folder_that_is_missing_is_an_error_with_its_path() {
    for value in ["/missing/config", "~/config", "/missing/a:/missing/b"] {
        let run = backfill(["--dry-run", "--json"]).env("CLAUDE_CONFIG_DIR", value);
        let path = value.replace('~', run.home().to_str().unwrap());
        let done = run.run();
        let json = done.json();
        assert_eq!(
            (done.code, &json["sample"], &json["files"]),
            (Some(1), &false.into(), &0.into()),
            "{done:?}"
        );
        assert!(json["errors"][0].as_str().unwrap().starts_with(&path), "{done:?}");
        assert_eq!(done.stderr.contains("with a comma between"), value.contains(':'), "{done:?}");
    }
}

#[test]
fn a_tilde_is_the_home_folder_wherever_it_stands() {
    for (arguments, variable) in [(&["--source", "~/mine"][..], None), (&[], Some("~/mine"))] {
        let run = backfill(["--dry-run", "--json"]).args(arguments);
        let project = run.home().join("mine/projects/p");
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join("s.jsonl"), GOOD_LINE).unwrap();
        let run = variable.into_iter().fold(run, |run, value| run.env("CLAUDE_CONFIG_DIR", value));
        let done = run.run();
        assert_eq!((done.code, &done.json()["total_tokens"]), (Some(0), &GOOD_TOKENS.into()), "{done:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_usual_folder_whose_disk_is_not_mounted_is_an_error_with_its_path() {
    let run = backfill(["--dry-run", "--json"]);
    let projects = run.home().join(".claude/projects");
    fs::create_dir(projects.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/missing/disk", &projects).unwrap();
    let done = run.run();
    let json = done.json();
    assert_eq!((done.code, &json["sample"], &json["files"]), (Some(1), &false.into(), &0.into()), "{done:?}");
    assert!(json["errors"][0].as_str().unwrap().contains(projects.to_str().unwrap()), "{done:?}");
}

/// As the desktop client keeps them: no transcript but its audit, which bears no times of its own.
#[test]
fn the_audit_of_a_desktop_session_counts_below_the_usual_folder_and_by_its_own_path() {
    let line = |id: u32| {
        format!(
            r#"{{"type":"assistant","session_id":"local_a","message":{{"id":"msg_{id:024}","usage":{{"input_tokens":10,"output_tokens":1}}}},"_audit_timestamp":"2026-01-31T12:00:00Z"}}"#
        ) + "\n"
    };
    let data = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    let session = format!("{data}/Claude/local-agent-mode-sessions/org/account/local_a");
    for arguments in [vec![], vec!["--source".to_owned(), format!("~/{session}")]] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = backfill(["--dry-run", "--json"]).args(&arguments);
        let session = run.home().join(&session);
        fs::create_dir_all(session.join("outputs")).unwrap();
        fs::write(session.join("audit.jsonl"), line(1) + &line(2)).unwrap();
        fs::write(session.join("outputs/mine.jsonl"), line(3)).unwrap();
        let done = run.run();
        let json = done.json();
        assert_eq!(
            (done.code, &json["responses"], &json["total_tokens"]),
            (Some(0), &2.into(), &22.into()),
            "{done:?}"
        );
    }
}
