//! Promises of the cache.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bridge_cache::{ANALYSES_RESPONSES_MAX, BridgeCache, CacheOptions, CacheStats, SummaryQuery};
use bridge_core::{
    AnalysisId, EnhancedTokenAnalysis, Epoch, ManualClock, ResponseKey, ResponseUsage, SessionId, Stopwatch,
    Timestamp, TokenCounts, TokenSummaryRecord,
};

const DEADLINE: Duration = Duration::from_secs(60);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn query(days: u32) -> SummaryQuery {
    SummaryQuery::last_days(days)
}

fn session(number: u64) -> SessionId {
    SessionId::new(format!("s{number}")).unwrap()
}

/// A summary that says this number.
fn saying(tokens: u64) -> Vec<TokenSummaryRecord> {
    vec![TokenSummaryRecord {
        session_id: session(0),
        projects: Vec::new(),
        models: Vec::new(),
        hosts: Vec::new(),
        first_time: at(0),
        last_time: at(0),
        counts: TokenCounts::ZERO,
        total_tokens: tokens,
        responses: 0,
        responses_worth_tokens: 0,
        finished_responses: 0,
        files: 0,
        metadata: None,
        cost: None,
    }]
}

/// An analysis of so many responses with this many tokens altogether.
fn analysis(number: u64, responses: u64, tokens: u64) -> EnhancedTokenAnalysis {
    let rows = (0..responses).map(|key| {
        let mut row = ResponseUsage::new(ResponseKey(u128::from(key)), session(number), at(0));
        row.counts.output = if key == 0 { tokens } else { 0 };
        row
    });
    let id = AnalysisId::new("a").unwrap();
    EnhancedTokenAnalysis::from_responses(id, session(number), at(0), rows.collect()).unwrap()
}

async fn tokens(cache: &BridgeCache, number: u64) -> Option<u64> {
    cache.analysis(&session(number)).await.map(|analysis| analysis.calculated_total_tokens)
}

#[tokio::test]
async fn entries_expire_after_their_ttl() {
    let clock = Arc::new(ManualClock::new(at(0)));
    let options = CacheOptions::default().with_ttl(Duration::from_secs(600));
    let cache = BridgeCache::with_clock(options, clock.clone());
    cache.put(cache.key(query(7)), saying(1)).await;
    cache.put_analysis(cache.generation(), analysis(1, 1, 42)).await;
    clock.set(at(599_999));
    assert!(cache.get(&cache.key(query(7))).await.is_some());
    assert_eq!(tokens(&cache, 1).await, Some(42));
    clock.set(at(600_000));
    assert!(cache.get(&cache.key(query(7))).await.is_none());
    assert_eq!(tokens(&cache, 1).await, None);
    assert_eq!(cache.stats(), CacheStats { hits: 1, misses: 1 });
    assert_eq!(cache.analysis_stats(), CacheStats { hits: 1, misses: 1 });
}

