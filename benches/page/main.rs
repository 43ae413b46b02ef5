//! Measures the pages of the router over 100,000 sessions: the time from the request to the last byte, over loopback.
//!
//! `cargo bench -p bridge-benches --bench page`. A million responses (`BRIDGE_BENCH_SESSIONS` times ten) in an embedded
//! engine of its own, with costs. Each page has a cold row, whose queries run, and a warm one, which is that of another page open at
//! the same moment. The baseline is a bare sum of the tokens with `FINAL`.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bridge::Clock;
use bridge::pricing::Catalog;
use bridge::storage::{ClickHouseOptions, ClickHouseStore, PriceStore, TokenStore, UpsertOptions};
use bridge::web::{self, AllowedHosts, PageOptions, WebOptions};
use bridge::{
    EnhancedTokenDatabaseBridge, HostName, ModelName, ProjectName, ResponseKey, ResponseUsage, SessionId,
    SystemClock, Timestamp, TokenCounts,
};
use bridge_benches::is_measurement;
use bridge_core::Stopwatch;
use bridge_embedded::{Engine, EngineOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Outcome<T> = Result<T, Box<dyn Error>>;

const RESPONSES_PER_SESSION: usize = 10;
const BATCH: usize = 100_000;
const PAGES: [(&str, &str); 6] = [
    ("overview, 30 days", "/"),
    ("overview, all", "/?range=all"),
    ("breakdown", "/breakdown?range=all"),
    ("sessions", "/sessions?range=all"),
    ("one session", "/sessions/session-000042"),
    ("status", "/status"),
];
const MODELS: [&str; 4] = ["claude-opus-4-6", "claude-sonnet-4-5", "claude-haiku-4-5", "gpt-5"];

#[tokio::main]
async fn main() -> Outcome<()> {
    let sessions = match std::env::var("BRIDGE_BENCH_SESSIONS") {
        Ok(sessions) => sessions.parse()?,
        Err(_) => {
            if is_measurement() {
                100_000
            } else {
                100
            }
        }
    };
    let engine = Engine::start(&EngineOptions::ephemeral())?;
    let client = clickhouse::Client::default()
        .with_url(&engine.endpoint().url)
        .with_user(&engine.endpoint().writer.user)
        .with_password(&engine.endpoint().writer.password)
        .with_database("bridge_page");
    let store = Arc::new(store(&engine)?);
    fill(&store, sessions).await?;
    client.query("OPTIMIZE TABLE token_usage FINAL").execute().await?;
    let rounds = if is_measurement() { 15 } else { 1 };

    let mut bare = Vec::new();
    for _ in 0..rounds {
        let stopwatch = Stopwatch::start();
        let sum = "SELECT sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens) FROM token_usage FINAL";
        client.query(sum).fetch_one::<u64>().await?;
        bare.push(stopwatch.elapsed());
    }
    let bare = median(&mut bare);
    println!(
        "{sessions} sessions, {} responses; a bare sum: {:.0} ms",
        sessions * RESPONSES_PER_SESSION,
        millis(bare)
    );
    let address = serve(store).await?;
    for (name, target) in PAGES {
        let (mut cold, mut warm, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..rounds {
            let (time, size) = get(address, target).await?;
            cold.push(time);
            warm.push(get(address, target).await?.0);
            bytes = size;
            // Longer than answers are shared, the current block among them.
            tokio::time::sleep(Duration::from_millis(if is_measurement() { 600 } else { 1 })).await;
        }
        let (cold, warm) = (median(&mut cold), median(&mut warm));
        let ratio = cold.as_secs_f64() / bare.as_secs_f64();
        println!(
            "{name}: {:.0} ms ({ratio:.1} x the bare sum), warm {:.1} ms, {} KiB",
            millis(cold),
            millis(warm),
            bytes >> 10
        );
    }
    Ok(())
}

fn store(engine: &Engine) -> Outcome<ClickHouseStore> {
    let (endpoint, host) = (engine.endpoint(), engine.endpoint().url.trim_start_matches("http://"));
    let url = format!("http://{}:{}@{host}/bridge_page", endpoint.writer.user, endpoint.writer.password);
    Ok(ClickHouseStore::new(ClickHouseOptions::from_url(&url)?)?)
}

/// Stores the prices and the responses: sessions of an hour in a year up to now, in 50 projects.
async fn fill(store: &ClickHouseStore, sessions: usize) -> Outcome<()> {
    store.migrate().await?;
    let now = SystemClock.now();
    let (catalog, prices) = (Catalog::shipped(), Catalog::shipped().rows().collect::<Vec<_>>());
    store.use_prices(&catalog.digest().to_string(), &prices, now).await?;
    let all = sessions * RESPONSES_PER_SESSION;
    for first in (0..all).step_by(BATCH) {
        let rows: Vec<_> = (first..all.min(first + BATCH)).map(|index| response(index, now)).collect();
        store.upsert(&rows, &UpsertOptions::default()).await?;
    }
    Ok(())
}

fn response(index: usize, now: Timestamp) -> ResponseUsage {
    let (session, place) = (index / RESPONSES_PER_SESSION, index % RESPONSES_PER_SESSION);
    let age = Duration::from_secs((session % 8_760 * 3_600 + place * 300) as u64);
    // Distributed over the whole key range, like hashes.
    let key = ResponseKey((index as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let name = SessionId::new(format!("session-{session:06}")).expect("the name is short");
    let mut row = ResponseUsage::new(key, name, now.saturating_sub(age));
    row.counts = TokenCounts { input: 10, output: 200, cache_creation: 3_000, cache_read: 40_000 };
    row.finished = true;
    row.model = ModelName::new(MODELS[session % MODELS.len()]).ok();
    row.project = ProjectName::new(format!("/home/user/projects/project-{}", session % 50)).ok();
    row.host = HostName::new(format!("host-{}", session % 5)).ok();
    row
}

async fn serve(store: Arc<ClickHouseStore>) -> Outcome<SocketAddr> {
    let bridge = EnhancedTokenDatabaseBridge::builder(store as Arc<dyn TokenStore>).build();
    let listener = web::listen("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let options =
        WebOptions::default().with_page(PageOptions::default()).with_answer_ttl(Duration::from_millis(50));
    let router = web::protect(web::router(bridge, options), AllowedHosts::of_listener(address));
    tokio::spawn(web::serve(listener, router, std::future::pending()));
    Ok(address)
}

/// Returns the time and the size of an answer.
async fn get(address: SocketAddr, target: &str) -> Outcome<(Duration, usize)> {
    let stopwatch = Stopwatch::start();
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let elapsed = stopwatch.elapsed();
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(format!("{target}: {}", String::from_utf8_lossy(&answer[..answer.len().min(300)])).into());
    }
    Ok((elapsed, answer.len()))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
