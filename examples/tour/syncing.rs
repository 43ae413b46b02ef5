//! Steps that synchronize a growing session and a copy of the transcripts.

use std::error::Error;

use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, SessionId, SyncMode, SyncResult, SyncStatus};

use crate::environment::TourEnvironment;
use crate::print;
use crate::promises::Promises;

/// Returns the id of the session that the tour itself writes.
pub(crate) fn session() -> SessionId {
    SessionId::new("tour").expect("the constant is a valid id")
}

/// Formats a snapshot of a response as the client writes it.
fn snapshot(id: u32, output: u64) -> String {
    format!(
        r#"{{"type":"assistant","sessionId":"tour","cwd":"/home/user/projects/tour","timestamp":"2026-03-09T10:00:0{id}.000Z","message":{{"id":"msg_{id:024}","model":"claude-sonnet-4-5","stop_reason":"end_turn","usage":{{"input_tokens":100,"output_tokens":{output}}}}}}}"#
    ) + "\n"
}

async fn synchronize(bridge: &EnhancedTokenDatabaseBridge) -> Result<SyncResult, Box<dyn Error>> {
    let result = bridge.sync_session_tokens(&session(), SyncMode::Incremental).await?;
    println!(
        "      {:>5} → {:>5} tokens: {} by {} new responses, {} by {} later snapshots; {} bytes read",
        print::number(result.tokens_before),
        print::number(result.tokens_after),
        print::signed(result.changes.new_responses.tokens),
        result.changes.new_responses.responses,
        print::signed(result.changes.later_snapshots.tokens),
        result.changes.later_snapshots.responses,
        print::number(result.bytes_read),
    );
    if let Some(change) = &result.cost_change {
        println!("      {:>5}   {:.6} dearer at list prices", "", change.amount());
    }
    Ok(result)
}

/// Returns `true` if the reported causes explain the whole change of the total.
fn causes_add_up(result: &SyncResult) -> bool {
    result.tokens_before.checked_add_signed(result.changes.tokens()) == Some(result.tokens_after)
}

pub(crate) async fn follow_a_session(
    environment: &TourEnvironment,
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Synchronizing a growing session", "sync_session_tokens");
    environment.append(&snapshot(1, 20))?;
    let started = synchronize(bridge).await?;
    promises.check_equal("a new response is counted", started.tokens_after, 120);

    // The response grows and a second one arrives; the client is still writing a third line.
    let (later, torn) = (snapshot(1, 50) + &snapshot(2, 7), snapshot(3, 9));
    let (torn, rest) = torn.split_at(60);
    environment.append(&(later.clone() + torn))?;
    let grown = synchronize(bridge).await?;
    promises.check_equal("a response counts as its last snapshot, not their sum", grown.tokens_after, 257);
    promises.check("the causes add up to the change", causes_add_up(&grown), "they do not");
    if let Some(change) = &grown.cost_change {
        // 30 more tokens of output and 7 of a new response at $15 per million, and its 100 of input at $3.
        promises.check_equal(
            "so does the cost, with what the replaced snapshot had cost",
            change.amount().exact(),
            "0.000855".to_owned(),
        );
    }

    environment.append(rest)?;
    let complete = synchronize(bridge).await?;
    promises.check_equal("a partial line is counted once it is complete", complete.tokens_after, 366);
    let unread = (torn.len() + rest.len()) as u64;
    promises.check_equal("only new bytes are read", complete.bytes_read, unread);
    let idle = bridge.sync_session_tokens(&session(), SyncMode::Incremental).await?;
    promises.check(
        "a synchronization without news changes nothing",
        idle.status == SyncStatus::Unchanged,
        idle.tokens_after,
    );
    Ok(())
}

pub(crate) async fn backfill_a_copy(
    environment: &TourEnvironment,
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("A second machine with a copy of the transcripts", "backfill_historical_data");
    let before = bridge.token_store().totals(&Default::default()).await?;
    let copy = environment.copy_transcripts_to("laptop")?;
    let laptop = environment.bridge_for("laptop", &copy, "tour")?;
    let result = laptop.backfill_historical_data(BackfillOptions::default()).await?;
    print::line("transcripts of the laptop", print::number(result.total_files_processed));
    print::line("responses in them", print::number(result.total_responses));
    print::line("of which new in the database", print::number(result.new_responses));
    promises.check_equal("nothing is counted twice", result.new_responses, 0);
    let after = bridge.token_store().totals(&Default::default()).await?;
    promises.check_equal("the total is unchanged", after.counts.total(), before.counts.total());
    laptop.shutdown().await?;
    Ok(())
}
