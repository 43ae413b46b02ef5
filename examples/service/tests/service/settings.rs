//! The command line and the settings.

use std::fs;
use std::process::Output;

use service::settings::Reader;

use crate::process::{ANY_PORT, Service, TOKEN, command, prepare};

fn run(settings: &str, arguments: &[&str]) -> Output {
    let (folder, _) = prepare(settings);
    command(folder.path()).args(arguments).output().unwrap()
}

#[test]
fn wrong_arguments_and_settings_are_named_and_end_with_2() {
    let open = "[listen]\naddress = \"0.0.0.0:0\"\n";
    let with_token = format!("{open}token_file = \"token\"\n");
    let with_proxy = format!("{with_token}proxy = \"tokens.example\"\n");
    for (settings, arguments, expected) in [
        ("", &["--nonsense"][..], "--nonsense"),
        ("", &["--config", "missing.toml"], "missing.toml"),
        ("bridge = 7", &[], "service.toml"),
        ("[listen]\nport = 1", &[], "port"),
        ("[listen]\naddress = \"no such host:1\"", &[], "no such host:1"),
        (open, &[], "listen.token_file"),
        ("", &["--listen", "0.0.0.0:0"], "listen.token_file"),
        (&with_token, &[], "listen.tls, or listen.proxy"),
        (&with_proxy, &[], "set listen.proxy_addresses"),
        (&format!("{with_proxy}proxy_addresses = [\"10.1.0.0/33\"]"), &[], "\"10.1.0.0/33\" is neither"),
        (&format!("{with_token}proxy_addresses = [\"10.1.0.7\"]"), &[], "set listen.proxy to"),
        // Others reach a local address through a proxy.
        (&format!("{ANY_PORT}proxy = \"tokens.example\""), &[], "listen.token_file"),
        ("[limits]\nrequest_seconds = 0", &[], "request_seconds"),
        ("[limits]\nrequests_max = 0", &[], "requests_max"),
        ("[limits]\nqueries_max = 0", &[], "queries_max"),
        (&format!("bridge = \"none.yaml\"\n{ANY_PORT}"), &[], "none.yaml"),
        (&format!("bridge = \"token\"\n{ANY_PORT}"), &[], "token"),
        (&format!("{ANY_PORT}token_file = \"none\""), &[], "none"),
        (&format!("{ANY_PORT}tls = {{ certificate = \"token\", key = \"token\" }}"), &[], "listen.tls token"),
        ("[reader]\nuser = \"dashboard\"", &[], "the embedded engine has its own read-only user"),
        ("[reader]\npassword_file = \"token\"", &[], "reader.user"),
        ("[reader]\nuser = \"a\"\naccess_token_file = \"token\"", &[], "reader.user"),
        ("[reader]\naccess_token_file = \"token\"\npassword_file = \"token\"", &[], "reader.password_file"),
    ] {
        // A check finds whatever a start finds.
        for arguments in [arguments.to_vec(), [arguments, &["--check"]].concat()] {
            let output = run(settings, &arguments);
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{settings} {arguments:?}: {text}");
            assert!(text.contains(expected) && !text.contains(TOKEN), "{expected}: {text}");
            assert!(output.stdout.is_empty(), "{:?}", output.stdout);
        }
    }
}

#[test]
fn a_check_accepts_valid_settings_and_starts_nothing() {
    let proxied = format!("{ANY_PORT}token_file = \"token\"\nproxy = \"tokens.example\"\n");
    for settings in ["", &proxied] {
        let (folder, _) = prepare(settings);
        let output = command(folder.path()).arg("--check").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && output.stdout == b"the settings are valid\n", "{text}");
        assert!(!folder.path().join("tokens.clickhouse").exists());
    }
}

#[test]
fn settings_apply_wherever_the_service_is_started() {
    let settings = format!("{ANY_PORT}token_file = \"token\"\n[page]\ncost = false\n");
    let (folder, _) = prepare(&settings);
    let elsewhere = tempfile::tempdir().unwrap();
    let file = folder.path().join("service.toml");
    let mut command = command(folder.path());
    let service = Service::of(command.current_dir(elsewhere.path()).arg("--config").arg(file));
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    service.wait_for(40, &bearer);
    assert!(folder.path().join("tokens.clickhouse").exists());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    let page = service.get("/?range=all", &bearer);
    assert!(page.body.contains(">Tokens<") && !page.body.contains(">Cost<"), "{}", page.body);
    service.end_with("TERM");
}

