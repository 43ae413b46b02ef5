//! Model-based tests of synchronization: after any changes to files, the store equals the model, loses nothing, and the
//! results explain all changes of totals.
//!
//! The model reads every file completely after every step and merges the results, without cursors. Sequences are
//! generated from seeds; `SYNC_SEQUENCES` sets their number.

mod cursor_faults;
mod database;
mod pieces;
mod reported;
mod step;
mod world;

use std::env;
use std::sync::Arc;

use fastrand::Rng;

use database::Database;
use step::Step;
use world::World;

/// Steps per sequence.
const STEPS: usize = 12;

fn sequences() -> u64 {
    env::var("SYNC_SEQUENCES").ok().and_then(|number| number.parse().ok()).unwrap_or(150)
}

#[tokio::test]
async fn the_memory_store_equals_the_model_after_any_sequence_of_changes() {
    for seed in 0..sequences() {
        run(seed, Database::Memory(Arc::default())).await;
    }
}

/// Runs fewer sequences, because synchronizing into a database is slower.
#[tokio::test]
async fn the_database_equals_the_model_after_any_sequence_of_changes() {
    for seed in 0..sequences().div_ceil(25) {
        // Seeds that the memory store's test does not use.
        let seed = u64::MAX - seed;
        run(seed, Database::server(&format!("sync_model_{seed}")).await).await;
    }
}

async fn run(seed: u64, database: Database) {
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(&mut rng, database);
    let mut done = Vec::new();
    for _ in 0..STEPS {
        let step = Step::draw(&mut rng);
        done.push(step);
        world.change(step, &mut rng).await;
        if rng.u8(..3) > 0 {
            world.synchronize(&mut rng, &format!("seed {seed}: {done:?}")).await;
        }
    }
    world.finish(&mut rng, &format!("seed {seed}: {done:?}")).await;
}
