//! Finding what is wrong, correcting, rolling back, backing up.

use std::error::Error;

use bridge::storage::{ResponseFilter, StoredResponse, StoredScope, UpsertOptions, require};
use bridge::{
    AnalysisId, AuditFilter, BackfillOptions, BackupPlace, BatchOptions, CheckpointName, CheckpointTotals,
    DifferenceKind, EnhancedTokenAnalysis, EnhancedTokenDatabaseBridge, ExportOptions, IntegrityOptions,
    Repair, ResponseKey, ResponseUsage, RollbackMode, SessionId, StoreOptions, Timestamp,
};

use crate::place::Place;
use crate::promises::Promises;
use crate::{show, syncing};

async fn stored_tokens(bridge: &EnhancedTokenDatabaseBridge) -> Result<u64, Box<dyn Error>> {
    Ok(bridge.token_store().totals(&ResponseFilter::default()).await?.counts.total())
}

pub(crate) async fn find_tampering(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Proof that the database says what the transcripts say", "verify_data_integrity");
    let exact = IntegrityOptions::default().with_tolerance(0.0);
    let clean = bridge.verify_data_integrity(exact.clone()).await?;
    let responses = show::number(clean.compared);
    show::line("responses compared one by one", &responses);
    promises.hold("nothing differs", clean.passed && clean.equal == clean.compared, "something does");

    // Somebody with the right to write takes one response away and raises another.
    let before = stored_tokens(bridge).await?;
    let store = bridge.token_store();
    let versions = require(store.integrity(), "take a row away")?;
    let scope = StoredScope::Session { session: syncing::session(), keys: Vec::new() };
    let is_response =
        |row: &StoredResponse| row.usage.as_ref().is_some_and(|usage| usage.origin.is_response());
    let rows: Vec<StoredResponse> = versions.stored(&scope).await?.into_iter().filter(is_response).collect();
    let [lost, raised, ..] = rows.as_slice() else { return Err("the tour's session is not stored".into()) };
    versions.remove(&[(lost.key, lost.version)]).await?;
    let mut more = raised.usage.clone().ok_or("the tour's session cannot be read")?;
    more.counts.output += 5_000;
    store.upsert(&[more], &UpsertOptions::default()).await?;
    println!("      … one row is deleted, one raised by 5,000 tokens, behind the bridge's back …");

    let found = bridge.verify_data_integrity(exact.clone()).await?;
    for difference in &found.differences {
        let tokens = |side: &Option<ResponseUsage>| {
            side.as_ref().map_or_else(|| "nothing".to_owned(), |row| show::number(row.counts.total()))
        };
        let (stored, live) = (tokens(&difference.stored), tokens(&difference.live));
        println!("      {:<12}stored {stored:>10}   transcripts {live:>10}", difference.kind.to_string());
    }
    promises.equal("the deleted one is missing", found.missing().stored_tokens, 0);
    promises.equal("and is the only error", found.erroneous().responses, 1);
    let ahead = found.of_kind(DifferenceKind::Ahead);
    promises.equal("the raised one says more than its transcript", ahead.differing_tokens, 5_000);
    promises.equal("and nothing else does", ahead.responses, 1);
    let repaired = bridge.verify_data_integrity(exact.with_repair(Repair::Force)).await?;
    let left = repaired.repair.map_or(u64::MAX, |report| report.remaining);
    promises.equal("both are repaired", left, 0);
    promises.equal("the total is what it was", stored_tokens(bridge).await?, before);
    Ok(())
}

/// An analysis of one response, as an embedder hands it over.
fn analysis(session: &str, key: u128, output: u64) -> Result<EnhancedTokenAnalysis, Box<dyn Error>> {
    let (session, time) = (SessionId::new(session)?, "2026-03-09T11:00:00Z".parse::<Timestamp>()?);
    let mut response = ResponseUsage::new(ResponseKey(key), session.clone(), time);
    response.counts.output = output;
    let id = AnalysisId::new(format!("{session}-{key}-{output}"))?;
    Ok(EnhancedTokenAnalysis::from_responses(id, session, time, vec![response])?)
}

