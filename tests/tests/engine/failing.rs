//! Database failures: the program reports them and loses nothing.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bridge_embedded::{Engine, EngineOptions, Shutdown};
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::test_run::TestRun;
use bridge_tests::program::{self, Finished, backfill};

/// Runs a backfill into the database `test` on this host.
fn run_at(test_run: &TestRun, engine: &Engine, host: &str) -> Finished {
    let writer = &engine.endpoint().writer;
    let url = format!("http://{}:{}@{host}/test", writer.user, writer.password);
    let mut run = backfill(["--json", "--url", &url]);
    for source in test_run.projects() {
        run = run.arg("--source").arg(source);
    }
    let finished = run.run();
    assert!(!finished.output().contains(&writer.password), "the password is printed");
    finished
}

#[test]
fn a_broken_connection_is_reported_and_the_next_run_completes_the_backfill() {
    let test_run = TestRun::new(41);
    let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
    let direct = engine.endpoint().url.strip_prefix("http://").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let proxy = runtime.block_on(FaultProxy::before(direct)).unwrap();

    // Cuts the connection at once, while creating the schema, and while sending rows.
    for bytes in [0, 600, 6_000] {
        proxy.set(Fault::CutRequestAfter(bytes));
        let cut = run_at(&test_run, &engine, proxy.host());
        assert_eq!(cut.code, Some(1), "{bytes}: {cut:?}");
        assert!(cut.stderr.contains("cannot be reached") && cut.stderr.contains(proxy.host()), "{cut:?}");
        assert!(cut.stdout.is_empty(), "{cut:?}");
    }
    proxy.set(Fault::None);
    test_run.assert_exact(&run_at(&test_run, &engine, proxy.host()));
    assert_eq!(test_run.assert_exact(&run_at(&test_run, &engine, direct)), 0);
    assert_eq!(engine.close(Duration::from_secs(30)), Shutdown::Stopped);
}

#[test]
fn a_rejected_password_is_reported_without_printing_it() {
    let test_run = TestRun::new(42);
    let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
    let host = engine.endpoint().url.strip_prefix("http://").unwrap();
    let url = format!("http://{}:hunter2@{host}", engine.endpoint().writer.user);
    let refused = backfill(["--json", "--url", &url, "--source"]).arg(&test_run.projects()[0]).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("rejected the credentials") && refused.stderr.contains(host),
        "{refused:?}"
    );
    assert!(!refused.output().contains("hunter2"), "{refused:?}");
    assert_eq!(engine.close(Duration::from_secs(30)), Shutdown::Stopped);
}

/// Needs permission to mount a disk; skipped without it.
#[test]
fn a_full_disk_is_reported() {
    let test_run = TestRun::new(43);
    let disk = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=200k tmpfs \"$1\" && shift && exec \"$@\"";
    let inside = |program: &Path| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--mount", "--map-root-user", "sh", "-c", script, "sh"]);
        command.arg(disk.path()).arg(program);
        command
    };
    if !inside(Path::new("true")).output().is_ok_and(|output| output.status.success()) {
        // Bypasses the test harness, which captures the output of passing tests.
        let _ = writeln!(io::stderr(), "skipped: a full disk; this machine does not permit mounting one");
        return;
    }
    let mut command = inside(program::executable("backfill"));
    command.args(["--json", "--data-dir"]).arg(disk.path().join("data"));
    command.arg("--source").arg(&test_run.projects()[0]);
    let full = program::run_within(&mut command, Duration::from_secs(120));
    assert_eq!(full.code, Some(1), "{full:?}");
    assert!(full.stderr.contains("no space left on the disk of"), "{full:?}");
}
