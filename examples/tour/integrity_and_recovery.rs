//! Steps that verify, repair, correct, roll back and back up the store.

use std::error::Error;

use bridge::storage::{ResponseFilter, StoredResponse, StoredScope, UpsertOptions, require};
use bridge::{
    AnalysisId, AuditFilter, BackfillOptions, BatchOptions, CheckpointName, CheckpointTotals,
    EnhancedTokenAnalysis, EnhancedTokenDatabaseBridge, IntegrityOptions, Repair, ResponseKey, ResponseUsage,
    RollbackMode, SessionId, StoreOptions, Timestamp,
    backup::{BackupPlace, ExportOptions},
    integrity::DifferenceKind,
};

use crate::environment::TourEnvironment;
use crate::promises::Promises;
use crate::{print, syncing};

async fn stored_tokens(bridge: &EnhancedTokenDatabaseBridge) -> Result<u64, Box<dyn Error>> {
    Ok(bridge.token_store().totals(&ResponseFilter::default()).await?.counts.total())
}

pub(crate) async fn find_tampering(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Verifying the database against the transcripts", "verify_data_integrity");
    let exact = IntegrityOptions::default().with_tolerance(0.0);
    let clean = bridge.verify_data_integrity(exact.clone()).await?;
    let responses = print::number(clean.compared);
    print::line("responses compared", &responses);
    promises.check("no response differs", clean.passed && clean.equal == clean.compared, "some do");

    // A client with write access deletes one response and inflates another.
    let before = stored_tokens(bridge).await?;
    let store = bridge.token_store();
    let versions = require(store.integrity(), "delete a row")?;
    let scope = StoredScope::Session { session: syncing::session(), keys: Vec::new() };
    let is_response =
        |row: &StoredResponse| row.usage.as_ref().is_some_and(|usage| usage.origin.is_response());
    let rows: Vec<StoredResponse> = versions.stored(&scope).await?.into_iter().filter(is_response).collect();
    let [deleted, original, ..] = rows.as_slice() else {
        return Err("the tour's session is not stored".into());
    };
    versions.remove(&[(deleted.key, deleted.version)]).await?;
    let mut inflated = original.usage.clone().ok_or("the tour's session cannot be decoded")?;
    inflated.counts.output += 5_000;
    store.upsert(&[inflated], &UpsertOptions::default()).await?;
    println!("      … another client deletes one row and inflates one by 5,000 tokens …");

    let found = bridge.verify_data_integrity(exact.clone()).await?;
    for difference in &found.differences {
        let tokens = |side: &Option<ResponseUsage>| {
            side.as_ref().map_or_else(|| "nothing".to_owned(), |row| print::number(row.counts.total()))
        };
        let (stored, live) = (tokens(&difference.stored), tokens(&difference.live));
        println!("      {:<12}stored {stored:>10}   transcripts {live:>10}", difference.kind.to_string());
    }
    promises.check_equal("the deleted response is reported as missing", found.missing().stored_tokens, 0);
    promises.check_equal("and as the only error", found.erroneous().responses, 1);
    let ahead = found.of_kind(DifferenceKind::Ahead);
    promises.check_equal("the inflated response is ahead of its transcript", ahead.differing_tokens, 5_000);
    promises.check_equal("and no other response is", ahead.responses, 1);
    let repaired = bridge.verify_data_integrity(exact.with_repair(Repair::Force)).await?;
    let remaining = repaired.repair.map_or(u64::MAX, |report| report.remaining);
    promises.check_equal("both are repaired", remaining, 0);
    promises.check_equal("the total is restored", stored_tokens(bridge).await?, before);
    Ok(())
}