/// The writer of these settings has an access token, which must not become the reader's.
#[test]
fn a_reader_on_a_server_has_credentials_of_its_own() {
    let (folder, _) = prepare("");
    let yaml = "enhanced_token_bridge:\n  clickhouse:\n    url: http://127.0.0.1:1\n    access_token: writers-secret-token\n";
    fs::write(folder.path().join("server.yaml"), yaml).unwrap();
    let config = bridge::config::BridgeConfig::from_yaml_file(folder.path().join("server.yaml")).unwrap();
    let token = Some(folder.path().join("token"));
    let by_password =
        Reader { user: Some("dashboard".to_owned()), password_file: token.clone(), access_token_file: None };
    let options = service::reader::server_options(&config, &by_password).unwrap();
    assert!(options.has_password(), "{options:?}");
    let without_password = Reader { password_file: None, ..by_password.clone() };
    let options = service::reader::server_options(&config, &without_password).unwrap();
    assert!(format!("{options:?}").contains("dashboard"), "{options:?}");
    let by_token = Reader { user: None, password_file: None, access_token_file: token };
    let options = service::reader::server_options(&config, &by_token).unwrap();
    assert!(!options.has_password(), "{options:?}");
    for (unreadable, named) in [
        (Reader { access_token_file: Some("none".into()), ..by_token.clone() }, "reader.access_token_file"),
        (Reader { password_file: Some("none".into()), ..by_password.clone() }, "reader.password_file"),
    ] {
        let failure = service::reader::server_options(&config, &unreadable).unwrap_err();
        let report = failure.report();
        assert!(failure.exit_code() == 2 && report.starts_with(named), "{report}");
        assert!(report.contains("caused by: none: "), "{report}");
    }
}

#[test]
fn an_address_in_use_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run("", &["--listen", &address]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains(&address), "{text}");
}

#[test]
fn a_database_that_cannot_be_reached_is_named_with_the_cause() {
    let (folder, _) = prepare(ANY_PORT);
    let yaml = "enhanced_token_bridge:\n  clickhouse:\n    url: http://127.0.0.1:1\n    retry_attempts: 1\n";
    fs::write(folder.path().join("bridge_config.yaml"), yaml).unwrap();
    let output = command(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let (_, report) = text.split_once("token-bridge: ").unwrap();
    assert!(report.contains("127.0.0.1") && report.contains("\n  caused by: "), "{text}");
}

#[test]
fn units_are_printed_and_nothing_is_started() {
    for (argument, expected) in [
        ("--install-unit=systemd", ["[Service]", "User=pat\n", "RestartPreventExitStatus=2"]),
        ("--install-unit=systemd-user", ["[Service]", "ExecStart=", "WantedBy=default.target"]),
        ("--install-unit=launchd", ["<plist", "<key>StandardErrorPath</key>", "<key>KeepAlive</key>"]),
    ] {
        let (folder, _) = prepare(ANY_PORT);
        let mut command = command(folder.path());
        command.env("USER", "pat").args([argument, "--config", "service.toml"]);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && expected.iter().all(|part| text.contains(part)), "{text}");
        assert!(text.contains(&folder.path().join("service.toml").display().to_string()), "{text}");
        assert!(!text.contains("--listen"), "{text}");
        assert!(!folder.path().join("tokens.clickhouse").exists());
    }
}

#[test]
fn a_unit_listens_where_its_command_line_says() {
    for (argument, expected) in [
        ("--install-unit=systemd-user", r#" --listen "127.0.0.1:9090""#),
        ("--install-unit=launchd", "<string>--listen</string>\n    <string>127.0.0.1:9090</string>"),
    ] {
        let output = run("", &[argument, "--listen", "127.0.0.1:9090"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(expected), "{text}");
    }
}

#[test]
fn a_unit_printed_by_sudo_is_of_the_user_who_called_it() {
    let (folder, _) = prepare("");
    for (user, expected) in [("root", "User=pat\n"), ("svc", "User=svc\n")] {
        let mut command = command(folder.path());
        command.env("USER", user).env("SUDO_USER", "pat").arg("--install-unit=systemd");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(expected), "{text}");
    }
}
