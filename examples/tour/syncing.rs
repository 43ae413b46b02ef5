//! Sessions that go on, and copies of them.

use std::error::Error;

use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, SessionId, SyncMode, SyncResult, SyncStatus};

use crate::place::Place;
use crate::promises::Promises;
use crate::show;

/// The session that the tour itself writes.
pub(crate) fn session() -> SessionId {
    SessionId::new("tour").expect("a constant is a name")
}

/// A snapshot of a response as the client writes it.
fn snapshot(id: u32, output: u64) -> String {
    format!(
        r#"{{"type":"assistant","sessionId":"tour","cwd":"/home/user/projects/tour","timestamp":"2026-03-09T10:00:0{id}.000Z","message":{{"id":"msg_{id:024}","model":"claude-sonnet-4-5","stop_reason":"end_turn","usage":{{"input_tokens":100,"output_tokens":{output}}}}}}}"#
    ) + "\n"
}

async fn synchronized(bridge: &EnhancedTokenDatabaseBridge) -> Result<SyncResult, Box<dyn Error>> {
    let result = bridge.sync_session_tokens(&session(), SyncMode::Incremental).await?;
    println!(
        "      {:>5} → {:>5} tokens: {} by {} new responses, {} by {} later snapshots; {} bytes read",
        show::number(result.tokens_before),
        show::number(result.tokens_after),
        show::signed(result.changes.new_responses.tokens),
        result.changes.new_responses.responses,
        show::signed(result.changes.later_snapshots.tokens),
        result.changes.later_snapshots.responses,
        show::number(result.bytes_read),
    );
    Ok(result)
}

/// Whether the causes explain the difference.
fn add_up(result: &SyncResult) -> bool {
    result.tokens_before.checked_add_signed(result.changes.tokens()) == Some(result.tokens_after)
}

pub(crate) async fn follow_a_session(
    place: &Place,
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("A session goes on", "sync_session_tokens");
    place.append(&snapshot(1, 20))?;
    let begun = synchronized(bridge).await?;
    promises.equal("a new response counts", begun.tokens_after, 120);

    // The response goes on and a second one comes; the client is in the middle of a third line.
    let (later, torn) = (snapshot(1, 50) + &snapshot(2, 7), snapshot(3, 9));
    let (torn, rest) = torn.split_at(60);
    place.append(&(later.clone() + torn))?;
    let went_on = synchronized(bridge).await?;
    promises.equal("of a response the last snapshot counts, not the sum", went_on.tokens_after, 257);
    promises.hold("the causes add up to the difference", add_up(&went_on), "they do not");

    place.append(rest)?;
    let complete = synchronized(bridge).await?;
    promises.equal("a line that was half written counts when it is whole", complete.tokens_after, 366);
    let unread = (torn.len() + rest.len()) as u64;
    promises.equal("only what is new was read", complete.bytes_read, unread);
    let idle = bridge.sync_session_tokens(&session(), SyncMode::Incremental).await?;
    promises.hold("nothing new changes nothing", idle.status == SyncStatus::Unchanged, idle.tokens_after);
    Ok(())
}

pub(crate) async fn meet_a_copy(
    place: &Place,
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("A second machine with a copy of everything", "backfill_historical_data");
    let before = bridge.token_store().totals(&Default::default()).await?;
    let copy = place.copied_to("laptop")?;
    let laptop = place.bridge_of("laptop", &copy, "tour")?;
    let result = laptop.backfill_historical_data(BackfillOptions::default()).await?;
    show::line("transcripts of the laptop", show::number(result.total_files_processed));
    show::line("responses in them", show::number(result.total_responses));
    show::line("of which new in the database", show::number(result.new_responses));
    promises.equal("nothing is counted twice", result.new_responses, 0);
    let after = bridge.token_store().totals(&Default::default()).await?;
    promises.equal("the total stays", after.counts.total(), before.counts.total());
    laptop.shutdown().await?;
    Ok(())
}
