//! A tour of the whole service on the embedded engine. Every step prints its promises and checks them; the exit code is
//! 1 if one is broken.
//!
//! `cargo run --release --example tour`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod counting;
mod environment;
mod integrity_and_recovery;
mod operating;
mod pricing;
mod print;
mod promises;
mod syncing;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use bridge_examples::interruption::Signals;
use bridge_examples::{failure, interruption};
use clap::Parser;

use crate::environment::TourEnvironment;
use crate::promises::Promises;

/// Demonstrates the whole service on a temporary embedded ClickHouse.
#[derive(Debug, Parser)]
#[command(name = "tour")]
struct Arguments {
    /// Folder of transcripts to use instead of the sample. They are copied, never modified
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,

    /// Hide the cost
    #[arg(long)]
    no_cost: bool,
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
    // Waits for an engine that is still starting, because its folder is removed after it has stopped.
    interruption::end(runtime, environment::SHUTDOWN_TIMEOUT);
    match outcome {
        Ok(()) => {
            println!("\n{}", promises.summary());
            if promises.all_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => failure::report(&*error),
    }
}

async fn walk(arguments: &Arguments, promises: &mut Promises) -> Result<(), Box<dyn Error>> {
    let source = arguments.source.as_deref();
    let environment = TourEnvironment::prepare(source, promises).await?;
    let bridge = environment.bridge()?;
    counting::count_without_storing(&bridge, promises).await?;
    counting::backfill(&bridge, source.is_none(), promises).await?;
    counting::show_dashboard(&bridge, promises).await?;
    if !arguments.no_cost {
        pricing::show_costs(&bridge, promises).await?;
    }
    syncing::follow_a_session(&environment, &bridge, promises).await?;
    integrity_and_recovery::find_tampering(&bridge, promises).await?;
    syncing::backfill_a_copy(&environment, &bridge, promises).await?;
    integrity_and_recovery::correct(&bridge, promises).await?;
    integrity_and_recovery::roll_back(&bridge, promises).await?;
    integrity_and_recovery::back_up(&environment, &bridge, promises).await?;
    let environment = operating::lose_the_database(environment, bridge, promises).await?;
    operating::close(environment, promises).await
}
