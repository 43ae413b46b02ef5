//! Errors of an invalid configuration.

use std::error::Error;

use bridge::config::{BridgeConfig, ConfigError, ConfigOrigin};

use crate::config::{full_text, given};

fn refused(text: &str) -> ConfigError {
    BridgeConfig::from_yaml_str(text).unwrap_err()
}

fn message(text: &str) -> String {
    refused(text).to_string()
}

#[test]
fn errors_state_file_line_column_key_and_allowed_values() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bridge_config.yaml");
    std::fs::write(&file, "enhanced_token_bridge:\n  clickhouse:\n    connection_timeout: 30 parsecs\n")
        .unwrap();
    let error = BridgeConfig::from_yaml_file(&file).unwrap_err();
    let wanted = "enhanced_token_bridge.clickhouse.connection_timeout: \"30 parsecs\" is not allowed; \
                  allowed is a duration from 1ms to 1d, like 30s";
    assert_eq!(error.to_string(), format!("{}:3:25: {wanted}", file.display()));
    assert_eq!(error.problems()[0].origin, ConfigOrigin::Line { file: Some(file), line: 3, column: 25 });
}

#[test]
fn an_unreadable_file_is_reported_with_the_cause() {
    let error = BridgeConfig::from_yaml_file("missing/bridge_config.yaml").unwrap_err();
    assert_eq!(error.to_string(), "missing/bridge_config.yaml: cannot be read");
    assert!(error.source().is_some());
}

#[test]
fn an_oversize_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bridge_config.yaml");
    std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    let error = BridgeConfig::from_yaml_file(&file).unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "it is longer than 1 MiB");
}

#[test]
fn an_unknown_key_is_reported_with_a_suggestion() {
    let of = |key: &str| message(&format!("enhanced_token_bridge:\n  processing:\n    {key}: 5"));
    assert!(of("batchsize").starts_with(
        "line 3, column 5: enhanced_token_bridge.processing.batchsize: is no key (did you mean batch_size?); allowed are "
    ));
    assert!(of("max_entries").contains("(did you mean caching.max_entries?)"));
    assert!(of("color").contains("color: is no key; allowed are batch_size, max_memory_mb,"));
    assert!(message("enhanced_token_bridge:\n  cachin: {}").contains("(did you mean caching?)"));
    let root = message("enhanced_token_brige:\n  caching: {ttl_seconds: 5}");
    assert_eq!(
        root,
        "line 1, column 1: enhanced_token_brige: is no key (did you mean enhanced_token_bridge?); \
         allowed are enhanced_token_bridge"
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let error = refused(
        "enhanced_token_bridge:\n  caching: {ttl_seconds: -1, x: 1}\n  processing: {strict: yes}\ny: 1",
    );
    let mut keys: Vec<_> = error.problems().iter().map(|problem| problem.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "enhanced_token_bridge.caching.ttl_seconds",
            "enhanced_token_bridge.caching.x",
            "enhanced_token_bridge.processing.strict",
            "y"
        ]
    );
}