pub(crate) async fn correct(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Correcting a figure that was wrong", "store_enhanced_analysis, force_update");
    let session = SessionId::new("embedder")?;
    let forced = StoreOptions::default().with_force_update();
    let store = async |output, options: &StoreOptions| -> Result<u64, Box<dyn Error>> {
        let _ = bridge.store_enhanced_analysis(&analysis("embedder", 7, output)?, options.clone()).await?;
        let filter = ResponseFilter::of_sessions(vec![session.clone()]);
        let stored = bridge.token_store().totals(&filter).await?.counts.total();
        println!("      {:>6} are handed over, {:>6} are stored", show::number(output), show::number(stored));
        Ok(stored)
    };
    let usual = StoreOptions::default();
    promises.equal("9,000 are stored by mistake", store(9_000, &usual).await?, 9_000);
    promises.equal("a smaller figure alone does not win", store(900, &usual).await?, 9_000);
    promises.equal("force brings it down", store(900, &forced).await?, 900);
    promises.equal("the mistake, sent again, stays corrected", store(9_000, &usual).await?, 900);
    promises.equal("a later, greater snapshot wins as ever", store(9_500, &usual).await?, 9_500);
    let audit = bridge.audit_log(&AuditFilter::default().with_session(session.clone())).await?;
    let force: Vec<_> = audit.iter().filter(|record| record.forced).collect();
    let told = force.first().map(|record| (record.tokens_replaced, record.tokens_written));
    promises.hold("the audit has it with both figures", told == Some((9_000, 900)), format!("{told:?}"));
    Ok(())
}

fn told(figures: CheckpointTotals) -> String {
    format!("{} tokens in {} sessions", show::number(figures.tokens), show::number(figures.sessions))
}

pub(crate) async fn roll_back(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("A bad import, undone", "create_checkpoint, rollback_bridge_integration, resume");
    let name = CheckpointName::new("before_import")?;
    let kept = bridge.checkpoints().create(&name).await?;
    show::line("checkpoint", told(kept.figures));
    let bad: Vec<_> = (0..40u32)
        .map(|number| analysis(&format!("bad-{number}"), 1000 + u128::from(number), 1_000_000))
        .collect::<Result<_, _>>()?;
    let stored = bridge.batch_store_analyses(&bad, BatchOptions::default()).await;
    promises.hold("40 bad analyses are in", stored.iter().all(|result| result.success), "not all are");

    let plan = bridge.rollback_bridge_integration(&name, RollbackMode::DryRun).await?;
    let (before, after) = (plan.before.unwrap_or_default(), plan.after.unwrap_or_default());
    show::line("the dry run: now", told(before));
    show::line("after a rollback", told(after));
    promises.equal("it says what would go", before.tokens - after.tokens, 40_000_000);
    promises.equal("and changes nothing", stored_tokens(bridge).await?, before.tokens);

    let done = bridge.rollback_bridge_integration(&name, RollbackMode::Perform).await?;
    show::line("rolled back in", show::time(done.duration));
    promises.equal("the store is the checkpoint's", stored_tokens(bridge).await?, kept.figures.tokens);
    let refused = bridge.batch_store_analyses(&bad[..1], BatchOptions::default()).await;
    promises.hold("nothing is stored until it is resumed", !refused[0].success, "it was stored");
    let live = bridge.get_analysis_with_fallback(&syncing::session()).await?;
    promises.equal("sessions are answered meanwhile", live.analysis.calculated_total_tokens, 366);
    let _ = bridge.checkpoints().resume().await?;
    let again = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    promises.hold("a backfill goes on as before", again.success, again.errors.join("; "));
    promises.equal("and the total is right", stored_tokens(bridge).await?, kept.figures.tokens);
    bridge.checkpoints().drop(&name).await?;
    Ok(())
}

pub(crate) async fn back_up(
    place: &Place,
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("A backup, taken in by another database", "export_store, import_store");
    let folder = place.folder.path().join("backup");
    let export = bridge.export_store(ExportOptions::to_folder(&folder)).await?;
    show::line("rows in Parquet", show::number(export.figures.rows()));
    show::line("bytes", show::number(export.bytes));
    let other = place.bridge_of("this-host", &place.transcripts(), "tour_copy")?;
    other.token_store().migrate().await?;
    let import = other.import_store(BackupPlace::Folder(folder)).await?;
    show::line("tokens in the other database", show::number(import.after.counts.total()));
    promises.hold("it holds what the backup holds", import.equals_backup(), "it does not");
    promises.equal("to the token", stored_tokens(&other).await?, stored_tokens(bridge).await?);
    let twice = other.import_store(BackupPlace::Folder(place.folder.path().join("backup"))).await?;
    promises.hold("taken in twice it is the same", twice.before == twice.after, "it is not");
    other.shutdown().await?;
    Ok(())
}