#[tokio::test]
async fn stopped_clock_keeps_no_entry_alive() {
    let clock = Arc::new(ManualClock::new(at(0)));
    let options = CacheOptions::default().with_ttl(Duration::from_millis(5));
    let cache = BridgeCache::with_clock(options, clock);
    cache.put(cache.key(query(7)), saying(1)).await;
    cache.put_analysis(cache.generation(), analysis(1, 1, 42)).await;
    let watch = Stopwatch::start();
    while cache.get(&cache.key(query(7))).await.is_some() || tokens(&cache, 1).await.is_some() {
        assert!(watch.elapsed() < DEADLINE, "it is still served");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn zero_ttl_disables_the_cache() {
    let cache = BridgeCache::new(CacheOptions::default().with_ttl(Duration::ZERO));
    cache.put(cache.key(query(7)), saying(1)).await;
    cache.put_analysis(cache.generation(), analysis(1, 1, 42)).await;
    assert!(cache.get(&cache.key(query(7))).await.is_none());
    assert_eq!(tokens(&cache, 1).await, None);
}

/// Waits until at most so many of the first `number` questions are answered.
async fn shrinks_to(most: u64, number: u32, cache: &BridgeCache, is_there: impl AsyncFn(u32) -> bool) {
    let watch = Stopwatch::start();
    loop {
        let mut there = 0;
        for place in 0..number {
            there += u64::from(is_there(place).await);
        }
        if there <= most {
            return assert!(there > 0);
        }
        assert!(watch.elapsed() < DEADLINE, "{there} entries: {:?}", cache.stats());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn entries_are_limited() {
    let cache = BridgeCache::new(CacheOptions::default().with_max_entries(5));
    for number in 0..50 {
        cache.put(cache.key(query(number)), saying(1)).await;
        cache.put_analysis(cache.generation(), analysis(u64::from(number), 1, 1)).await;
    }
    shrinks_to(5, 50, &cache, async |number| cache.get(&cache.key(query(number))).await.is_some()).await;
    shrinks_to(5, 50, &cache, async |number| tokens(&cache, u64::from(number)).await.is_some()).await;
}

#[tokio::test]
async fn analyses_are_limited_by_responses() {
    let cache = BridgeCache::new(CacheOptions::default());
    for number in 0..8 {
        cache.put_analysis(cache.generation(), analysis(number, ANALYSES_RESPONSES_MAX / 4, 1)).await;
    }
    shrinks_to(4, 8, &cache, async |number| tokens(&cache, u64::from(number)).await.is_some()).await;
}

#[tokio::test]
async fn later_generation_of_an_analysis_stays() {
    let cache = BridgeCache::new(CacheOptions::default());
    let before = cache.generation();
    cache.invalidate();
    cache.put_analysis(cache.generation(), analysis(1, 1, 50)).await;
    cache.put_analysis(before, analysis(1, 1, 42)).await;
    assert_eq!(tokens(&cache, 1).await, Some(50));
    cache.put_analysis(cache.generation(), analysis(1, 1, 51)).await;
    assert_eq!(tokens(&cache, 1).await, Some(51));
    cache.invalidate();
    assert_eq!(tokens(&cache, 1).await, Some(51), "a last resort outlives a write");
}

#[tokio::test]
async fn rollback_clears_the_cache() {
    let cache = BridgeCache::new(CacheOptions::default());
    cache.enter_epoch(Epoch(0));
    let before = cache.generation();
    cache.put_analysis(before, analysis(1, 1, 42)).await;
    cache.enter_epoch(Epoch(0));
    assert_eq!(tokens(&cache, 1).await, Some(42));
    cache.enter_epoch(Epoch(1));
    assert_eq!(tokens(&cache, 1).await, None);
    // What was read before comes too late.
    cache.put_analysis(before, analysis(1, 1, 42)).await;
    assert_eq!(tokens(&cache, 1).await, None);
    cache.put_analysis(cache.generation(), analysis(1, 1, 5)).await;
    assert_eq!(tokens(&cache, 1).await, Some(5));
}

/// Readers fill the cache with what they read from a store that writers count up. No reader may be served what
/// was stored before a write that it knows of.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writes_never_serve_stale_summaries() {
    const WRITES: u64 = 2_000;
    let cache = Arc::new(BridgeCache::new(CacheOptions::default()));
    let (stored, acknowledged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut readers = Vec::new();
    for _ in 0..3 {
        let (cache, stored, acknowledged) =
            (Arc::clone(&cache), Arc::clone(&stored), Arc::clone(&acknowledged));
        readers.push(tokio::spawn(async move {
            while acknowledged.load(Ordering::SeqCst) < WRITES {
                let known = acknowledged.load(Ordering::SeqCst);
                let key = cache.key(query(7));
                if let Some(served) = cache.get(&key).await {
                    assert!(served[0].total_tokens >= known, "{} after {known}", served[0].total_tokens);
                } else {
                    let read = stored.load(Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    cache.put(key, saying(read)).await;
                }
            }
        }));
    }
    for number in 1..=WRITES {
        cache.invalidate();
        stored.store(number, Ordering::SeqCst);
        cache.invalidate();
        acknowledged.store(number, Ordering::SeqCst);
        if number % 8 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for reader in readers {
        tokio::time::timeout(DEADLINE, reader).await.unwrap().unwrap();
    }
}