#[test]
fn malformed_values_are_refused() {
    let of = |text: &str| message(&format!("enhanced_token_bridge:\n{text}"));
    assert!(
        of("  caching: 5")
            .contains("line 2, column 3: enhanced_token_bridge.caching: has no value, but keys below it")
    );
    assert!(of("  caching: {ttl_seconds: {a: [1, {b: 2}]}}").contains("has a value, and no keys below it"));
    let rule = of("  sources:\n    assignments: ['/projects/** => team=web', /projects/a** => team=web]");
    assert!(
        rule.contains("line 3, column 47: enhanced_token_bridge.sources.assignments[1]: ")
            && rule.contains("\"/projects/a** => team=web\" is not allowed"),
        "{rule}"
    );
    for name in ["/old", "=> /new", "/old =>", "~/old => /new", "/a** => /new"] {
        let names = of(&format!("  projects: {{names: ['{name}']}}"));
        assert!(names.contains("is not allowed; allowed is a list of rules like"), "{names}");
    }
    for (rule, problem) in [
        ("{path: /a}", "[1].team: is missing"),
        ("{team: web}", "[1].path: is missing"),
        ("{path: /a, team: web, tenant: acme}", "[1].tenant: is no key"),
        ("{path: /a, team: web, team: ops}", "[1].team: is given twice"),
        ("{path: /a, labels: {Tenant: acme}}", "[1].labels: must be up to 16 names"),
        ("{path: /a, labels: {a: [1]}}", "[1].labels: must be up to 16 names"),
        ("{path: /a, labels: acme}", "[1].labels: must be up to 16 names"),
        ("{path: /a**, team: web}", "[1].path: \"/a**\" is not allowed"),
        ("{path: ~/a, team: web}", "[1].path: \"~/a\" is not allowed"),
        ("[a]", "[1]: must have the keys"),
    ] {
        let refused = of(&format!("  sources: {{assignments: [/b => team=x, {rule}]}}"));
        assert!(refused.contains(problem), "{rule}: {refused}");
    }
    assert!(of("  sources: {labels: {Tenant: acme}}").contains("up to 16 names of a to z"));
    assert!(of("  caching: {ttl_seconds: [5]}").contains("ttl_seconds: this is not allowed"));
    assert!(of("  sources: {paths: /home/user}").contains("paths: \"/home/user\" is not allowed"));
    assert!(of("  sources: {paths: [[a]]}").contains("must be a list of texts"));
    assert!(of("  caching: {ttl_seconds: 5, ttl_seconds: 6}").contains("is given twice, first in line 2"));
    assert!(of("  caching: {? [a] : b}").contains("a key must be a text"));
    assert!(of("  caching: {ttl_seconds: &a 5, max_entries: *a}").contains("must be given, not referred to"));
    assert!(message("a\n").contains("`enhanced_token_bridge:` must be at the top"));
    assert!(message("- a\n").contains("`enhanced_token_bridge:` must be at the top"));
    assert!(message("enhanced_token_bridge:\n---\nenhanced_token_bridge:\n").contains("a second document"));
    assert!(message("enhanced_token_bridge: [\n").contains("no YAML"));
    assert!(message("enhanced_token_bridge: a: b\n").contains("no YAML"));
}

#[test]
fn an_empty_document_yields_the_defaults() {
    for text in
        ["", "# only words\n", "---\n", "~", "enhanced_token_bridge:\n", "enhanced_token_bridge: {caching: }"]
    {
        let config = BridgeConfig::from_yaml_str(text).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", BridgeConfig::default()), "{text:?}");
    }
}

/// Deep nesting, long keys, control characters and huge numbers cause an error, but no panic or stack overflow.
#[test]
fn hostile_input_is_a_short_error() {
    let deep = format!("enhanced_token_bridge: {}", "[".repeat(100_000));
    let wide = format!("enhanced_token_bridge:\n  {}: 1", "k".repeat(100_000));
    let texts =
        [deep, wide, "\0".to_owned(), "enhanced_token_bridge: {caching: {ttl_seconds: 1e999}}".to_owned()];
    for text in texts {
        assert!(message(&text).len() < 2000);
    }
}

#[test]
fn secrets_never_appear_in_errors_or_debug_output() {
    const CANARY: &str = "s3cret-canary";
    let mut texts = Vec::new();
    for key in BridgeConfig::keys().iter().filter(|key| key.is_secret()) {
        let (section, name) = key.name().split_once('.').unwrap();
        for value in [
            CANARY.to_owned(),
            format!("http://me:{CANARY}@db"),
            format!("[{CANARY}]"),
            format!("{{a: {CANARY}}}"),
            format!("{{a: [{CANARY}]}}"),
        ] {
            let text = format!("enhanced_token_bridge:\n  {section}:\n    {name}: {value}\n");
            texts.push(match BridgeConfig::from_yaml_str(&text) {
                Ok(config) => format!("{config:?}"),
                Err(error) => format!("{error} {error:?}"),
            });
        }
        let set = |name: &str| (name == key.variable()).then(|| CANARY.to_owned());
        texts.push(format!("{:?}", BridgeConfig::default().with_env(set)));
    }
    assert_eq!(texts.len(), 30);
    for text in texts {
        assert!(!text.contains(CANARY), "{text}");
    }
}

