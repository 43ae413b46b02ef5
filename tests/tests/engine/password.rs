//! The ways to pass a server's password.

use std::fs;
use std::time::Duration;

use bridge_embedded::{Engine, EngineOptions, Shutdown};
use bridge_tests::program::{Run, backfill};

use crate::test_run::TestRun;

const VARIABLE: &str = "ETB_CLICKHOUSE_PASSWORD";

struct Server {
    engine: Engine,
    test_run: TestRun,
}

impl Server {
    fn start(seed: u64) -> Self {
        Self { engine: Engine::start(&EngineOptions::ephemeral()).unwrap(), test_run: TestRun::new(seed) }
    }

    fn password(&self) -> &str {
        &self.engine.endpoint().writer.password
    }

    /// Prepares a run as the server's writer. `password` is appended to the user in the URL.
    fn run(&self, password: &str) -> Run {
        let endpoint = self.engine.endpoint();
        let host = endpoint.url.strip_prefix("http://").unwrap();
        let run =
            backfill(["--json", "--url", &format!("http://{}{password}@{host}/test", endpoint.writer.user)]);
        self.test_run.projects().iter().fold(run, |run, source| run.arg("--source").arg(source))
    }

    fn password_file(&self, content: &str) -> String {
        let file = self.test_run.data("password");
        fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn close(self) {
        assert_eq!(self.engine.close(Duration::from_secs(30)), Shutdown::Stopped);
    }
}

#[test]
fn a_password_file_takes_precedence_over_the_environment() {
    let server = Server::start(61);
    let refused = server.run("").run();
    assert!(refused.stderr.contains("rejected the credentials"), "{refused:?}");

    let by_variable = server.run("").env(VARIABLE, server.password()).run();
    server.test_run.assert_exact(&by_variable);
    assert!(!by_variable.stderr.contains("process list"), "{by_variable:?}");

    let file = server.password_file(&format!("{}\n", server.password()));
    let by_file = server.run("").env(VARIABLE, "wrong").args(&["--password-file", &file]).run();
    server.test_run.assert_exact(&by_file);

    let wrong = server.password_file("wr0ng");
    let refused = server.run(&format!(":{}", server.password())).args(&["--password-file", &wrong]).run();
    assert!(refused.stderr.contains("rejected the credentials"), "{refused:?}");
    assert!(!refused.output().contains("wr0ng"), "{refused:?}");
    server.close();
}

#[test]
fn a_password_in_the_url_is_used_with_a_warning() {
    let server = Server::start(62);
    let done = server.run(&format!(":{}", server.password())).env(VARIABLE, "wrong").run();
    server.test_run.assert_exact(&done);
    assert!(done.stderr.contains("process list") && done.stderr.contains("--password-file"), "{done:?}");
    assert!(!done.output().contains(server.password()), "{done:?}");
    server.close();
}
