//! The sample is used only without transcripts and without options, and never stored together with real counts.

use std::fs;

use super::sources::{GOOD_LINE, GOOD_TOKENS, dry_run, sample};
use bridge_tests::program::{Finished, Run, backfill};

const SAMPLE_TOKENS: u64 = 885_591;

fn assert_fails(run: Run, why: &[&str]) -> Finished {
    let done = run.run();
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{done:?}");
    assert!(why.iter().all(|why| done.stderr.contains(why)), "{why:?}: {done:?}");
    done
}

#[test]
fn the_sample_is_never_stored_in_a_named_database() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert_fails(backfill(["--json", "--data-dir"]).arg(&data), &["no transcripts", "--source"]);
    assert!(!data.exists(), "an engine was started");
    // No server listens there: the run fails before it connects to the database.
    assert_fails(backfill(["--url", "http://127.0.0.1:1/usage"]), &["no transcripts", "--source"]);
}

#[test]
fn the_sample_is_marked_in_text_and_json_output() {
    let done = backfill(["--dry-run", "--json"]).run();
    let json = done.json();
    assert_eq!((&json["sample"], &json["total_tokens"]), (&true.into(), &SAMPLE_TOKENS.into()), "{done:?}");
    let done = backfill(["--dry-run"]).run();
    assert!(done.stdout.contains("SAMPLE DATA, not your transcripts"), "{done:?}");
    // Money beside the tokens, unless it is not wanted.
    assert!(done.stdout.contains("$0.9719 at list prices"), "{done:?}");
    let done = backfill(["--dry-run", "--no-cost"]).run();
    assert!(done.code == Some(0) && !done.stdout.contains('$') && !done.stdout.contains("cost"), "{done:?}");
    // Requested by its path, it is an ordinary folder.
    assert_eq!(dry_run([sample()]).json()["sample"], false);
}

/// A folder set in the environment is never replaced by a default one or the sample.
#[test]
fn a_missing_configured_folder_is_an_error_with_its_path() {
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
        assert_eq!(done.stderr.contains("comma-separated"), value.contains(':'), "{done:?}");
    }
}

#[test]
fn a_tilde_expands_to_the_home_folder_in_options_and_variables() {
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
fn a_default_folder_on_an_unmounted_disk_is_an_error_with_its_path() {
    let run = backfill(["--dry-run", "--json"]);
    let projects = run.home().join(".claude/projects");
    fs::create_dir(projects.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/missing/disk", &projects).unwrap();
    let done = run.run();
    let json = done.json();
    assert_eq!((done.code, &json["sample"], &json["files"]), (Some(1), &false.into(), &0.into()), "{done:?}");
    assert!(json["errors"][0].as_str().unwrap().contains(projects.to_str().unwrap()), "{done:?}");
}

/// The desktop client writes audit files instead of transcripts, with other field names for times and sessions.
#[test]
fn desktop_session_audits_are_counted_by_default_and_by_path() {
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
