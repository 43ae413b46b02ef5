//! The section `sources`.

use std::path::Path;

use bridge::config::BridgeConfig;
use bridge::storage::{Dimension, ResponseFilter, SourceFilter};
use bridge::{
    BackfillOptions, BatchOptions, EnhancedTokenDatabaseBridge, IntegrityOptions, SessionId, StoreOptions,
    SyncOptions,
};
use tempfile::TempDir;

use crate::config::{analysis, given, in_memory, names, transcript};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";

/// A bridge with an in-memory store, filled from a folder with one transcript.
async fn filled(keys: &[(&str, &str)]) -> (TempDir, EnhancedTokenDatabaseBridge) {
    let folder = tempfile::tempdir().unwrap();
    transcript(&folder.path().join("projects/-home-user-secret-plan/s.jsonl"), "");
    let paths = format!("[{:?}]", folder.path());
    let bridge = in_memory(&[keys, &[("sources.paths", &paths)]].concat());
    let result = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert_eq!(result.total_tokens_stored, 42);
    (folder, bridge)
}

/// The path and project of the only source record.
async fn recorded(bridge: &EnhancedTokenDatabaseBridge) -> String {
    let records = bridge.token_store().sources(&SourceFilter::default()).await.unwrap();
    assert_eq!(records.len(), 1);
    format!("{:?} {:?}", records[0].path, records[0].project)
}

async fn project(bridge: &EnhancedTokenDatabaseBridge) -> String {
    names(bridge, Dimension::Project).await.concat()
}

#[tokio::test]
async fn sources_paths() {
    let (folder, _) = filled(&[]).await;
    let empty = tempfile::tempdir().unwrap();
    let two = format!("[{:?}, {:?}]", empty.path(), folder.path());
    for (paths, files) in [(format!("[{:?}]", empty.path()), 0), (two, 1)] {
        let bridge = in_memory(&[("sources.paths", &paths)]);
        let result = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
        assert_eq!(result.total_files_processed, files);
    }
}

#[tokio::test]
async fn sources_host_name() {
    let (_folder, bridge) = filled(&[("sources.host_name", "build-7")]).await;
    assert_eq!(names(&bridge, Dimension::Host).await, ["build-7"]);
    let (_folder, bridge) = filled(&[]).await;
    assert_eq!(names(&bridge, Dimension::Host).await, [gethostname::gethostname().into_string().unwrap()]);
}

#[tokio::test]
async fn sources_project_names() {
    let (_folder, bridge) = filled(&[]).await;
    assert_eq!(project(&bridge).await, "/home/user/secret-plan");
    assert!(recorded(&bridge).await.contains("-home-user-secret-plan"));

    let (_folder, bridge) = filled(&[("sources.project_names", "last_component")]).await;
    assert_eq!(project(&bridge).await, "secret-plan");
    assert!(!recorded(&bridge).await.contains("home"));

    let keyed = [("sources.project_names", "keyed_hash"), ("sources.project_key", KEY)];
    let (_folder, bridge) = filled(&keyed).await;
    assert!(project(&bridge).await.starts_with("project-"));
    assert!(!recorded(&bridge).await.contains("plan"));

    let (_folder, bridge) = filled(&[("sources.project_names", "none")]).await;
    let rows = bridge.token_store().responses(&ResponseFilter::default()).await.unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.project.is_none()));
    assert!(!recorded(&bridge).await.contains("plan"));
}

/// The record of a file is found again, so only the new part of a growing file is read.
#[tokio::test]
async fn shortened_project_names_do_not_hide_cursors() {
    for mode in ["full", "last_component", "none"] {
        let (folder, bridge) = filled(&[("sources.project_names", mode)]).await;
        let more = concat!(
            r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":1}}}"#,
            "\n"
        );
        transcript(&folder.path().join("projects/-home-user-secret-plan/s.jsonl"), more);
        let results = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
        assert_eq!(results.iter().map(|one| one.bytes_read).sum::<u64>(), more.len() as u64, "{mode}");
        assert_eq!(bridge.token_store().sources(&SourceFilter::default()).await.unwrap().len(), 1);
    }
}