/// Creates an analysis with a single response, as an embedder submits it.
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
    promises.step("Correcting a wrong count", "store_enhanced_analysis, force_update");
    let session = SessionId::new("embedder")?;
    let forced = StoreOptions::default().with_force_update();
    let store = async |output, options: &StoreOptions| -> Result<u64, Box<dyn Error>> {
        let _ = bridge.store_enhanced_analysis(&analysis("embedder", 7, output)?, options.clone()).await?;
        let filter = ResponseFilter::of_sessions(vec![session.clone()]);
        let stored = bridge.token_store().totals(&filter).await?.counts.total();
        println!("      submitted {:>6}   stored {:>6}", print::number(output), print::number(stored));
        Ok(stored)
    };
    let normal = StoreOptions::default();
    promises.check_equal("9,000 tokens are stored by mistake", store(9_000, &normal).await?, 9_000);
    promises.check_equal("a smaller count does not replace them", store(900, &normal).await?, 9_000);
    promises.check_equal("a forced update does", store(900, &forced).await?, 900);
    promises.check_equal("resubmitting the mistake changes nothing", store(9_000, &normal).await?, 900);
    promises.check_equal("a later, greater snapshot wins as usual", store(9_500, &normal).await?, 9_500);
    let audit = bridge.audit_log(&AuditFilter::default().with_session(session.clone())).await?;
    let force: Vec<_> = audit.iter().filter(|record| record.forced).collect();
    let counts = force.first().map(|record| (record.tokens_replaced, record.tokens_written));
    promises.check("the audit records both counts", counts == Some((9_000, 900)), format!("{counts:?}"));
    Ok(())
}

fn describe(totals: CheckpointTotals) -> String {
    format!("{} tokens in {} sessions", print::number(totals.tokens), print::number(totals.sessions))
}

pub(crate) async fn roll_back(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Undoing a bad import", "checkpoints, rollback_bridge_integration");
    let name = CheckpointName::new("before_import")?;
    let checkpoint = bridge.checkpoints().create(&name).await?;
    print::line("checkpoint", describe(checkpoint.totals));
    let bad: Vec<_> = (0..40u32)
        .map(|number| analysis(&format!("bad-{number}"), 1000 + u128::from(number), 1_000_000))
        .collect::<Result<_, _>>()?;
    let stored = bridge.batch_store_analyses(&bad, BatchOptions::default()).await;
    promises.check("40 bad analyses are stored", stored.iter().all(|result| result.success), "not all are");

    let plan = bridge.rollback_bridge_integration(&name, RollbackMode::DryRun).await?;
    let (before, after) = (plan.before.unwrap_or_default(), plan.after.unwrap_or_default());
    print::line("dry run: before the rollback", describe(before));
    print::line("after the rollback", describe(after));
    promises.check_equal("the dry run predicts the tokens removed", before.tokens - after.tokens, 40_000_000);
    promises.check_equal("and changes nothing", stored_tokens(bridge).await?, before.tokens);

    let done = bridge.rollback_bridge_integration(&name, RollbackMode::Perform).await?;
    print::line("rolled back in", print::time(done.duration));
    promises.check_equal(
        "the store equals the checkpoint",
        stored_tokens(bridge).await?,
        checkpoint.totals.tokens,
    );
    let refused = bridge.batch_store_analyses(&bad[..1], BatchOptions::default()).await;
    promises.check("nothing is stored until `resume`", !refused[0].success, "it was stored");
    let live = bridge.get_analysis_with_fallback(&syncing::session()).await?;
    promises.check_equal("sessions can still be queried", live.analysis.calculated_total_tokens, 366);
    let _ = bridge.checkpoints().resume().await?;
    let again = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    promises.check("a backfill succeeds afterwards", again.success, again.errors.join("; "));
    promises.check_equal("and the total is correct", stored_tokens(bridge).await?, checkpoint.totals.tokens);
    bridge.checkpoints().remove(&name).await?;
    Ok(())
}

pub(crate) async fn back_up(
    environment: &TourEnvironment,
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("A backup imported into another database", "export_store, import_store");
    let folder = environment.folder.path().join("backup");
    let export = bridge.export_store(ExportOptions::to_folder(&folder)).await?;
    print::line("rows in Parquet", print::number(export.summary.rows()));
    print::line("bytes", print::number(export.bytes));
    let other = environment.bridge_for("this-host", &environment.transcripts(), "tour_copy")?;
    other.token_store().migrate().await?;
    let import = other.import_store(BackupPlace::Folder(folder)).await?;
    print::line("tokens in the other database", print::number(import.after.counts.total()));
    promises.check("its totals equal the backup's", import.equals_backup(), "they do not");
    promises.check_equal(
        "and the original store's",
        stored_tokens(&other).await?,
        stored_tokens(bridge).await?,
    );
    let twice = other.import_store(BackupPlace::Folder(environment.folder.path().join("backup"))).await?;
    promises.check("importing twice changes nothing", twice.before == twice.after, "it does");
    other.shutdown().await?;
    Ok(())
}
