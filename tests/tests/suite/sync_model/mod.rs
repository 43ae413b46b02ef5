//! Whatever happens to files between synchronizations, the store equals the model, loses nothing it had, and the
//! results say why totals changed.
//!
//! The model reads every file in full after every step and joins what it finds; it knows no cursors. Sequences are
//! drawn from seeds: `SYNC_SEQUENCES=2000` asks for that many.

mod cut;
mod database;
mod forgetful;
mod step;
mod world;

use std::env;
use std::sync::Arc;

use fastrand::Rng;

use database::Database;
use step::Step;
use world::World;

/// Steps of a sequence.
const STEPS: usize = 12;

fn sequences() -> u64 {
    env::var("SYNC_SEQUENCES").ok().and_then(|number| number.parse().ok()).unwrap_or(150)
}

#[tokio::test]
async fn after_any_sequence_of_changes_the_store_equals_the_model() {
    for seed in 0..sequences() {
        run(seed, Database::Memory(Arc::default())).await;
    }
}

/// A synchronization costs milliseconds there, so there are fewer.
#[tokio::test]
async fn after_any_sequence_of_changes_the_database_equals_the_model() {
    for seed in 0..sequences().div_ceil(25) {
        // Others than those above.
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