/// An embedder's analyses are anonymized too, and hashed names are not hashed twice.
#[tokio::test]
async fn project_names_apply_to_embedder_analyses() {
    let keyed = [("sources.project_names", "keyed_hash"), ("sources.project_key", KEY)];
    let bridge = in_memory(&keyed);
    let mut provided = analysis("s", 1, &[5]);
    provided.responses[0].project = Some("/home/user/secret-plan".parse().unwrap());
    let stored = bridge.store_enhanced_analysis(&provided, StoreOptions::default()).await.unwrap();
    assert!(stored.success);
    let (_folder, filled) = filled(&keyed).await;
    assert_eq!(project(&bridge).await, project(&filled).await);
    provided.responses[0].project = Some(project(&bridge).await.parse().unwrap());
    bridge.batch_store_analyses(&[provided], BatchOptions::default()).await;
    assert_eq!(project(&bridge).await, project(&filled).await);
}

#[tokio::test]
async fn sources_project_key() {
    let of = async |key: &str| {
        let (_folder, bridge) =
            filled(&[("sources.project_names", "keyed_hash"), ("sources.project_key", key)]).await;
        project(&bridge).await
    };
    assert_eq!(of(KEY).await, of(KEY).await);
    assert_ne!(of(KEY).await, of(&"0".repeat(32)).await);
}

#[tokio::test]
async fn sources_project_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let keyed = ("sources.project_names", "keyed_hash");
    let (_a, by_file) = filled(&[keyed, ("sources.project_key_file", path(&file))]).await;
    let (_b, by_key) = filled(&[keyed, ("sources.project_key", KEY)]).await;
    assert_eq!(project(&by_file).await, project(&by_key).await);
}

async fn values(bridge: &EnhancedTokenDatabaseBridge, dimension: &str) -> Vec<String> {
    names(bridge, dimension.parse().unwrap()).await
}

#[tokio::test]
async fn sources_developer() {
    let (_folder, bridge) = filled(&[]).await;
    assert_eq!(values(&bridge, "developer").await, [""]);
    let (_folder, bridge) = filled(&[("sources.developer", "ann")]).await;
    assert_eq!(values(&bridge, "developer").await, ["ann"]);
    let keyed = [("sources.project_names", "keyed_hash"), ("sources.project_key", KEY)];
    let (_folder, bridge) = filled(&[&keyed[..], &[("sources.developer", "ann")]].concat()).await;
    assert!(values(&bridge, "developer").await.concat().starts_with("developer-"));
}

#[test]
fn the_developer_user_is_the_operating_systems() {
    let yaml = "enhanced_token_bridge:\n  sources:\n    developer: user";
    let config = BridgeConfig::from_yaml_str(yaml).unwrap();
    let of =
        |known: &'static str| config.assignment_rules(move |name| (name == known).then(|| "ann".to_owned()));
    for name in ["USER", "LOGNAME", "USERNAME"] {
        let developer = of(name).unwrap().assignment(None, None).developer;
        assert_eq!(developer.unwrap().as_str(), "ann");
    }
    let error = of("HOME").unwrap_err().to_string();
    assert!(error.contains("line 3, column 16") && error.contains("names no user"), "{error}");
}

#[tokio::test]
async fn sources_team() {
    let (_folder, bridge) = filled(&[("sources.team", "web")]).await;
    assert_eq!(values(&bridge, "team").await, ["web"]);
}

#[tokio::test]
async fn sources_labels() {
    let (_folder, bridge) = filled(&[("sources.labels", "{tenant: acme, environment: ci}")]).await;
    assert_eq!(values(&bridge, "label:tenant").await, ["acme"]);
    assert_eq!(values(&bridge, "label:environment").await, ["ci"]);
    assert_eq!(values(&bridge, "label:other").await, [""]);
}