async fn not_built(keys: &[(&str, &str)]) -> String {
    full_text(&given(keys).build().await.unwrap_err())
}

const URL: (&str, &str) = ("clickhouse.url", "http://db:8123");

#[tokio::test]
async fn conflicting_keys_are_reported() {
    assert!(not_built(&[]).await.contains("clickhouse.url: is missing; set it, or embedded.data_dir"));
    for (keys, wanted) in [
        (&[URL, ("embedded.data_dir", "d")][..], "embedded.data_dir: does not go with clickhouse.url"),
        (
            &[URL, ("clickhouse.password", "a"), ("clickhouse.password_file", "b")],
            "password_file: does not go with",
        ),
        (
            &[("embedded.data_dir", "d"), ("clickhouse.user", "me")],
            "user: has no meaning with embedded.data_dir",
        ),
        (
            &[URL, ("clickhouse.tls_ca_file", "f")],
            "tls_ca_file: needs a clickhouse.url that begins with https://",
        ),
        (&[URL, ("sources.project_names", "keyed_hash")], "keyed_hash needs sources.project_key or"),
        (
            &[URL, ("sources.project_key_file", "f")],
            "project_key_file: has no meaning without project_names: keyed",
        ),
        (
            &[URL, ("processing.max_line_mb", "300")],
            "max_line_mb: is 300, more than processing.max_memory_mb, 200",
        ),
    ] {
        let error = not_built(keys).await;
        assert!(error.contains(wanted), "{error}");
        assert!(error.starts_with("line "), "{error}");
    }
}

#[tokio::test]
async fn unreadable_secret_files_are_reported() {
    for key in ["clickhouse.password_file", "clickhouse.access_token_file"] {
        let error = not_built(&[URL, (key, "missing/secret")]).await;
        let wanted = format!(": enhanced_token_bridge.{key}: missing/secret: No such file");
        assert!(error.starts_with("line 4, column ") && error.contains(&wanted), "{error}");
    }
    let keyed = ("sources.project_names", "keyed_hash");
    let error = not_built(&[URL, keyed, ("sources.project_key_file", "missing/key")]).await;
    assert!(error.contains("sources.project_key_file (missing/key): cannot be read"), "{error}");
}

#[test]
fn a_misplaced_password_is_not_quoted() {
    let url = "http://me:s3cr3t@db";
    for text in [
        format!("enhanced_token_bridge: {url}"),
        url.to_owned(),
        format!("enhanced_token_bridge:\n  clickhouse: {url}"),
        format!("enhanced_token_bridge:\n  clickhouse: {{url: '{url}'}}"),
        "enhanced_token_bridge:\n  clickhouse: {url: 'http://db?password=s3cr3t'}".to_owned(),
        format!("enhanced_token_bridge:\n  clickhouse: {{database: '{url}'}}"),
        format!("enhanced_token_bridge:\n  clickhouse: {{pool_size: '{url}'}}"),
        "enhanced_token_bridge:\n  clickhouse: {password: [s3cr3t]}".to_owned(),
        "enhanced_token_bridge:\n  clickhouse: {pasword: s3cr3t}".to_owned(),
        format!("enhanced_token_bridge:\n  clickhouse:\n    - {url}"),
        format!("enhanced_token_bridge:\n  clickhouse:\n    {url}: 1"),
        format!("enhanced_token_bridge:\n  clickhouse:\n    password: \"s3cr3t\n    url: {url}"),
        "enhanced_token_bridge:\n  clickhouse:\n    password: *s3cr3t".to_owned(),
        "enhanced_token_bridge:\n  clickhouse:\n    password: %s3cr3t".to_owned(),
        "enhanced_token_bridge:\n  clickhouse:\n    password: @s3cr3t".to_owned(),
    ] {
        let error = refused(&text);
        let mut shown = format!("{error} {error:?}");
        let mut cause = error.source();
        while let Some(error) = cause {
            shown += &error.to_string();
            cause = error.source();
        }
        assert!(!shown.contains("s3cr3t"), "{text}: {shown}");
    }
}
