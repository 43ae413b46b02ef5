//! A walk through the whole service on the embedded engine. Every step says what it promises and whether that was
//! kept; the exit code is 1 when a promise was broken.
//!
//! `cargo run --release --example tour`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod counting;
mod guarding;
mod operating;
mod place;
mod promises;
mod show;
mod syncing;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use bridge_examples::interruption::Signals;
use bridge_examples::{failure, interruption};
use clap::Parser;

use crate::place::Place;
use crate::promises::Promises;

/// Walks through the whole service on an embedded ClickHouse of its own, which is gone at the end.
#[derive(Debug, Parser)]
#[command(name = "tour")]
struct Arguments {
    /// A folder with transcripts, in place of the sample. They are copied; nothing is written to them
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error),
    };
    let mut promises = Promises::default();
    let outcome =
        runtime.block_on(async { Signals::listen()?.during(walk(&arguments, &mut promises)).await });
    // An engine that is just being started is waited for: its folder is removed behind it.
    interruption::end(runtime, place::CLOSING);
    match outcome {
        Ok(()) => {
            println!("\n{}", promises.summary());
            if promises.are_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => failure::report(&*error),
    }
}

async fn walk(arguments: &Arguments, promises: &mut Promises) -> Result<(), Box<dyn Error>> {
    let source = arguments.source.as_deref();
    let place = Place::prepared(source, promises).await?;
    let bridge = place.bridge()?;
    counting::count_without_storing(&bridge, promises).await?;
    counting::backfill(&bridge, source.is_none(), promises).await?;
    counting::show_dashboard(&bridge, promises).await?;
    syncing::follow_a_session(&place, &bridge, promises).await?;
    guarding::find_tampering(&bridge, promises).await?;
    syncing::meet_a_copy(&place, &bridge, promises).await?;
    guarding::correct(&bridge, promises).await?;
    guarding::roll_back(&bridge, promises).await?;
    guarding::back_up(&place, &bridge, promises).await?;
    let place = operating::lose_the_database(place, bridge, promises).await?;
    operating::close(place, promises).await
}