/// The first rule that matches applies, over the defaults; also where the projects' names are not stored in full.
#[tokio::test]
async fn sources_assignments() {
    let rules = "['/home/user/other/** => team=other', '/home/user/secret-* => team=web, tenant=acme', '** => team=rest']";
    let defaults = [
        ("sources.assignments", rules),
        ("sources.team", "default"),
        ("sources.developer", "ann"),
        ("sources.labels", "{tenant: own, environment: ci}"),
    ];
    for mode in ["full", "last_component"] {
        let (_folder, bridge) = filled(&[&defaults[..], &[("sources.project_names", mode)]].concat()).await;
        for (dimension, value) in
            [("team", "web"), ("developer", "ann"), ("label:tenant", "acme"), ("label:environment", "ci")]
        {
            assert_eq!(values(&bridge, dimension).await, [value], "{dimension}, {mode}");
        }
        // An embedder's analyses follow the rules, too.
        let mut provided = analysis("t", 9, &[5]);
        provided.responses[0].project = Some("/home/user/other/x".parse().unwrap());
        let stored = bridge.store_enhanced_analysis(&provided, StoreOptions::default()).await.unwrap();
        assert!(stored.success);
        assert_eq!(values(&bridge, "team").await, ["web", "other"]);
    }
    let (_folder, by_file) =
        filled(&[("sources.assignments", "['**/-home-user-*/*.jsonl => team=file']")]).await;
    assert_eq!(values(&by_file, "team").await, ["file"]);
}

/// A rule of names and values may assign any text.
#[tokio::test]
async fn a_structured_rule_takes_texts_with_commas() {
    let rules =
        "[{path: /home/user/secret-*, team: 'R&D, web', labels: {tenant: 'a=1, b'}}, '** => team=rest']";
    let (_folder, bridge) = filled(&[("sources.assignments", rules)]).await;
    assert_eq!(values(&bridge, "team").await, ["R&D, web"]);
    assert_eq!(values(&bridge, "label:tenant").await, ["a=1, b"]);
    let rules = "[{path: /x, team: x}, {path: '**', developer: ann, team: null}]";
    let (_folder, other) = filled(&[("sources.assignments", rules)]).await;
    assert_eq!(values(&other, "developer").await, ["ann"]);
    assert_eq!(values(&other, "team").await, [""]);
}

/// What is stored changes when it is read again, not because the configuration does; and never back to none.
#[tokio::test]
async fn rows_from_before_are_assigned_when_they_are_read_again() {
    let (folder, bridge) = filled(&[]).await;
    let paths = format!("[{:?}]", folder.path());
    let config = given(&[("sources.paths", &paths), ("sources.team", "web")]);
    let assigning = config.builder_with(bridge.token_store().clone()).unwrap().build();
    assert_eq!(values(&assigning, "team").await, [""]);
    let result = assigning.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert_eq!((result.total_tokens_stored, values(&assigning, "team").await), (42, vec!["web".to_owned()]));
    // One without an assignment does not take it back.
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert_eq!(values(&bridge, "team").await, ["web"]);
    let integrity = bridge.verify_data_integrity(IntegrityOptions::default()).await.unwrap();
    assert!(integrity.passes() && integrity.equal == 1, "{integrity:?}");
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

#[tokio::test]
async fn sources_activity_pause() {
    let active = async |pause: &str| {
        let folder = tempfile::tempdir().unwrap();
        let prompt =
            r#"{"type":"user","sessionId":"s","timestamp":"2026-01-31T12:08:00Z","message":{"content":"x"}}"#;
        transcript(&folder.path().join("s.jsonl"), &format!("{prompt}\n"));
        let paths = format!("[{:?}]", folder.path());
        let bridge = in_memory(&[("sources.activity_pause", pause), ("sources.paths", &paths)]);
        assert!(bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap().success);
        let details = bridge.sessions().details(&SessionId::new("s").unwrap()).await.unwrap().unwrap();
        details.activity.unwrap().active_time.as_secs()
    };
    assert_eq!((active("5m").await, active("10m").await), (30, 8 * 60 + 15));
}
