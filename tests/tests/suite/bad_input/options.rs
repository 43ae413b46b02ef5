//! Invalid options, and the fields of the JSON output.

use super::sources::{dry_run, sample};
use bridge_tests::program::{Finished, backfill, example};

/// Asserts that the command line is rejected before anything is read.
fn assert_rejected(arguments: &[&str], why: &str) -> Finished {
    let done = backfill(["--dry-run", "--source"]).arg(sample()).args(arguments).run();
    assert_eq!((done.code, &*done.stdout), (Some(2), ""), "{arguments:?}: {done:?}");
    assert!(done.stderr.contains(why), "{arguments:?}: {done:?}");
    done
}

#[test]
fn unusable_options_are_named_in_the_error() {
    assert_rejected(&["--sources", "x"], "--sources");
    assert_rejected(&["--threads", "many"], "many");
    assert_rejected(&["--url", "http://db", "--data-dir", "x"], "--data-dir");
}

#[test]
fn invalid_times_are_rejected_with_an_example() {
    for time in ["yesterday", "2026-02-30", "2026-13-01T00:00:00Z", "0123456789", "éééé", ""] {
        let done = assert_rejected(&["--since", time], "--since");
        assert!(done.stderr.contains("2026-01-31T12:00:00Z"), "{done:?}");
    }
}

#[test]
fn empty_time_ranges_are_rejected() {
    assert_rejected(&["--since", "2026-02-01", "--until", "2026-01-01"], "--until");
    assert_rejected(&["--since", "2026-02-01", "--until", "2026-02-01"], "--until");
}

#[test]
fn misplaced_passwords_are_redacted_in_errors() {
    for secret in [
        "http://me:s3cr3t' w0rd@db",
        "http://db?password=s3cr3t-w0rd",
        "http://db/usage?user=me&password=s3cr3t-w0rd",
        "me:s3cr3t-w0rd@db",
    ] {
        for arguments in [
            &[secret][..],
            &["--", secret],
            &["--since", secret],
            &["--threads", secret],
            &[&format!("--uri={secret}")],
            &[&format!("--password={secret}")],
        ] {
            let done = assert_rejected(arguments, "error: ");
            assert!(!done.output().contains("s3cr3t") && !done.output().contains("w0rd"), "{done:?}");
        }
    }
    for arguments in [["s3cr3t"], ["-ps3cr3t"], ["--password=s3cr3t"]] {
        let done = assert_rejected(&arguments, "error: ");
        assert!(!done.output().contains("s3cr3t"), "{done:?}");
    }
    for option in ["--source", "--data-dir", "--password-file"] {
        let done = assert_rejected(&[option, "http://me:s3cr3t@db"], "expected a path, not a URL");
        assert!(!done.output().contains("s3cr3t"), "{done:?}");
    }
}

#[test]
fn misplaced_passwords_are_redacted_in_backup_errors() {
    for arguments in [
        &["s3cr3t"][..],
        &["export", "http://me:s3cr3t@db", "--data-dir", "x"],
        &["export", "folder", "http://me:s3cr3t@db", "--data-dir", "x"],
        &["import", "folder", "s3cr3t", "--data-dir", "x"],
        &["import", "folder", "--url=http://db", "--password=s3cr3t"],
    ] {
        let done = example("backup", arguments).run();
        assert_eq!(done.code, Some(2), "{arguments:?}: {done:?}");
        assert!(done.stderr.contains("error: ") && !done.output().contains("s3cr3t"), "{done:?}");
    }
}

#[test]
fn json_output_is_one_object_with_the_documented_fields() {
    let done = dry_run([sample()]);
    assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
    let json = done.json();
    let names = [
        "total_tokens",
        "reported_input_tokens",
        "reported_output_tokens",
        "reported_cache_creation_tokens",
        "reported_cache_read_tokens",
        "responses",
        "sessions",
        "files",
        "bytes",
        "lines",
        "bad_lines",
    ];
    let values = names.map(|name| json[name].as_u64().unwrap_or_else(|| panic!("{name} in {json}")));
    assert_eq!(values[0], values[1..5].iter().sum::<u64>());
    assert!(values[0] > 0 && values[5] > 0);
    assert_eq!(json["receipt"]["total"]["tokens"], values[0]);
    let ratio = json["accuracy_ratio"].as_f64().unwrap();
    assert!(0.0 < ratio && ratio <= 1.0);
    // A dry run has no stored totals.
    assert!(json.get("stored_total_tokens").is_none());
}
