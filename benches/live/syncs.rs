//! A store, a synchronization, and ten at once.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use bridge::{
    AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, StoreOptions, SyncMode,
    SyncOptions, Timestamp,
};
use bridge_benches::is_measurement;
use bridge_core::Stopwatch;
use bridge_embedded::Engine;
use tokio::task::JoinSet;

use crate::{Outcome, builder, line, millis, quantile};

const CALLERS: u64 = 10;

pub(crate) async fn measure(engine: &Engine) -> Outcome<()> {
    let rounds = if is_measurement() { 150 } else { 2 };
    let megabytes = if is_measurement() { 50 } else { 1 };
    let (folder, folders) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let filler = format!("{{\"type\":\"user\",\"message\":{{\"content\":\"{}\"}}}}\n", "x".repeat(50_000));
    let write = |folder: &Path, caller| {
        let mut file = File::create(path(folder, caller))?;
        (0..megabytes * 20).try_for_each(|_| file.write_all(filler.as_bytes()))
    };
    write(folder.path(), CALLERS)?;
    (0..CALLERS).try_for_each(|caller| write(folders.path(), caller))?;
    let bridge = builder(engine, "bridge_live_sync").await?.sources([folder.path()]).build();
    let shared = builder(engine, "bridge_live_syncs").await?.sources([folders.path()]).build();
    for bridge in [&bridge, &shared] {
        let _ = bridge.sync_all_sessions(SyncOptions::default()).await?;
    }

    let (mut stores, mut ones, mut tens) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let analysis = analysis(u128::from(round))?;
        let watch = Stopwatch::start();
        let _ = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await?;
        stores.push(watch.elapsed());

        append(folder.path(), CALLERS, round)?;
        let watch = Stopwatch::start();
        let result = bridge.sync_session_tokens(&session(CALLERS)?, SyncMode::Incremental).await?;
        ones.push(watch.elapsed());
        expect(result.changes.new_responses.responses, 1)?;

        (0..CALLERS).try_for_each(|caller| append(folders.path(), caller, round))?;
        let mut syncs = JoinSet::new();
        let watch = Stopwatch::start();
        for caller in 0..CALLERS {
            let (bridge, session) = (shared.clone(), session(caller)?);
            syncs.spawn(async move { bridge.sync_session_tokens(&session, SyncMode::Incremental).await });
        }
        while let Some(result) = syncs.join_next().await {
            drop(result??);
        }
        tens.push(watch.elapsed());
    }
    let report = |name: &str, times: &mut [Duration], base: Option<(&str, Duration)>| {
        let (median, p99) = (quantile(times, 0.5), quantile(times, 0.99));
        let ratio = base.map_or_else(String::new, |(name, base)| {
            format!(", {:.2} x {name}", median.as_secs_f64() / base.as_secs_f64())
        });
        println!("{name}: median {:.1} ms, p99 {:.1} ms{ratio}", millis(median), millis(p99));
        median
    };
    let store = report("one analysis stored", &mut stores, None);
    let one = report("one synchronization, a line on 50 MB", &mut ones, Some(("a store", store)));
    report("ten synchronizations at once", &mut tens, Some(("one", one)));
    Ok(())
}

fn path(folder: &Path, caller: u64) -> std::path::PathBuf {
    folder.join(format!("session{caller}.jsonl"))
}

fn session(caller: u64) -> Outcome<SessionId> {
    Ok(SessionId::new(format!("session{caller}"))?)
}

fn append(folder: &Path, caller: u64, number: u64) -> std::io::Result<()> {
    let mut file = File::options().append(true).open(path(folder, caller))?;
    file.write_all(line(&format!("session{caller}"), number).as_bytes())
}

fn expect(found: u64, expected: u64) -> Outcome<()> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found} new responses instead of {expected}").into())
    }
}

fn analysis(number: u128) -> Outcome<EnhancedTokenAnalysis> {
    let (session, time) = (SessionId::new("stored")?, "2026-01-31T12:00:00Z".parse::<Timestamp>()?);
    let mut row = ResponseUsage::new(ResponseKey(number << 64), session.clone(), time);
    row.counts.output = 32;
    let id = AnalysisId::new(format!("stored-{number}"))?;
    Ok(EnhancedTokenAnalysis::from_responses(id, session, time, vec![row])?)
}
